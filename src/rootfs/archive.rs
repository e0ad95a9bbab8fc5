//! Reads a root filesystem out of a tar archive.
//!
//! An archive has its entries in any order, and may have a path twice (the last one counts, as when it is unpacked). So its
//! headers are read once into a sorted index; contents stay where they are and are read when it is their turn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use tar::EntryType;

use super::Entries;
use super::entry::{Content, Device, Entry, Kind};
use super::merge::parents_of;
use super::xattr::XattrPolicy;
use crate::decompress;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::untar::{Member, Seekable, Untar};

/// Reads the archive `path`, the source with this number. One that is the only source tells `progress` the total.
///
/// # Errors
/// [`Error::Rootfs`] naming the archive or the member in it that is broken, absolute, climbs with `..`, is sparse, or
/// links to nothing.
pub fn open(
    path: &Path,
    source: usize,
    policy: &XattrPolicy,
    scratch: &dyn Fn() -> Result<File>,
    progress: &Progress,
    is_alone: bool,
) -> Result<Entries> {
    let file = plain_file(path, scratch, progress)?;
    let lower = BTreeMap::new();
    let entries = Index::new(path, file, source, policy, &lower).read(progress)?;
    if is_alone {
        progress.set_total(entries.len() as u64, content_bytes(&entries));
    }
    Ok(Box::new(entries.into_values().map(Ok)))
}

/// The entries of a layer, the plain bytes of which are in `file`, called `name` in messages: whiteouts are entries like
/// others, and so are directories that only paths imply. A hard link may point at what `lower` has, which is what the
/// layers below it make.
///
/// # Errors
/// Those of [`open`].
pub fn read_layer(
    file: File,
    name: &Path,
    source: usize,
    policy: &XattrPolicy,
    lower: &BTreeMap<Vec<u8>, Entry>,
    progress: &Progress,
) -> Result<BTreeMap<Vec<u8>, Entry>> {
    Index { is_layer: true, ..Index::new(name, file, source, policy, lower) }.read(progress)
}

/// What has several names has its content once.
fn content_bytes(entries: &BTreeMap<Vec<u8>, Entry>) -> u64 {
    let mut shared = BTreeSet::new();
    let mut size_of = |entry: &Entry| match entry.kind {
        Kind::File { size, .. } if entry.inode.is_none_or(|inode| shared.insert(inode)) => size,
        _ => 0,
    };
    entries.values().map(&mut size_of).sum()
}

/// The archive itself if it is plain, else its unpacked bytes in a file without a name.
fn plain_file(path: &Path, scratch: &dyn Fn() -> Result<File>, progress: &Progress) -> Result<File> {
    let reading = || Error::io("read", path);
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (format, mut plain) =
        decompress::reader(BufReader::new(file.try_clone().map_err(reading())?)).map_err(reading())?;
    if format == decompress::Format::Plain {
        file.seek(SeekFrom::Start(0)).map_err(reading())?;
        return Ok(file);
    }
    let mut unpacked = scratch()?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        progress.check()?;
        let count = plain.read(&mut buffer).map_err(|error| broken(path, &error))?;
        if count == 0 {
            break;
        }
        unpacked.write_all(&buffer[..count]).map_err(Error::io("write the unpacked bytes of", path))?;
    }
    unpacked.seek(SeekFrom::Start(0)).map_err(Error::io("read the unpacked bytes of", path))?;
    Ok(unpacked)
}

fn broken(archive: &Path, error: &io::Error) -> Error {
    Error::rootfs(archive, format!("it is no complete tar archive: {error}"))
}

struct Index<'a> {
    archive: &'a Path,
    file: Arc<File>,
    source: usize,
    policy: &'a XattrPolicy,
    lower: &'a BTreeMap<Vec<u8>, Entry>,
    /// In layers names may begin with a slash, as in those that `ko` writes, which all that unpacks them leaves out; and what
    /// is below a file here may be below a directory in the end.
    is_layer: bool,
    entries: BTreeMap<Vec<u8>, Entry>,
    inodes: u64,
}

impl<'a> Index<'a> {
    fn new(
        archive: &'a Path,
        file: File,
        source: usize,
        policy: &'a XattrPolicy,
        lower: &'a BTreeMap<Vec<u8>, Entry>,
    ) -> Self {
        Self {
            archive,
            file: Arc::new(file),
            source,
            policy,
            lower,
            is_layer: false,
            entries: BTreeMap::new(),
            inodes: 0,
        }
    }

    fn read(mut self, progress: &Progress) -> Result<BTreeMap<Vec<u8>, Entry>> {
        let handle = self.file.try_clone().map_err(Error::io("read", self.archive))?;
        let mut archive = Untar::new(Seekable(handle));
        while let Some(member) = archive.next_member().map_err(|error| broken(self.archive, &error))? {
            progress.check()?;
            self.add(&member)?;
        }
        self.add_implied_directories();
        if !self.is_layer {
            self.refuse_what_is_below_no_directory()?;
        }
        Ok(self.entries)
    }

