//! System calls that go to the kernel itself, past pseudo, which is loaded in front of libc.
//!
//! pseudo fakes owners, modes, device numbers and extended attributes. It does not fake what a file contains, which inode
//! it is, how long it is and when it was modified, nor the names in a directory. For these the kernel's answer is the same
//! and costs a twentieth of a round trip to pseudo's server. Everything else is asked through libc, in `rootfs`.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Which file something is: two names with the same identity are one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The device number of its file system.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
}

/// What the kernel knows about a file. Owner and permissions are left out: under pseudo they are not the image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which file it is.
    pub identity: Identity,
    /// File type bits (`S_IFMT`). On disk a device that pseudo fakes is a regular file.
    pub file_type: u32,
    /// Length in bytes.
    pub size: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Number of names.
    pub links: u32,
}

/// Returns the status of an open file.
///
/// # Errors
/// What statx(2) gives.
pub fn status(file: BorrowedFd<'_>) -> io::Result<Status> {
    statx(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

/// Returns the status of `name` in an open directory; of a symbolic link itself, not of its target.
///
/// # Errors
/// What statx(2) gives.
pub fn status_at(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Status> {
    statx(directory.as_raw_fd(), name, libc::AT_SYMLINK_NOFOLLOW)
}

fn statx(directory: libc::c_int, name: &CStr, flags: libc::c_int) -> io::Result<Status> {
    let mut status = MaybeUninit::<libc::statx>::zeroed();
    retry(|| {
        // SAFETY: the name ends with NUL, and the kernel writes one `statx` to where there is room for one.
        unsafe {
            libc::syscall(
                libc::SYS_statx,
                directory,
                name.as_ptr(),
                flags,
                libc::STATX_BASIC_STATS,
                status.as_mut_ptr(),
            )
        }
    })?;
    // SAFETY: it was zeroed, which is a value of this plain structure, and the kernel has filled it.
    let status = unsafe { status.assume_init() };
    Ok(Status {
        identity: Identity { device: libc::makedev(status.stx_dev_major, status.stx_dev_minor), inode: status.stx_ino },
        file_type: u32::from(status.stx_mode) & libc::S_IFMT,
        size: status.stx_size,
        mtime: (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec),
        links: status.stx_nlink,
    })
}

/// Opens the file at the relative `path` below an open directory for reading. No part of the path may be a symbolic link,
/// and a pipe or device does not block.
///
/// # Errors
/// ELOOP where a part of the path is a symbolic link; otherwise what openat(2) gives. EINVAL for a path with a NUL byte.
pub fn open_beneath(directory: BorrowedFd<'_>, path: &[u8]) -> io::Result<File> {
    /// Whether openat2(2) is missing: before Linux 5.6, in some sandboxes, and under newer versions of pseudo.
    static HAS_NO_OPENAT2: AtomicBool = AtomicBool::new(false);
    if !HAS_NO_OPENAT2.load(Ordering::Relaxed) {
        match openat2(directory, path) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                HAS_NO_OPENAT2.store(true, Ordering::Relaxed);
            }
            opened => return opened,
        }
    }
    open_part_by_part(directory, path)
}

fn openat2(directory: BorrowedFd<'_>, path: &[u8]) -> io::Result<File> {
    let path = CString::new(path)?;
    // SAFETY: `open_how` is a plain structure of numbers, for which zero is a value.
    let mut how = unsafe { MaybeUninit::<libc::open_how>::zeroed().assume_init() };
    how.flags = u64::from(CONTENT_FLAGS.unsigned_abs());
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: the path ends with NUL; the kernel reads `how`, whose length it is given.
    let opened = retry(|| unsafe {
        libc::syscall(libc::SYS_openat2, directory.as_raw_fd(), path.as_ptr(), &raw const how, size_of_val(&how))
    })?;
    Ok(own(opened)?.into())
}

fn open_part_by_part(directory: BorrowedFd<'_>, path: &[u8]) -> io::Result<File> {
    let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
    let mut parent: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        if part == b".." {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        }
        let place = parent.as_ref().map_or(directory.as_raw_fd(), AsRawFd::as_raw_fd);
        let flags = if parts.peek().is_some() { DIRECTORY_FLAGS } else { CONTENT_FLAGS };
        let part = CString::new(part)?;
        // SAFETY: the name ends with NUL.
        let opened = retry(|| unsafe { libc::syscall(libc::SYS_openat, place, part.as_ptr(), flags) });
        parent = Some(own(opened.map_err(as_a_link)?)?);
    }
    parent.map(File::from).ok_or_else(|| io::Error::from_raw_os_error(libc::EISDIR))
}

/// With `O_DIRECTORY`, the kernel says ENOTDIR about a symbolic link; openat2 says ELOOP.
fn as_a_link(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(libc::ENOTDIR) { io::Error::from_raw_os_error(libc::ELOOP) } else { error }
}

