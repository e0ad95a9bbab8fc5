//! Reads a directory tree.
//!
//! Under pseudo every fstatat and llistxattr is a round trip to its server, and listing a directory is none. So one thread
//! finds out what there is, in order, and several read the attributes of what it has found.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::Entries;
use super::entry::{Content, Device, Entry, Inode, Kind};
use super::tree::{self, Attributes, Directory, Tree, TreeFile};
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

/// How many directories stay open for the threads that read attributes. They open again what was closed too early.
const OPEN_DIRECTORIES: usize = 64;

/// The entries below the directory `root` and `root` itself, sorted by the bytes of the path. Their inodes are those of
/// the source with this number.
///
/// # Errors
/// [`Error::Io`] when `root` can't be opened or the system gives no more threads. The iterator yields [`Error::Io`] about
/// what can't be read, and [`Error::Rootfs`] about what changes meanwhile.
pub fn walk(root: &Path, source: usize, policy: &XattrPolicy, progress: &Arc<Progress>) -> Result<Entries> {
    let found = Found::new(&Tree::open(root)?, Arc::clone(progress));
    let reader = Reader { source, policy: policy.clone(), progress: Arc::clone(progress) };
    let read = move |batch: Vec<Result<Name>>| -> Vec<Result<Entry>> { reader.read_all(batch) };
    let batches = parallel::ordered("read attributes", THREADS, BATCHES_AHEAD, Batches(found), read)?;
    Ok(Box::new(batches.flat_map(|batch| batch.unwrap_or_else(|error| vec![Err(error)]))))
}

/// The file at `path`, which is no directory, as the root of a source with this number would be.
///
/// # Errors
/// [`Error::Io`] and [`Error::Rootfs`].
pub fn file(path: &Path, source: usize, policy: &XattrPolicy, progress: &Arc<Progress>) -> Result<Entry> {
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        parent => parent.unwrap_or(path),
    };
    let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
    let reader = Reader { source, policy: policy.clone(), progress: Arc::clone(progress) };
    let parent = Directory::root(&Tree::open(directory)?);
    let entry = reader.read(Name { path: name, parent, itself: None }, &mut None)?;
    Ok(Entry { path: Vec::new(), ..entry })
}

/// A path, the directory that it is in, and what it is if that is a directory.
struct Name {
    path: Vec<u8>,
    parent: Arc<Directory>,
    itself: Option<Arc<Directory>>,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.path.cmp(&other.path)
    }
}

/// What there is, sorted by the bytes of the path.
///
/// What is known but not yet due waits in a heap. A directory's children sort behind it, so listing a directory when it is
/// its turn is early enough, and only the siblings of the directories on the way are held in memory.
struct Found {
    progress: Arc<Progress>,
    pending: BinaryHeap<Reverse<Name>>,
    open: VecDeque<Arc<OwnedFd>>,
}

impl Found {
    fn new(tree: &Arc<Tree>, progress: Arc<Progress>) -> Self {
        let root = Directory::root(tree);
        let top = Name { path: Vec::new(), parent: Arc::clone(&root), itself: Some(root) };
        Self { progress, pending: BinaryHeap::from([Reverse(top)]), open: VecDeque::with_capacity(OPEN_DIRECTORIES) }
    }

    fn remember_children(&mut self, directory: &Arc<Directory>, path: &[u8]) -> Result<()> {
        self.progress.check()?;
        if self.open.len() == OPEN_DIRECTORIES {
            self.open.pop_front();
        }
        self.open.push_back(directory.open()?);
        for (name, identity) in directory.children()? {
            let name = name.into_bytes();
            let path = if path.is_empty() { name } else { [path, &name].join(&b'/') };
            let itself = identity.map(|identity| directory.at(path.clone(), identity));
            self.pending.push(Reverse(Name { path, parent: Arc::clone(directory), itself }));
        }
        Ok(())
    }
}

