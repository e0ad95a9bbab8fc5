//! Finds out how much there is to pack, long before the walk has seen it all.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use super::Source;
use crate::kernel;
use crate::progress::Progress;

/// Tells `progress` how many entries the only one of `sources` has and how many bytes their contents, if it is a directory:
/// an archive is read before it is packed and says so itself, and of several sources nobody knows what will remain.
///
/// It asks the kernel: kinds and sizes of what has content are the same with and without pseudo, and asking pseudo would cost
/// every entry a further round trip. Nothing that is found here reaches the image.
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
    let root = File::open(root).ok()?;
    let mut entries = 1;
    let mut bytes = 0;
    let mut shared = BTreeSet::new();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        progress.check().ok()?;
        let opened = (!path.is_empty()).then(|| kernel::open_beneath(root.as_fd(), &path)).transpose().ok()?;
        let directory = opened.as_ref().unwrap_or(&root).as_fd();
        for child in kernel::list(directory).ok()? {
            let status = kernel::status_at(directory, &child.name).ok()?;
            entries += u64::from(status.file_type != libc::S_IFSOCK);
            match status.file_type {
                libc::S_IFDIR if path.is_empty() => pending.push(child.name.into_bytes()),
                libc::S_IFDIR => pending.push([&path, child.name.as_bytes()].join(&b'/')),
                libc::S_IFREG if status.links == 1 || shared.insert(status.identity) => bytes += status.size,
                _ => {}
            }
        }
    }
    Some((entries, bytes))
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