    /// An archive that contradicts itself: nobody could unpack the image. Layers may, because those above them decide.
    fn refuse_what_is_below_no_directory(&self) -> Result<()> {
        let is_none = |path: &[u8]| self.entries.get(path).is_some_and(|entry| !entry.is_directory());
        if is_none(&[]) {
            return Err(self.member(b"./", "the root of the archive is no directory"));
        }
        for path in self.entries.keys() {
            if let Some(parent) = parents_of(path).find(|parent| is_none(parent)) {
                let parent = String::from_utf8_lossy(parent);
                return Err(self.member(path, format!("it lies below {parent:?}, which is no directory")));
            }
        }
        Ok(())
    }

    fn add(&mut self, member: &Member) -> Result<()> {
        let path = self.clean(&member.path)?;
        let pax = Pax::read(&member.records).map_err(|reason| self.member(&member.path, reason))?;
        let header = &member.header;
        let number = |field: &str, value: io::Result<u64>| {
            value
                .and_then(|value| u32::try_from(value).map_err(io::Error::other))
                .map_err(|error| self.member(&member.path, format!("its {field} is no number that fits: {error}")))
        };
        let device = || -> Result<Device> {
            let part =
                |field, value: io::Result<Option<u32>>| number(field, value.map(|value| u64::from(value.unwrap_or(0))));
            Ok(Device {
                major: part("major number", header.device_major())?,
                minor: part("minor number", header.device_minor())?,
            })
        };
        let kind = match header.entry_type() {
            // Before ustar, a name that ends with a slash was what made a directory.
            EntryType::Regular if member.path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File {
                size: member.size,
                content: Content::Slice {
                    file: Arc::clone(&self.file),
                    name: self.archive.to_owned(),
                    offset: member.offset,
                },
            },
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(member.link.clone()),
            EntryType::Char => Kind::CharDevice(device()?),
            EntryType::Block => Kind::BlockDevice(device()?),
            EntryType::Fifo => Kind::Fifo,
            EntryType::Link => return self.add_hard_link(member, path),
            EntryType::GNUSparse => return Err(self.member(&member.path, SPARSE)),
            other => {
                let reason = format!("it has the unknown type {:?}", char::from(other.as_byte()));
                return Err(self.member(&member.path, reason));
            }
        };
        let mtime = match pax.mtime {
            Some(mtime) => mtime,
            None => header.mtime().map_err(|error| broken(self.archive, &error))?.cast_signed(),
        };
        let (kept, left_out): (Vec<_>, Vec<_>) = pax.xattrs.into_iter().partition(|(name, _)| self.policy.keeps(name));
        let entry = Entry {
            path: path.clone(),
            kind,
            mode: number("mode", header.mode().map(u64::from))? & 0o7777,
            uid: number("owner", pax.uid.map_or_else(|| header.uid(), Ok))?,
            gid: number("group", pax.gid.map_or_else(|| header.gid(), Ok))?,
            mtime,
            xattrs: kept.into(),
            xattrs_left_out: left_out.len() as u64,
            inode: None,
            implied: false,
        };
        self.entries.insert(path, entry);
        Ok(())
    }

    /// A hard link is another name of what stands earlier in the archive, with all of its attributes.
    fn add_hard_link(&mut self, member: &Member, path: Vec<u8>) -> Result<()> {
        let target = self.clean(&member.link)?;
        if let (false, Some(entry)) = (self.entries.contains_key(&target), self.lower.get(&target)) {
            self.entries.insert(target.clone(), entry.clone());
        }
        let Some(entry) = self.entries.get_mut(&target).filter(|entry| !matches!(entry.kind, Kind::Directory)) else {
            let target = String::from_utf8_lossy(&target).into_owned();
            return Err(
                self.member(&member.path, format!("it is a hard link to {target:?}, which is no file before it"))
            );
        };
        if entry.inode.is_none() {
            self.inodes += 1;
            entry.inode = Some((self.source, 0, self.inodes));
        }
        let other_name = Entry { path: path.clone(), ..entry.clone() };
        self.entries.insert(path, other_name);
        Ok(())
    }

    fn clean(&self, raw: &[u8]) -> Result<Vec<u8>> {
        if raw.starts_with(b"/") && !self.is_layer {
            return Err(self.member(raw, "its name is absolute; names begin at the root of the archive"));
        }
        let mut parts = Vec::new();
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(self.member(raw, "its name climbs out with '..'")),
                _ => parts.push(part),
            }
        }
        Ok(parts.join(&b'/'))
    }

    fn member(&self, path: &[u8], reason: impl Display) -> Error {
        Error::rootfs(self.archive, format!("member {:?}: {reason}", String::from_utf8_lossy(path)))
    }

    fn add_implied_directories(&mut self) {
        let missing: Vec<Vec<u8>> = self
            .entries
            .keys()
            .flat_map(|path| parents_of(path))
            .chain([&[][..]])
            .filter(|parent| !self.entries.contains_key(*parent))
            .map(<[u8]>::to_vec)
            .collect();
        for path in missing {
            self.entries.insert(path.clone(), Entry::implied_directory(path));
        }
    }
}

