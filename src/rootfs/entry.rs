//! One entry of a root filesystem, whatever it was read from.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::tree::TreeFile;
use super::xattr::Xattrs;
use crate::error::{Error, Result};

/// A file, directory, link or device with all of its attributes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is, from the root of the image, without a leading or trailing slash; empty for the root itself.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky: the lowest twelve bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in whole seconds since 1970, rounded down.
    pub mtime: i64,
    /// Extended attributes that the policy keeps, as raw bytes, sorted by name.
    pub xattrs: Xattrs,
    /// How many extended attributes the policy left out.
    pub xattrs_left_out: u64,
    /// What it shares with its other names, if it has any.
    pub inode: Option<Inode>,
    /// True for a directory that nobody described: the path of something else implies it.
    pub implied: bool,
}

/// Identifies a file that has several names.
pub type Inode = (usize, u64, u64);

/// A device's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

/// What an entry is, with what only that kind has.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A regular file.
    File {
        /// Length of its content in bytes.
        size: u64,
        /// Where its content is.
        content: Content,
    },
    /// A directory.
    Directory,
    /// A symbolic link and the bytes it points to.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket: only its server can make it, so no archive format stores it.
    Socket,
}

impl Entry {
    /// A directory that must be there because something is in it.
    pub fn implied_directory(path: Vec<u8>) -> Self {
        Self {
            path,
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Xattrs::default(),
            xattrs_left_out: 0,
            inode: None,
            implied: true,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    /// The length of its content in bytes; 0 for whatever has none.
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// The path as messages show it: what is not UTF-8 is replaced, the root is `/`.
    pub fn display(&self) -> String {
        format!("/{}", String::from_utf8_lossy(&self.path))
    }
}

/// Where the bytes of a regular file are.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nowhere: there are none.
    Empty,
    /// In a file of a directory tree.
    Tree(TreeFile),
    /// At an offset inside an archive.
    Slice {
        /// The archive.
        file: Arc<File>,
        /// The archive's name, for messages.
        name: PathBuf,
        /// Where in it the content begins.
        offset: u64,
    },
}

impl Content {
    /// A reader of the content.
    ///
    /// # Errors
    /// [`Error::Io`] when the file can't be opened, [`Error::Rootfs`] when it is not the one that was listed.
    pub fn open(&self) -> Result<ContentReader<'_>> {
        Ok(match self {
            Self::Empty => ContentReader::Empty,
            Self::Tree(listed) => ContentReader::File { file: listed.open()?, listed },
            Self::Slice { file, offset, .. } => ContentReader::Slice { file: Arc::clone(file), position: *offset },
        })
    }

    /// The file to name when reading fails.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::Empty => PathBuf::new(),
            Self::Tree(file) => file.place(),
            Self::Slice { name, .. } => name.clone(),
        }
    }
}

/// Reads a regular file's content, and beyond it in an archive: the caller knows the size.
pub enum ContentReader<'a> {
    /// Nothing to read.
    Empty,
    /// A file of its own.
    File {
        /// The open file.
        file: File,
        /// What it was when the tree was listed.
        listed: &'a TreeFile,
    },
    /// A part of an archive.
    Slice {
        /// The archive.
        file: Arc<File>,
        /// Where to read next.
        position: u64,
    },
}

impl ContentReader<'_> {
    /// Appends the next `count` bytes to `buffer`, or fewer where the content ends before.
    ///
    /// # Errors
    /// What reading gives.
    pub fn append(&mut self, count: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            // std reads into the room of the buffer without filling it with zeros first, for its own files only.
            Self::File { file, .. } => file.take(count as u64).read_to_end(buffer),
            Self::Empty | Self::Slice { .. } => self.take(count as u64).read_to_end(buffer),
        }
    }

    /// Ends reading, after as many bytes as the entry's size. Fails if the file is no longer what it was when the tree was
    /// listed, so that what was read may be a mixture.
    ///
    /// # Errors
    /// [`Error::Rootfs`] with what has changed; [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        let Self::File { mut file, listed } = self else { return Ok(()) };
        listed.check(&file)?;
        // Some file systems make contents up and give a length of 0.
        if file.read(&mut [0]).map_err(Error::io("read", &listed.place()))? != 0 {
            return Err(Error::rootfs(listed.place(), "it has more bytes than its length says"));
        }
        Ok(())
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Empty => Ok(0),
            Self::File { file, .. } => file.read(buffer),
            Self::Slice { file, position } => {
                let count = file.read_at(buffer, *position)?;
                *position += count as u64;
                Ok(count)
            }
        }
    }
}
