//! A directory tree whose files are reached through directory descriptors.
//!
//! Another process may replace a directory by a symbolic link while the tree is packed. A path would then lead out of the
//! tree. So nothing is opened by its path from the machine's root: a directory is opened below the tree's own descriptor
//! and has to be the one that was listed, its children are asked for relative to it, and a file's content has to be that of
//! the inode that was seen.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::{Error, Result};
use crate::kernel::{self, Child, Identity, Status};

#[cfg(not(target_env = "gnu"))]
use libc::fstatat;
#[cfg(target_env = "gnu")]
use libc::fstatat64 as fstatat;
#[cfg(not(target_env = "gnu"))]
pub use libc::stat as Attributes;
#[cfg(target_env = "gnu")]
pub use libc::stat64 as Attributes;

/// The root of a directory tree.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
    descriptor: OwnedFd,
}

impl Tree {
    /// Opens the directory at `path`, which may be a symbolic link to one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        // Through libc: pseudo finds the files that are asked for relative to a descriptor only if it saw it opened.
        let directory = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path);
        let descriptor = directory.map_err(Error::io("open the directory", path))?.into();
        Ok(Arc::new(Self { path: path.to_owned(), descriptor }))
    }

    /// The path of an entry on this machine, for messages.
    pub fn place(&self, path: &[u8]) -> PathBuf {
        if path.is_empty() { self.path.clone() } else { self.path.join(OsStr::from_bytes(path)) }
    }
}

/// A directory of a tree, open or not.
#[derive(Debug)]
pub struct Directory {
    tree: Arc<Tree>,
    /// Relative to the root of the tree; empty for the root itself.
    path: Vec<u8>,
    /// Unknown for the root: it is what the tree was opened as.
    identity: Option<Identity>,
    open: Mutex<Weak<OwnedFd>>,
}

impl Directory {
    /// The root of `tree`.
    pub fn root(tree: &Arc<Tree>) -> Arc<Self> {
        Arc::new(Self { tree: Arc::clone(tree), path: Vec::new(), identity: None, open: Mutex::default() })
    }

    /// The directory at `path` of the same tree, which was seen to be `identity`.
    pub fn at(&self, path: Vec<u8>, identity: Identity) -> Arc<Self> {
        Arc::new(Self { tree: Arc::clone(&self.tree), path, identity: Some(identity), open: Mutex::default() })
    }

    /// Whether these are the attributes of the directory that was listed.
    pub fn is(&self, attributes: &Attributes) -> bool {
        self.identity.is_none_or(|identity| identity == identity_of(attributes))
    }

    /// The tree that the directory is in.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Opens the directory, unless it is open already. It stays so as long as the result lives.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Rootfs`] when another directory is in its place.
    pub fn open(&self) -> Result<Arc<OwnedFd>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(descriptor) = open.upgrade() {
            return Ok(descriptor);
        }
        let descriptor = Arc::new(self.open_again()?);
        *open = Arc::downgrade(&descriptor);
        Ok(descriptor)
    }

    fn open_again(&self) -> Result<OwnedFd> {
        let place = || self.tree.place(&self.path);
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENOTDIR | libc::ELOOP) => replaced(place()),
            _ => Error::io("open the directory", &place())(error),
        };
        let path = if self.path.is_empty() { c".".to_owned() } else { name(&self.path).map_err(failed)? };
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: the path ends with NUL.
        let opened = unsafe { libc::openat(self.tree.descriptor.as_raw_fd(), path.as_ptr(), flags) };
        if opened < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        // SAFETY: openat has just opened it for this caller, and nothing else has it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(opened) };
        let status = kernel::status(descriptor.as_fd()).map_err(failed)?;
        match self.identity {
            Some(identity) if identity != status.identity => Err(replaced(place())),
            _ => Ok(descriptor),
        }
    }

    /// Lists what is in the directory. Sub-directories come with their identity.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Rootfs`] when another directory is in its place.
    pub fn children(&self) -> Result<Vec<(CString, Option<Identity>)>> {
        let place = self.tree.place(&self.path);
        let failed = || Error::io("read the directory", &place);
        let descriptor = self.open()?;
        let listed = kernel::list(descriptor.as_fd()).map_err(failed())?;
        let identified = listed.into_iter().map(|Child { name, is_directory }| {
            // pseudo never changes whether something is a directory.
            let is_directory = match is_directory {
                Some(false) => return Ok((name, None)),
                told => told.unwrap_or_default(),
            };
            match kernel::status_at(descriptor.as_fd(), &name).map_err(failed()) {
                Ok(status) if is_directory || status.file_type == libc::S_IFDIR => Ok((name, Some(status.identity))),
                other => other.map(|_| (name, None)),
            }
        });
        identified.collect()
    }
}

