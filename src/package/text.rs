//! A database's file, read whole, with its name and line numbers for messages.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The largest file that is read. Debian's list of installed packages has a few megabytes.
const MOST_BYTES: u64 = 256 << 20;

/// A file of a package database.
pub struct Text {
    name: PathBuf,
    bytes: Vec<u8>,
}

impl Text {
    /// The file `path` of this machine.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read, [`Error::Packages`] when it is larger than any database.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path.to_owned(), File::open(path).map_err(Error::io("open", path))?)
    }

    /// The same, or nothing if there is no such file.
    ///
    /// # Errors
    /// As for [`Text::open`].
    pub fn open_if_there(path: &Path) -> Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Self::read(path.to_owned(), file).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", path)(error)),
        }
    }

    /// What `reader` holds, called `name` in messages.
    ///
    /// # Errors
    /// As for [`Text::open`].
    pub fn read(name: PathBuf, reader: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        reader.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io("read", &name))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Error::packages(name, "no package database is larger than 256 MiB, and this is"));
        }
        Ok(Self { name, bytes })
    }

    /// Its lines with their numbers, from 1 on, without line ends.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let lines = (!text.is_empty()).then(|| text.split(|byte| *byte == b'\n'));
        lines.into_iter().flatten().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// What is wrong with a line.
    pub fn error(&self, line: usize, reason: impl std::fmt::Display) -> Error {
        Error::packages(&self.name, format!("line {line}: {reason}"))
    }

    /// A field of a line that must be UTF-8, as names and versions are.
    pub fn utf8<'a>(&self, line: usize, what: &str, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes)
            .map_err(|_| self.error(line, format!("the {what} {:?} is not UTF-8", String::from_utf8_lossy(bytes))))
    }
}
