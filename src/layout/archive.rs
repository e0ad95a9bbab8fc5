//! A layout as one archive that is at once an OCI archive and, through `manifest.json`, a docker-archive.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::staging::StagedFile;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Writes the layout in `directory` to `archive`, below the directory `prefix` of it if that is not empty.
///
/// The bytes follow from the layout alone: entries sorted, owner and group 0, time 0, and the same modes for all.
///
/// # Errors
/// [`Error::Io`], [`Error::Interrupted`].
pub fn write_archive(directory: &Path, prefix: &str, archive: &StagedFile, progress: &Progress) -> Result<()> {
    let writing = || Error::io("write", archive.path());
    let mut builder = tar::Builder::new(BufWriter::with_capacity(1 << 20, archive.file()));
    for parent in directories_of(prefix) {
        append(&mut builder, Path::new(&parent), EntryType::Directory, 0, io::empty()).map_err(writing())?;
    }
    for (path, place) in files_below(directory)? {
        progress.check()?;
        let name = Path::new(prefix).join(path);
        if place.is_dir() {
            append(&mut builder, &name, EntryType::Directory, 0, io::empty()).map_err(writing())?;
        } else {
            let file = File::open(&place).map_err(Error::io("open", &place))?;
            let size = file.metadata().map_err(Error::io("read", &place))?.len();
            append(&mut builder, &name, EntryType::Regular, size, Interruptible(BufReader::new(file), progress))
                .map_err(writing())?;
        }
    }
    builder.into_inner().and_then(|mut writer| writer.flush()).map_err(writing())
}

fn append<W: Write>(
    builder: &mut tar::Builder<W>,
    name: &Path,
    kind: EntryType,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    if size > 0o77_777_777_777 {
        // The only thing of a layout that may not fit into a ustar header.
        builder.append_pax_extensions([("size", size.to_string().as_bytes())])?;
        header.set_size(0);
    } else {
        header.set_size(size);
    }
    if kind == EntryType::Directory {
        header.set_path(name.join(""))?;
    } else {
        header.set_path(name)?;
    }
    header.set_cksum();
    builder.append(&header, content)
}

/// Everything below `directory`, sorted, directories before what is in them.
fn files_below(directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        let place = directory.join(&relative);
        for child in fs::read_dir(&place).map_err(Error::io("read the directory", &place))? {
            let name = child.map_err(Error::io("read the directory", &place))?.file_name();
            let child = relative.join(name);
            let place = directory.join(&child);
            if place.is_dir() {
                pending.push(child.clone());
            }
            found.push((child, place));
        }
    }
    found.sort();
    Ok(found)
}

fn directories_of(prefix: &str) -> impl Iterator<Item = String> {
    let parts: Vec<_> = prefix.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    (1..=parts.len()).map(move |count| parts[..count].join("/"))
}

/// Ends a copy of gigabytes when the caller asked the build to stop.
struct Interruptible<'a, R>(R, &'a Progress);

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.check().map_err(Error::into_io)?;
        self.0.read(buffer)
    }
}
