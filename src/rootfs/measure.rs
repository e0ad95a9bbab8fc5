//! Finds out how much there is to pack, long before the walk has seen it all.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Source;
use crate::progress::Progress;

/// Tells `progress` how many entries the only one of `sources` has and how many bytes their contents, if it is a directory:
/// an archive is read before it is packed and says so itself, and of several sources nobody knows what will remain.
///
/// This is the one place that goes round libc on purpose. Kinds and sizes of what has content are the same with and without
/// pseudo, and asking pseudo would cost every entry a second round trip. Nothing that is found here reaches the image.
pub fn measure(sources: &[Source], progress: &Progress) {
    if let [source] = sources {
        // What can't be read has no total; the build itself will say why.
        if let Some((entries, bytes)) = count(&source.path, progress) {
            progress.set_total(entries, bytes);
        }
    }
}

/// Counts as a layer does: no sockets, and what has several names has its content once.
fn count(root: &Path, progress: &Progress) -> Option<(u64, u64)> {
    let mut entries = 1;
    let mut bytes = 0;
    let mut shared = BTreeSet::new();
    let mut pending: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        progress.check().ok()?;
        for child in std::fs::read_dir(&directory).ok()? {
            let path = child.ok()?.path();
            let status = status_of(&path).ok()?;
            let kind = u32::from(status.stx_mode) & libc::S_IFMT;
            let identity = (status.stx_dev_major, status.stx_dev_minor, status.stx_ino);
            entries += u64::from(kind != libc::S_IFSOCK);
            match kind {
                libc::S_IFDIR => pending.push(path),
                libc::S_IFREG if status.stx_nlink == 1 || shared.insert(identity) => bytes += status.stx_size,
                _ => {}
            }
        }
    }
    Some((entries, bytes))
}

fn status_of(path: &Path) -> io::Result<libc::statx> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut status = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path ends with NUL, and the kernel writes one `statx` to where there is room for one.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            libc::STATX_BASIC_STATS,
            status.as_mut_ptr(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was zeroed, which is a value of this plain structure, and the kernel has filled it.
    Ok(unsafe { status.assume_init() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_packed_once_counts_once() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/f"), "12345").unwrap();
        fs::hard_link(at("d/f"), at("g")).unwrap();
        symlink("d", at("l")).unwrap();
        let _socket = UnixListener::bind(at("s")).unwrap();
        assert_eq!(count(root.path(), &Progress::default()), Some((5, 5)));
        assert_eq!(count(&at("none"), &Progress::default()), None);
    }
}