/// A sparse member's content is not what stands in the archive, so it would be packed wrongly.
const SPARSE: &str = "it is sparse; only archives made without --sparse are read";

/// XATTR_SIZE_MAX of Linux, in bytes.
const LARGEST_ATTRIBUTE: usize = 64 << 10;

/// What the extended header of a member says. Source: POSIX.1-2017, pax, "pax Extended Header", and the SCHILY keys of star.
#[derive(Default)]
struct Pax {
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pax {
    fn read(records: &[(Vec<u8>, Vec<u8>)]) -> Result<Self, String> {
        let mut pax = Self::default();
        for (key, value) in records {
            match key.as_slice() {
                b"uid" => pax.uid = Some(number(key, value)?),
                b"gid" => pax.gid = Some(number(key, value)?),
                b"mtime" => pax.mtime = Some(whole_seconds(key, value)?),
                b"SCHILY.acl.access" | b"SCHILY.acl.default" => {
                    // Names in the text would have to be looked up, on a machine that need not know them.
                    return Err("its ACL is stored as text; archives made with --xattrs --xattrs-include='*' and \
                                without --acls hold it as it is"
                        .to_owned());
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(SPARSE.to_owned()),
                key => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        if value.len() > LARGEST_ATTRIBUTE {
                            let name = String::from_utf8_lossy(name);
                            return Err(format!(
                                "its extended attribute {name:?} has {} bytes, and Linux takes {LARGEST_ATTRIBUTE}",
                                value.len()
                            ));
                        }
                        // The last of several counts.
                        pax.xattrs.retain(|(earlier, _)| earlier != name);
                        pax.xattrs.push((name.to_vec(), value.clone()));
                    }
                }
            }
        }
        pax.xattrs.sort();
        pax.refuse_attributes_in_another_form(records)?;
        Ok(pax)
    }

    /// libarchive writes each attribute in its own encoding and in star's; one in its own alone would be lost.
    fn refuse_attributes_in_another_form(&self, records: &[(Vec<u8>, Vec<u8>)]) -> Result<(), String> {
        let mut libarchive = records.iter().filter_map(|(key, _)| key.strip_prefix(b"LIBARCHIVE.xattr."));
        match libarchive.find(|name| !self.xattrs.iter().any(|(kept, _)| kept == name)) {
            Some(name) => Err(format!(
                "its extended attribute {:?} is stored in libarchive's form alone, which is not read",
                String::from_utf8_lossy(name)
            )),
            None => Ok(()),
        }
    }
}

fn number<T: FromStr>(key: &[u8], value: &[u8]) -> Result<T, String> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
        format!("its extended header says {key}={value}")
    })
}

/// Rounds down, as the file system's own whole seconds do.
fn whole_seconds(key: &[u8], value: &[u8]) -> Result<i64, String> {
    let (whole, fraction) = match value.iter().position(|byte| *byte == b'.') {
        Some(point) => (&value[..point], &value[point + 1..]),
        None => (value, &[][..]),
    };
    let seconds: i64 = number(key, whole)?;
    let below_zero = whole.starts_with(b"-") && fraction.iter().any(|digit| *digit != b'0');
    if below_zero { seconds.checked_sub(1).map_or_else(|| number(key, value), Ok) } else { Ok(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_values_counts_and_none_is_too_large() {
        let record = |value: &[u8]| (b"SCHILY.xattr.user.a".to_vec(), value.to_vec());
        let pax = Pax::read(&[record(b"2"), record(b"1")]).unwrap();
        assert_eq!(pax.xattrs, [(b"user.a".to_vec(), b"1".to_vec())]);
        assert!(Pax::read(&[record(&[0; LARGEST_ATTRIBUTE])]).is_ok());
        let found = Pax::read(&[record(&[0; LARGEST_ATTRIBUTE + 1])]).err().unwrap();
        assert_eq!(found, "its extended attribute \"user.a\" has 65537 bytes, and Linux takes 65536");
    }

    #[test]
    fn fractions_of_a_second_are_rounded_down() {
        for (text, seconds) in [("5", 5), ("5.9", 5), ("-1", -1), ("-1.0", -1), ("-1.5", -2), ("-0.5", -1)] {
            assert_eq!(whole_seconds(b"mtime", text.as_bytes()), Ok(seconds), "{text}");
        }
        let least = "-9223372036854775808.5";
        assert_eq!(whole_seconds(b"mtime", least.as_bytes()), Err(format!("its extended header says mtime={least}")));
        assert_eq!(whole_seconds(b"mtime", b"x"), Err("its extended header says mtime=x".to_owned()));
    }
}