const CONTENT_FLAGS: libc::c_int = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
const DIRECTORY_FLAGS: libc::c_int = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;

/// A name in a directory.
pub struct Child {
    /// The name.
    pub name: CString,
    /// Whether it is a directory; `None` where the file system does not tell in a listing.
    pub is_directory: Option<bool>,
}

/// Lists an open directory, without `.` and `..`, in the order of the file system. Works once per descriptor.
///
/// # Errors
/// What getdents64(2) gives.
pub fn list(directory: BorrowedFd<'_>) -> io::Result<Vec<Child>> {
    // A listing is a sequence of records: 8 bytes inode, 8 offset, 2 length of the record, 1 type, the name, NUL.
    const LENGTH: usize = 16;
    const TYPE: usize = 18;
    const NAME: usize = 19;
    let mut children = Vec::new();
    let mut buffer = vec![0_u8; 32 * 1024];
    loop {
        // SAFETY: the kernel writes at most as many bytes as it is told that the buffer has.
        let filled = retry(|| unsafe {
            libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
        })?;
        let mut records = buffer.get(..usize::try_from(filled).unwrap_or_default()).unwrap_or_default();
        if records.is_empty() {
            return Ok(children);
        }
        while let Some(&[low, high]) = records.get(LENGTH..TYPE) {
            let length = usize::from(u16::from_ne_bytes([low, high]));
            let (Some(record), Some(rest)) = (records.get(..length), records.get(length..)) else { break };
            let Some(name) = record.get(NAME..).and_then(|name| CStr::from_bytes_until_nul(name).ok()) else { break };
            if !matches!(name.to_bytes(), b"." | b"..") {
                let is_directory = (record[TYPE] != libc::DT_UNKNOWN).then_some(record[TYPE] == libc::DT_DIR);
                children.push(Child { name: name.to_owned(), is_directory });
            }
            records = rest;
        }
    }
}

/// Repeats a system call that a signal interrupts.
fn retry(mut call: impl FnMut() -> libc::c_long) -> io::Result<libc::c_long> {
    loop {
        match call() {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            result => return Ok(result),
        }
    }
}

/// Takes the descriptor that a system call has opened.
fn own(opened: libc::c_long) -> io::Result<OwnedFd> {
    let descriptor = libc::c_int::try_from(opened).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for this caller, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn tree() -> (tempfile::TempDir, File) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        fs::write(root.path().join("d/f"), "12345").unwrap();
        symlink("d", root.path().join("l")).unwrap();
        symlink("f", root.path().join("d/l")).unwrap();
        let directory = File::open(root.path()).unwrap();
        (root, directory)
    }

    #[test]
    fn files_open_beneath_a_directory_only() {
        let (_root, directory) = tree();
        let text = |path: &[u8], open: fn(BorrowedFd<'_>, &[u8]) -> io::Result<File>| {
            let mut text = String::new();
            open(directory.as_fd(), path).and_then(|mut file| file.read_to_string(&mut text)).map(|_| text)
        };
        for open in [open_beneath, open_part_by_part] {
            assert_eq!(text(b"d/f", open).unwrap(), "12345");
            for (path, errno) in
                [(&b"l/f"[..], libc::ELOOP), (b"d/l", libc::ELOOP), (b"../f", libc::EXDEV), (b"d/none", libc::ENOENT)]
            {
                assert_eq!(text(path, open).unwrap_err().raw_os_error(), Some(errno), "{path:?}");
            }
        }
    }

    #[test]
    fn a_listing_has_all_names_and_their_kinds() {
        let (root, directory) = tree();
        for number in 0..3000 {
            fs::write(root.path().join(format!("a-rather-long-name-{number}")), "").unwrap();
        }
        let children = list(directory.as_fd()).unwrap();
        assert_eq!(children.len(), 3002);
        let kind = |name: &CStr| children.iter().find(|child| child.name.as_c_str() == name).unwrap().is_directory;
        assert_eq!((kind(c"d"), kind(c"l")), (Some(true), Some(false)));
    }

    #[test]
    fn the_status_agrees_with_std() {
        let (root, directory) = tree();
        let metadata = fs::metadata(root.path().join("d/f")).unwrap();
        let status = status(open_beneath(directory.as_fd(), b"d/f").unwrap().as_fd()).unwrap();
        assert_eq!(status.identity, Identity { device: metadata.dev(), inode: metadata.ino() });
        assert_eq!((status.size, status.file_type, status.links), (5, libc::S_IFREG, 1));
        assert_eq!(status.mtime.0, metadata.mtime());
        assert_eq!(status_at(directory.as_fd(), c"l").unwrap().file_type, libc::S_IFLNK);
    }
}
