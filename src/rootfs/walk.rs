//! Reads a directory tree.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Content, Device, Entry, Inode, Kind};
use super::join;
use super::xattr::{self, XattrPolicy};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// The entries below a directory and the directory itself, sorted by the bytes of the path.
///
/// What is known but not yet due waits in a heap. A directory's children sort behind it, so reading a directory when it is
/// its turn is early enough, and only the siblings of the directories on the way are held in memory. Each entry costs one
/// lstat and one llistxattr, which is what pseudo makes expensive; reading directories is not.
pub struct Walk {
    root: PathBuf,
    source: usize,
    policy: XattrPolicy,
    progress: Arc<Progress>,
    pending: BinaryHeap<Reverse<Vec<u8>>>,
}

impl Walk {
    /// Walks `root`, the source with this number, whose inodes are distinct from those of other sources.
    pub fn new(root: PathBuf, source: usize, policy: XattrPolicy, progress: Arc<Progress>) -> Self {
        Self { root, source, policy, progress, pending: BinaryHeap::from([Reverse(Vec::new())]) }
    }

    fn read(&mut self, path: Vec<u8>) -> Result<Entry> {
        self.progress.check()?;
        let place = join(&self.root, &path);
        // Of the root itself one may have named a link to it.
        let metadata = if path.is_empty() { std::fs::metadata(&place) } else { std::fs::symlink_metadata(&place) };
        let metadata = metadata.map_err(Error::io("read the attributes of", &place))?;
        let kind = kind_of(&place, &metadata)?;
        if matches!(kind, Kind::Directory) {
            self.remember_children(&path, &place)?;
        }
        // A link of the caller's to the root has no attributes of the root.
        let (xattrs, xattrs_left_out) = match path.is_empty() {
            true => xattr::read(&place.join("."), &self.policy)?,
            false => xattr::read(&place, &self.policy)?,
        };
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

    fn remember_children(&mut self, path: &[u8], place: &Path) -> Result<()> {
        let failed = || Error::io("read the directory", place);
        for child in std::fs::read_dir(place).map_err(failed())? {
            let name = child.map_err(failed())?.file_name();
            let mut child = Vec::with_capacity(path.len() + 1 + name.len());
            child.extend_from_slice(path);
            if !path.is_empty() {
                child.push(b'/');
            }
            child.extend_from_slice(name.as_bytes());
            self.pending.push(Reverse(child));
        }
        Ok(())
    }

    fn shared_inode(&self, kind: &Kind, metadata: &std::fs::Metadata) -> Option<Inode> {
        let shared = metadata.nlink() > 1 && !matches!(kind, Kind::Directory | Kind::Socket);
        shared.then(|| (self.source, metadata.dev(), metadata.ino()))
    }
}

impl Iterator for Walk {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(path) = self.pending.pop()?;
        Some(self.read(path))
    }
}

fn kind_of(place: &Path, metadata: &std::fs::Metadata) -> Result<Kind> {
    let device = || Device { major: libc::major(metadata.rdev()), minor: libc::minor(metadata.rdev()) };
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
