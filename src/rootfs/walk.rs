//! Reads a directory tree.
//!
//! Under pseudo every lstat and llistxattr is a round trip to its server, and listing a directory is none. So one thread
//! finds out what there is, in order, and several read the attributes of what it has found.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Entries;
use super::entry::{Content, Device, Entry, Inode, Kind};
use super::join;
use super::xattr::{self, XattrPolicy};
use crate::error::{Error, Result};
use crate::parallel;
use crate::progress::Progress;

/// How many threads read attributes. They wait for pseudo most of the time, so their number is not that of processors.
const THREADS: usize = 4;

/// How many entries a thread takes at once, and how many batches are read ahead of the packing: enough that it never
/// waits for want of attributes while a large file is read, and few enough that memory does not grow with the image.
const BATCH: usize = 64;
const BATCHES_AHEAD: usize = 64;

/// The entries below the directory `root` and `root` itself, sorted by the bytes of the path. Their inodes are those of
/// the source with this number.
///
/// # Errors
/// [`Error::Io`] when the system gives no more threads. The iterator yields [`Error::Io`] about what can't be read, and
/// [`Error::Rootfs`] about what changes meanwhile.
pub fn walk(root: &Path, source: usize, policy: &XattrPolicy, progress: &Arc<Progress>) -> Result<Entries> {
    let found = Found::new(root.to_owned(), Arc::clone(progress));
    let reader = Reader { root: root.to_owned(), source, policy: policy.clone(), progress: Arc::clone(progress) };
    let read = move |batch: Vec<Result<Name>>| -> Vec<Result<Entry>> {
        batch.into_iter().map(|name| name.and_then(|name| reader.read(name))).collect()
    };
    let batches = parallel::ordered("read attributes", THREADS, BATCHES_AHEAD, Batches(found), read)?;
    Ok(Box::new(batches.flat_map(|batch| batch.unwrap_or_else(|error| vec![Err(error)]))))
}

/// The file at `path`, which is no directory, as the root of a source with this number would be.
///
/// # Errors
/// [`Error::Io`] and [`Error::Rootfs`].
pub fn file(path: &Path, source: usize, policy: &XattrPolicy, progress: &Arc<Progress>) -> Result<Entry> {
    let root = path.parent().unwrap_or(path).to_owned();
    let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
    let reader = Reader { root, source, policy: policy.clone(), progress: Arc::clone(progress) };
    let entry = reader.read(Name { path: name, is_directory: false })?;
    Ok(Entry { path: Vec::new(), ..entry })
}

/// A path, and whether it is a directory.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    path: Vec<u8>,
    is_directory: bool,
}

/// What there is, sorted by the bytes of the path.
///
/// What is known but not yet due waits in a heap. A directory's children sort behind it, so listing a directory when it is
/// its turn is early enough, and only the siblings of the directories on the way are held in memory.
struct Found {
    root: PathBuf,
    progress: Arc<Progress>,
    pending: BinaryHeap<Reverse<Name>>,
}

impl Found {
    fn new(root: PathBuf, progress: Arc<Progress>) -> Self {
        let top = Name { path: Vec::new(), is_directory: true };
        Self { root, progress, pending: BinaryHeap::from([Reverse(top)]) }
    }

    fn remember_children(&mut self, path: &[u8]) -> Result<()> {
        self.progress.check()?;
        let place = join(&self.root, path);
        let failed = || Error::io("read the directory", &place);
        for child in std::fs::read_dir(&place).map_err(failed())? {
            let child = child.map_err(failed())?;
            #[expect(
                clippy::disallowed_methods,
                reason = "a directory is one with and without pseudo, and asking is dear"
            )]
            let is_directory = child.file_type().map_err(failed())?.is_dir();
            let name = child.file_name();
            let path = if path.is_empty() { name.into_encoded_bytes() } else { [path, name.as_bytes()].join(&b'/') };
            self.pending.push(Reverse(Name { path, is_directory }));
        }
        Ok(())
    }
}

impl Iterator for Found {
    type Item = Result<Name>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(name) = self.pending.pop()?;
        let listed = if name.is_directory { self.remember_children(&name.path) } else { Ok(()) };
        Some(listed.map(|()| name))
    }
}

struct Batches<I>(I);

impl<I: Iterator> Iterator for Batches<I> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Vec<_> = self.0.by_ref().take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    }
}

#[derive(Clone)]
struct Reader {
    root: PathBuf,
    source: usize,
    policy: XattrPolicy,
    progress: Arc<Progress>,
}

impl Reader {
    /// Reads the attributes of one entry: one lstat and one llistxattr.
    fn read(&self, name: Name) -> Result<Entry> {
        self.progress.check()?;
        let Name { path, is_directory } = name;
        // The root may have been named by a link to it; with the dot it is what the link points to.
        let place = if path.is_empty() { self.root.join(".") } else { join(&self.root, &path) };
        let metadata = std::fs::symlink_metadata(&place).map_err(Error::io("read the attributes of", &place))?;
        let kind = kind_of(&place, &metadata)?;
        if matches!(kind, Kind::Directory) != is_directory {
            return Err(Error::rootfs(place, "it was replaced by something else while the tree was read"));
        }
        let (xattrs, xattrs_left_out) = xattr::read(&place, &self.policy)?;
        Ok(Entry {
            inode: self.shared_inode(&kind, &metadata),
            path,
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: metadata.mtime(),
            xattrs,
            xattrs_left_out,
            implied: false,
        })
    }

    fn shared_inode(&self, kind: &Kind, metadata: &std::fs::Metadata) -> Option<Inode> {
        let shared = metadata.nlink() > 1 && !matches!(kind, Kind::Directory | Kind::Socket);
        shared.then(|| (self.source, metadata.dev(), metadata.ino()))
    }
}
fn kind_of(place: &Path, metadata: &std::fs::Metadata) -> Result<Kind> {
    // Linux's device numbers have 32 bits; pseudo extends the sign of large ones to 64.
    let rdev = metadata.rdev() & 0xffff_ffff;
    let device = || Device { major: libc::major(rdev), minor: libc::minor(rdev) };
    Ok(match metadata.mode() & libc::S_IFMT {
        libc::S_IFREG => Kind::File { size: metadata.size(), content: Content::Path(place.to_owned()) },
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => {
            let target = std::fs::read_link(place).map_err(Error::io("read the link", place))?;
            Kind::Symlink(target.into_os_string().into_encoded_bytes())
        }
        libc::S_IFCHR => Kind::CharDevice(device()),
        libc::S_IFBLK => Kind::BlockDevice(device()),
        libc::S_IFIFO => Kind::Fifo,
        libc::S_IFSOCK => Kind::Socket,
        other => return Err(Error::rootfs(place, format!("it has the unknown file type {other:#o}"))),
    })
}
