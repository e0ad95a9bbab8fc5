//! Reads root filesystems: a directory tree, or an archive of one, or several laid over one another.
//!
//! This is the only module that looks at the root filesystem. Attributes are asked for through `std` and `libc` alone: image
//! tasks of BitBake run under pseudo, which is preloaded in front of libc and knows owners, devices and capabilities that
//! the file system itself does not have. What bypasses libc gets the wrong answer. Contents, names and inode numbers are
//! the same with and without pseudo; `kernel` reads those.

mod archive;
mod entry;
mod measure;
mod merge;
mod tree;
mod walk;
mod xattr;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

pub use archive::read_layer;
pub use entry::{Content, ContentReader, Device, Entry, Inode, Kind};
pub use measure::measure;
pub use merge::parents_of;
pub use tree::TreeFile;
pub use xattr::XattrPolicy;

use crate::error::{Error, Result};
use crate::progress::Progress;

/// One root filesystem and where in the image it goes.
#[derive(Clone, Debug)]
pub struct Source {
    /// A directory, or a tar archive, plain or compressed with gzip, zstd, bzip2 or xz.
    pub path: PathBuf,
    /// The directory of the image under which it lands; empty for the root.
    pub target: Vec<u8>,
}

/// What makes up an image, entry by entry, sorted by the bytes of the path.
///
/// Every directory comes before what is in it, a directory that only a path implies is there too, and no path comes twice.
pub type Entries = Box<dyn Iterator<Item = Result<Entry>> + Send>;

/// Opens `sources`, the later ones lying over the earlier ones.
///
/// `scratch` makes an empty file without a name: a compressed archive is unpacked into one, because entries are
/// wanted in another order than the archive has them in.
///
/// # Errors
/// [`Error::Io`] naming a source that can't be opened, [`Error::Rootfs`] for one that is neither directory nor archive.
/// The iterator itself yields the same errors about single entries.
pub fn open(
    sources: &[Source],
    policy: &XattrPolicy,
    scratch: &dyn Fn() -> Result<File>,
    progress: &Arc<Progress>,
) -> Result<Entries> {
    let opened = sources
        .iter()
        .enumerate()
        .map(|(number, source)| {
            let entries = open_one(number, source, policy, scratch, progress, sources.len() == 1)?;
            Ok(merge::under(entries, &source.target))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(merge::merge(opened))
}

/// Files of the build machine: a directory with all that is in it, or anything else. In the image they belong to root,
/// because the owners of this machine mean nothing there. Their inodes are those of the source with this number.
///
/// # Errors
/// Those of [`open`].
pub fn bring(source: &Source, number: usize, policy: &XattrPolicy, progress: &Arc<Progress>) -> Result<Entries> {
    let path = &source.path;
    let metadata = std::fs::symlink_metadata(path).map_err(Error::io("read the attributes of", path))?;
    let entries: Entries = if metadata.is_dir() {
        walk::walk(path, number, policy, progress)?
    } else {
        Box::new(std::iter::once(walk::file(path, number, policy, progress)))
    };
    let of_root = entries.map(|entry| entry.map(|entry| Entry { uid: 0, gid: 0, ..entry }));
    Ok(merge::under(Box::new(of_root), &source.target))
}

/// Lays the later ones of these over the earlier ones, as [`open`] does.
pub fn lay_over(sources: Vec<Entries>) -> Entries {
    merge::merge(sources)
}

fn open_one(
    number: usize,
    source: &Source,
    policy: &XattrPolicy,
    scratch: &dyn Fn() -> Result<File>,
    progress: &Arc<Progress>,
    is_alone: bool,
) -> Result<Entries> {
    let path = &source.path;
    let metadata = std::fs::metadata(path).map_err(Error::io("open the root filesystem", path))?;
    if metadata.is_dir() {
        walk::walk(path, number, policy, progress)
    } else if metadata.is_file() {
        archive::open(path, number, policy, scratch, progress, is_alone)
    } else {
        Err(Error::rootfs(path, "a root filesystem is a directory or a tar archive, and this is neither"))
    }
}