/// What was seen of a regular file when the tree was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    identity: Identity,
    size: u64,
    mtime: (i64, u32),
}

impl Seen {
    /// Says how a file differs from what was seen; `None` if it does not. Other tasks may hard-link it meanwhile, which
    /// changes its change time and number of names and is no difference.
    fn difference(&self, now: &Status) -> Option<String> {
        if self.identity != now.identity || now.file_type != libc::S_IFREG {
            Some("it was replaced by another file while the tree was read".to_owned())
        } else if self.size < now.size {
            Some(format!("it grew beyond {} bytes while it was read", self.size))
        } else if self.size > now.size {
            Some(format!("it shrank below {} bytes while it was read", self.size))
        } else {
            (self.mtime != now.mtime).then(|| "it was written to while the tree was read".to_owned())
        }
    }
}

/// A regular file of a tree.
#[derive(Clone, Debug)]
pub struct TreeFile {
    tree: Arc<Tree>,
    path: Vec<u8>,
    seen: Seen,
}

impl TreeFile {
    /// The file at `path` of `tree`, with the attributes that were seen.
    pub fn new(tree: &Arc<Tree>, path: &[u8], attributes: &Attributes) -> Self {
        let seen = Seen {
            identity: identity_of(attributes),
            size: attributes.st_size.try_into().unwrap_or_default(),
            mtime: (attributes.st_mtime, attributes.st_mtime_nsec.try_into().unwrap_or_default()),
        };
        Self { tree: Arc::clone(tree), path: path.to_owned(), seen }
    }

    /// Where it is on this machine, for messages.
    pub fn place(&self) -> PathBuf {
        self.tree.place(&self.path)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Rootfs`] when it is not the file that was seen, or a directory on the way was replaced.
    pub fn open(&self) -> Result<File> {
        let file = kernel::open_beneath(self.tree.descriptor.as_fd(), &self.path).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::ELOOP) => replaced(self.place()),
                _ => Error::io("open", &self.place())(error),
            }
        })?;
        self.check(&file)?;
        Ok(file)
    }

    /// Fails if the open `file` is not, or no longer, what was seen.
    ///
    /// # Errors
    /// [`Error::Rootfs`] with what has changed; [`Error::Io`].
    pub fn check(&self, file: &File) -> Result<()> {
        let now = kernel::status(file.as_fd()).map_err(Error::io("read the attributes of", &self.place()))?;
        self.seen.difference(&now).map_or(Ok(()), |reason| Err(Error::rootfs(self.place(), reason)))
    }
}

/// The device and inode of a file.
pub fn identity_of(attributes: &Attributes) -> Identity {
    Identity { device: attributes.st_dev, inode: attributes.st_ino }
}

/// The error about what is no longer what it was when the tree was listed.
pub fn replaced(place: PathBuf) -> Error {
    Error::rootfs(place, "it was replaced by something else while the tree was read")
}

/// Reads the attributes of `name` in an open directory, of a symbolic link itself. Through libc: pseudo answers.
///
/// # Errors
/// What fstatat(2) gives.
pub fn attributes(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Attributes> {
    let mut attributes = MaybeUninit::<Attributes>::zeroed();
    let (descriptor, place) = (directory.as_raw_fd(), attributes.as_mut_ptr());
    // SAFETY: the name ends with NUL, and there is room for one structure.
    if unsafe { fstatat(descriptor, name.as_ptr(), place, libc::AT_SYMLINK_NOFOLLOW) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was zeroed, which is a value of this plain structure, and libc has filled it.
    Ok(unsafe { attributes.assume_init() })
}

/// Reads the target of the symbolic link `name` in an open directory.
///
/// # Errors
/// What readlinkat(2) gives; EINVAL for what is no symbolic link.
pub fn link_target(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Vec<u8>> {
    let mut target: Vec<u8> = Vec::with_capacity(libc::PATH_MAX as usize);
    // SAFETY: the name ends with NUL, and libc writes at most as many bytes as it is told that there is room for.
    let length = unsafe {
        libc::readlinkat(directory.as_raw_fd(), name.as_ptr(), target.as_mut_ptr().cast(), target.capacity())
    };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: that many bytes were written, never more than the capacity.
    unsafe { target.set_len(length) };
    target.shrink_to_fit();
    Ok(target)
}

/// A name for a system call.
///
/// # Errors
/// EINVAL for one with a NUL byte.
pub fn name(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