impl Iterator for Found {
    type Item = Result<Name>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(name) = self.pending.pop()?;
        let listed = match &name.itself {
            Some(directory) => self.remember_children(&Arc::clone(directory), &name.path),
            None => Ok(()),
        };
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
    source: usize,
    policy: XattrPolicy,
    progress: Arc<Progress>,
}

impl Reader {
    fn read_all(&self, names: Vec<Result<Name>>) -> Vec<Result<Entry>> {
        let mut open = None;
        names.into_iter().map(|name| name.and_then(|name| self.read(name, &mut open))).collect()
    }

    /// Reads the attributes of one entry: one fstatat and one llistxattr. `open` keeps its directory open for the next.
    fn read(&self, name: Name, open: &mut Option<Arc<OwnedFd>>) -> Result<Entry> {
        self.progress.check()?;
        let Name { path, parent, itself } = name;
        let place = || parent.tree().place(&path);
        let directory = open.insert(parent.open()?);
        let failed = |error| Error::io("read the attributes of", &place())(error);
        // The root is asked for as what is in it.
        let name = match path.rsplit(|byte| *byte == b'/').next() {
            None | Some(b"") => c".".to_owned(),
            Some(name) => tree::name(name).map_err(failed)?,
        };
        let attributes = tree::attributes(directory.as_fd(), &name).map_err(failed)?;
        let is_same = itself.as_ref().is_none_or(|itself| itself.is(&attributes));
        let entry_kind = self.kind(&parent, &path, directory, &name, &attributes)?;
        if matches!(entry_kind, Kind::Directory) != itself.is_some() || !is_same {
            return Err(tree::replaced(place()));
        }
        // There is no llistxattr relative to a descriptor; this path begins with one.
        let by_descriptor = [format!("/proc/self/fd/{}/", directory.as_raw_fd()).as_bytes(), name.as_bytes()].concat();
        let by_descriptor = tree::name(&by_descriptor).map_err(failed)?;
        let (xattrs, xattrs_left_out) = xattr::read(&by_descriptor, &place, &self.policy)?;
        Ok(Entry {
            inode: self.shared_inode(&entry_kind, &attributes),
            kind: entry_kind,
            mode: attributes.st_mode & 0o7777,
            uid: attributes.st_uid,
            gid: attributes.st_gid,
            mtime: attributes.st_mtime,
            xattrs,
            xattrs_left_out,
            implied: false,
            path,
        })
    }

    fn shared_inode(&self, kind: &Kind, attributes: &Attributes) -> Option<Inode> {
        let shared = attributes.st_nlink > 1 && !matches!(kind, Kind::Directory | Kind::Socket);
        shared.then_some((self.source, attributes.st_dev, attributes.st_ino))
    }

    fn kind(
        &self,
        parent: &Directory,
        path: &[u8],
        directory: &OwnedFd,
        name: &CString,
        attributes: &Attributes,
    ) -> Result<Kind> {
        // Linux's device numbers have 32 bits; pseudo extends the sign of large ones to 64.
        let rdev = attributes.st_rdev & 0xffff_ffff;
        let device = || Device { major: libc::major(rdev), minor: libc::minor(rdev) };
        let place = || parent.tree().place(path);
        Ok(match attributes.st_mode & libc::S_IFMT {
            libc::S_IFREG => {
                let size = attributes.st_size.try_into().unwrap_or_default();
                Kind::File { size, content: Content::Tree(TreeFile::new(parent.tree(), path, attributes)) }
            }
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => {
                Kind::Symlink(tree::link_target(directory.as_fd(), name).map_err(
                    |error| match error.raw_os_error() {
                        Some(libc::EINVAL) => tree::replaced(place()),
                        _ => Error::io("read the link", &place())(error),
                    },
                )?)
            }
            libc::S_IFCHR => Kind::CharDevice(device()),
            libc::S_IFBLK => Kind::BlockDevice(device()),
            libc::S_IFIFO => Kind::Fifo,
            libc::S_IFSOCK => Kind::Socket,
            other => return Err(Error::rootfs(place(), format!("it has the unknown file type {other:#o}"))),
        })
    }
}
