//! Extended attributes, through libc, so that pseudo answers for those it keeps.

use std::ffi::CStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Extended attributes, name and value, sorted by name. All names of a file share them: an archive can give one that has
/// megabytes of them any number of names.
pub type Xattrs = Arc<[(Vec<u8>, Vec<u8>)]>;

/// Which extended attributes are left out of an image.
///
/// The default leaves out what belongs to the build machine or to its kernel and not to the image: `security.selinux`
/// (the label that the machine's own policy gave the file), `trusted.*` (overlayfs and the like; only a privileged
/// process could restore it) and `system.nfs4_acl` (the file server's view). Everything else is kept: `user.*`,
/// `security.capability`, `security.ima`, `security.evm` and POSIX ACLs among them.
#[derive(Clone, Debug, Default)]
pub struct XattrPolicy {
    excluded: Vec<Vec<u8>>,
}

impl XattrPolicy {
    /// Leaves out the attributes with these names; a `*` at the end stands for any ending.
    pub fn excluding<S: AsRef<str>>(patterns: &[S]) -> Self {
        Self { excluded: patterns.iter().map(|pattern| pattern.as_ref().as_bytes().to_vec()).collect() }
    }

    /// Whether an attribute of this name is kept.
    pub fn keeps(&self, name: &[u8]) -> bool {
        !self.excluded.iter().any(|pattern| match pattern.split_last() {
            Some((b'*', prefix)) => name.starts_with(prefix),
            _ => name == pattern,
        })
    }
}

/// Reads the extended attributes of `path` itself, not of what a link points to: those that `policy` keeps, sorted by
/// name, and how many it left out. One system call where there are none. `place` is the path for messages.
///
/// # Errors
/// [`Error::Io`]; a file system without extended attributes has none, which is no error.
pub fn read(path: &CStr, place: &dyn Fn() -> PathBuf, policy: &XattrPolicy) -> Result<(Xattrs, u64)> {
    let names = match grow(|buffer, size| {
        // SAFETY: `path` ends with NUL, and the kernel writes at most `size` bytes to `buffer`.
        unsafe { libc::llistxattr(path.as_ptr(), buffer.cast(), size) }
    }) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => return Ok((Xattrs::default(), 0)),
        names => names.map_err(|error| Error::io("list the extended attributes of", &place())(error))?,
    };
    let mut kept = Vec::new();
    let mut left_out = 0;
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(c_name) = CStr::from_bytes_with_nul(name) else { continue };
        let name = c_name.to_bytes();
        if !policy.keeps(name) {
            left_out += 1;
            continue;
        }
        let value = match grow(|buffer, size| {
            // SAFETY: both strings end with NUL, and the kernel writes at most `size` bytes to `buffer`.
            unsafe { libc::lgetxattr(path.as_ptr(), c_name.as_ptr(), buffer.cast(), size) }
        }) {
            // What pseudo says of an empty value, which it does list.
            Err(error) if error.raw_os_error() == Some(libc::ENODATA) => Ok(Vec::new()),
            value => value,
        }
        .map_err(|error| Error::io("read an extended attribute of", &place())(error))?;
        kept.push((name.to_vec(), value));
    }
    kept.sort();
    Ok((kept.into(), left_out))
}

/// Calls `get` with a buffer that is large enough. The first one mostly is, so that one call suffices.
fn grow(get: impl Fn(*mut u8, usize) -> isize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(256);
    loop {
        let count = get(buffer.as_mut_ptr(), buffer.capacity());
        if let Ok(count) = usize::try_from(count) {
            // pseudo fills a buffer that is too small and says how large it should have been.
            if count > buffer.capacity() {
                buffer.reserve(count);
                continue;
            }
            // SAFETY: the kernel has written `count` bytes, never more than the capacity it was told.
            unsafe { buffer.set_len(count) };
            return Ok(buffer);
        }
        let error = io::Error::last_os_error();
        // XATTR_SIZE_MAX and XATTR_LIST_MAX are both 64 KiB.
        if error.raw_os_error() != Some(libc::ERANGE) || buffer.capacity() > 64 * 1024 {
            return Err(error);
        }
        buffer.reserve(buffer.capacity() * 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_attributes_or_their_beginnings() {
        let policy = XattrPolicy::excluding(&["security.selinux", "trusted.*"]);
        for (name, kept) in [
            ("security.selinux", false),
            ("security.selinux2", true),
            ("trusted.overlay.opaque", false),
            ("security.capability", true),
            ("user.trusted.x", true),
        ] {
            assert_eq!(policy.keeps(name.as_bytes()), kept, "{name}");
        }
    }
}
