//! Frames entries as a tar archive: POSIX.1-1988 (ustar) headers, and POSIX.1-2001 (pax) extended headers for what does
//! not fit into them. No GNU extension, no access or change time, no user or group names: those would be the build machine's.

use tar::{EntryType, Header};

use crate::error::{Error, Result};
use crate::rootfs::{Entry, Kind};

/// Size of a header, and what every content is padded to.
pub const BLOCK: usize = 512;

/// The two zero blocks that end an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

const LARGEST_ID: u64 = 0o7_777_777;
const LARGEST_NUMBER: u64 = 0o77_777_777_777;
/// What a pax header is called. Readers skip its name, and a constant one costs nothing compressed.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// What stands in the archive for an entry: itself, or a link to another name of the same file earlier in the archive.
pub struct Member<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// Its modification time, after clamping.
    pub mtime: i64,
    /// The path of the file's first name, if this is not it.
    pub link_to: Option<&'a [u8]>,
}

impl Member<'_> {
    /// How many bytes of content follow the header, before padding.
    pub fn content_size(&self) -> u64 {
        match (&self.entry.kind, self.link_to) {
            (Kind::File { size, .. }, None) => *size,
            _ => 0,
        }
    }

    /// Appends the header, with an extended one in front where that is needed, to `out`.
    ///
    /// # Errors
    /// [`Error::Rootfs`] for what the format can't hold: device numbers beyond 2097151, extended attributes with `=` in
    /// their name.
    pub fn write_header(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut header = Header::new_ustar();
        let mut pax = Vec::new();
        let entry = self.entry;
        self.set_path(&mut header, &mut pax);
        header.set_mode(entry.mode);
        header.set_uid(fit(&mut pax, "uid", u64::from(entry.uid), LARGEST_ID));
        header.set_gid(fit(&mut pax, "gid", u64::from(entry.gid), LARGEST_ID));
        header.set_size(fit(&mut pax, "size", self.content_size(), LARGEST_NUMBER));
        match u64::try_from(self.mtime) {
            Ok(mtime) => header.set_mtime(fit(&mut pax, "mtime", mtime, LARGEST_NUMBER)),
            // Before 1970: no unsigned field can say so.
            Err(_) => {
                push_record(&mut pax, b"mtime", self.mtime.to_string().as_bytes());
                header.set_mtime(0);
            }
        }
        self.set_kind(&mut header, &mut pax)?;
        self.push_xattrs(&mut pax)?;
        header.set_cksum();
        if !pax.is_empty() {
            write_pax_header(&pax, out);
        }
        out.extend_from_slice(header.as_bytes());
        Ok(())
    }

    fn set_path(&self, header: &mut Header, pax: &mut Vec<u8>) {
        let mut path = if self.entry.path.is_empty() { b".".to_vec() } else { self.entry.path.clone() };
        if matches!(self.entry.kind, Kind::Directory) {
            path.push(b'/');
        }
        let Some(ustar) = header.as_ustar_mut() else { return };
        match split(&path, ustar.prefix.len(), ustar.name.len()) {
            Some((prefix, name)) => {
                ustar.prefix[..prefix.len()].copy_from_slice(prefix);
                ustar.name[..name.len()].copy_from_slice(name);
            }
            None => {
                let name = &path[..ustar.name.len()];
                ustar.name.copy_from_slice(name);
                push_record(pax, b"path", &path);
            }
        }
    }

    fn set_kind(&self, header: &mut Header, pax: &mut Vec<u8>) -> Result<()> {
        let typeflag = match (&self.entry.kind, self.link_to) {
            (_, Some(target)) => {
                set_link(header, pax, target);
                EntryType::Link
            }
            (Kind::File { .. }, None) => EntryType::Regular,
            (Kind::Directory, None) => EntryType::Directory,
            (Kind::Symlink(target), None) => {
                set_link(header, pax, target);
                EntryType::Symlink
            }
            (Kind::CharDevice(device), None) => {
                self.set_device(header, device.major, device.minor)?;
                EntryType::Char
            }
            (Kind::BlockDevice(device), None) => {
                self.set_device(header, device.major, device.minor)?;
                EntryType::Block
            }
            (Kind::Fifo, None) => EntryType::Fifo,
            (Kind::Socket, None) => return Err(Error::Internal(format!("{} is a socket", self.entry.display()))),
        };
        header.set_entry_type(typeflag);
        Ok(())
    }

    fn set_device(&self, header: &mut Header, major: u32, minor: u32) -> Result<()> {
        if [major, minor].into_iter().any(|number| u64::from(number) > LARGEST_ID) {
            let reason =
                format!("no tar archive can hold the device numbers {major}, {minor}: each ends at {LARGEST_ID}");
            return Err(Error::rootfs(self.entry.display(), reason));
        }
        let failed = |error: std::io::Error| Error::Internal(format!("{}: {error}", self.entry.display()));
        header.set_device_major(major).map_err(failed)?;
        header.set_device_minor(minor).map_err(failed)
    }

    /// Attributes belong to the file, not to its names, so only the first name carries them.
    fn push_xattrs(&self, pax: &mut Vec<u8>) -> Result<()> {
        if self.link_to.is_some() {
            return Ok(());
        }
        for (name, value) in &*self.entry.xattrs {
            if name.contains(&b'=') {
                let reason = format!(
                    "its extended attribute {:?} has '=' in its name, which no tar archive can hold",
                    String::from_utf8_lossy(name)
                );
                return Err(Error::rootfs(self.entry.display(), reason));
            }
            push_record(pax, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        Ok(())
    }
}

/// How many bytes of padding follow `size` bytes of content.
pub fn padding(size: u64) -> usize {
    // The remainder is below the size of a block.
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn set_link(header: &mut Header, pax: &mut Vec<u8>, target: &[u8]) {
    let field = &mut header.as_old_mut().linkname;
    let fits = target.len().min(field.len());
    field[..fits].copy_from_slice(&target[..fits]);
    if target.len() > fits {
        push_record(pax, b"linkpath", target);
    }
}

/// `value`, or zero and a record in the extended header when the field can't hold it.
fn fit(pax: &mut Vec<u8>, key: &str, value: u64, largest: u64) -> u64 {
    if value <= largest {
        return value;
    }
    push_record(pax, key.as_bytes(), value.to_string().as_bytes());
    0
}

/// Parts a path at a slash so that both parts fit their fields, the first one empty if the second can take it all.
fn split(path: &[u8], prefix_length: usize, name_length: usize) -> Option<(&[u8], &[u8])> {
    if path.len() <= name_length {
        return Some((&[], path));
    }
    // The last byte is no place to part: a directory's own slash belongs to its name.
    let last = path.len().checked_sub(2)?.min(prefix_length);
    let slash = path[..=last].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (name.len() <= name_length && !prefix.is_empty()).then_some((prefix, name))
}

/// Appends `length key=value\n`, where the length counts itself. Source: POSIX.1-2017, pax, "pax Extended Header".
fn push_record(pax: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    pax.extend_from_slice(length.to_string().as_bytes());
    pax.push(b' ');
    pax.extend_from_slice(key);
    pax.push(b'=');
    pax.extend_from_slice(value);
    pax.push(b'\n');
}

fn write_pax_header(records: &[u8], out: &mut Vec<u8>) {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..PAX_NAME.len()].copy_from_slice(PAX_NAME);
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(records.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(records);
    out.resize(out.len() + padding(records.len() as u64), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::{Content, Device};
    use crate::untar::{Streamed, Untar};

    fn entry(path: &[u8], kind: Kind) -> Entry {
        Entry { kind, implied: false, ..Entry::implied_directory(path.to_vec()) }
    }

    fn header_of(entry: &Entry, mtime: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        Member { entry, mtime, link_to: None }.write_header(&mut bytes).unwrap();
        bytes
    }

    fn read(header: &[u8]) -> crate::untar::Member {
        Untar::new(Streamed(header)).next_member().unwrap().unwrap()
    }

    /// The records of the extended header in front, as `key=value`.
    fn records(header: &[u8]) -> Vec<String> {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        read(header).records.iter().map(|(key, value)| format!("{}={}", shown(key), shown(value))).collect()
    }

    #[test]
    fn what_fits_into_ustar_has_no_extended_header() {
        let mut largest = entry(&[b"d".repeat(155), b"n".repeat(99)].join(&b'/'), Kind::Directory);
        (largest.uid, largest.gid, largest.mode) = (2_097_151, 2_097_151, 0o7777);
        assert_eq!(header_of(&largest, 8_589_934_591).len(), BLOCK);
        let device = entry(b"dev/x", Kind::BlockDevice(Device { major: 4095, minor: 1_048_575 }));
        assert_eq!(header_of(&device, 0).len(), BLOCK);
        let link = entry(b"l", Kind::Symlink(b"t".repeat(100)));
        assert_eq!(header_of(&link, 0).len(), BLOCK);
    }

    #[test]
    fn what_does_not_fit_stands_in_the_extended_header_and_nothing_else_does() {
        let file = |size| Kind::File { size, content: Content::Empty };
        let mut owned = entry(b"f", file(0));
        (owned.uid, owned.gid) = (4_294_967_294, 2_097_152);
        let mut labelled = entry(b"f", file(0));
        labelled.xattrs = [(b"security.capability".to_vec(), b"\x01\0\n=".to_vec())].into();
        let long = "n".repeat(101);
        for (entry, mtime, expected) in [
            (entry(b"f", file(1 << 33)), 0, vec!["size=8589934592".to_owned()]),
            (owned, 0, vec!["uid=4294967294".into(), "gid=2097152".into()]),
            (entry(b"f", file(0)), -1, vec!["mtime=-1".into()]),
            (entry(b"f", file(0)), 1 << 33, vec!["mtime=8589934592".into()]),
            (entry(long.as_bytes(), file(0)), 0, vec![format!("path={long}")]),
            (entry(b"l", Kind::Symlink(long.clone().into())), 0, vec![format!("linkpath={long}")]),
            (labelled, 0, vec!["SCHILY.xattr.security.capability=\u{1}\0\n=".into()]),
        ] {
            assert_eq!(records(&header_of(&entry, mtime)), expected);
        }
    }

    #[test]
    fn a_name_of_any_bytes_stays_as_it_is() {
        let name = b"\xff\n \"\\";
        for path in [name.to_vec(), [&name[..], &b"x".repeat(200)].concat()] {
            let header = header_of(&entry(&path, Kind::Fifo), 0);
            assert_eq!(read(&header).path, path);
        }
    }

    #[test]
    fn what_no_archive_can_hold_is_an_error_that_names_it() {
        let mut labelled = entry(b"f", Kind::Fifo);
        labelled.xattrs = [(b"user.a=b".to_vec(), Vec::new())].into();
        let device = entry(b"dev/x", Kind::CharDevice(Device { major: 0, minor: 2_097_152 }));
        for (entry, said) in [(labelled, "\"/f\": its extended attribute \"user.a=b\""), (device, "\"/dev/x\": no tar")]
        {
            let error = Member { entry: &entry, mtime: 0, link_to: None }.write_header(&mut Vec::new()).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_record_counts_its_own_length() {
        // From 89 to 91 bytes on, counting the length itself adds a digit.
        for value in [1, 88, 89, 90, 91, 92, 987, 990] {
            let mut pax = Vec::new();
            push_record(&mut pax, b"uid", "x".repeat(value).as_bytes());
            let written = String::from_utf8(pax).unwrap();
            let (length, record) = written.split_once(' ').unwrap();
            assert_eq!(length.parse::<usize>().unwrap(), written.len());
            assert_eq!(record, format!("uid={}\n", "x".repeat(value)));
        }
    }

    #[test]
    fn a_path_is_parted_only_where_both_parts_fit() {
        let name = "n".repeat(100);
        let long = "p".repeat(155);
        for (path, parts) in [
            (name.clone(), Some(("", name.as_str()))),
            (format!("d/{name}"), Some(("d", name.as_str()))),
            (format!("{long}/{name}"), Some((long.as_str(), name.as_str()))),
            (format!("{long}p/{name}"), None),
            (format!("d/{name}n"), None),
            ("n".repeat(101), None),
            (format!("{}/", "n".repeat(100)), None),
            (format!("/{name}"), None),
        ] {
            let parts = parts.map(|(prefix, name)| (prefix.as_bytes(), name.as_bytes()));
            assert_eq!(split(path.as_bytes(), 155, 100), parts, "{path}");
        }
    }
}
