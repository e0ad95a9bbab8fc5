//! Reads a tar archive member by member: ustar, pax and the GNU long names.
//!
//! Header fields are decoded by the `tar` crate. Its own reader is not used, because it parts the records of extended
//! headers at line ends, and an extended attribute may well contain one: a file capability with the byte 0x0a would be
//! lost, and a hostile attribute could pass for a path.
//!
//! Source: POSIX.1-2017, pax, "pax Interchange Format"; GNU tar's manual, "GNU tar and POSIX tar".

use std::io::{self, Read, Seek, SeekFrom};

use tar::{EntryType, Header};

/// The unit of a tar archive in bytes.
const BLOCK: u64 = 512;

/// The longest extended header or long name that is read into memory. Linux allows 64 KiB for the value of one attribute.
const LONGEST_EXTENSION: u64 = 16 << 20;

/// The longest name and the longest target of a link in bytes: PATH_MAX of Linux.
const LONGEST_NAME: usize = 4096;

/// A source of bytes that can leave some out.
pub trait Skip: Read {
    /// Passes over `count` bytes. Passing over the end shows at the next read.
    ///
    /// # Errors
    /// What reading or seeking gives.
    fn skip(&mut self, count: u64) -> io::Result<()>;
}

/// A file, which passes over bytes without reading them.
pub struct Seekable<S>(pub S);

/// A stream, which passes over bytes by reading them.
pub struct Streamed<R>(pub R);

impl<S: Read> Read for Seekable<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Read + Seek> Skip for Seekable<S> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = i64::try_from(count).map_err(io::Error::other)?;
        self.0.seek(SeekFrom::Current(count)).map(drop)
    }
}

impl<R: Read> Read for Streamed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Skip for Streamed<R> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut (&mut self.0).take(count), &mut io::sink()).map(drop)
    }
}

/// One member of an archive.
pub struct Member {
    /// Its header.
    pub header: Header,
    /// Its name as it stands in the archive, from wherever it stands.
    pub path: Vec<u8>,
    /// What a link points to, from wherever it stands.
    pub link: Vec<u8>,
    /// The length of its content in bytes.
    pub size: u64,
    /// Where in the archive its content begins.
    pub offset: u64,
    /// The records of its extended header, in order.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An archive being read. Between two members, reading from it gives the first one's content.
pub struct Untar<R> {
    reader: R,
    position: u64,
    content: u64,
    padding: u64,
}

impl<R: Skip> Untar<R> {
    /// Reads the archive that begins where `reader` stands.
    pub fn new(reader: R) -> Self {
        Self { reader, position: 0, content: 0, padding: 0 }
    }

    /// The next member, or `None` at the block of zeros that ends an archive.
    ///
    /// # Errors
    /// `UnexpectedEof` when the archive ends in any other way, `InvalidData` when a header is none, and what reading gives.
    pub fn next_member(&mut self) -> io::Result<Option<Member>> {
        let mut records = Vec::new();
        let mut long_name = None;
        let mut long_link = None;
        loop {
            let Some(header) = self.next_header()? else {
                return match (records.is_empty(), &long_name, &long_link) {
                    (true, None, None) => Ok(None),
                    _ => Err(invalid("an extended header has no member behind it")),
                };
            };
            match header.entry_type() {
                EntryType::XHeader => records = parse_records(&self.extension(&header)?)?,
                EntryType::XGlobalHeader => refuse_global(&parse_records(&self.extension(&header)?)?)?,
                EntryType::GNULongName => long_name = Some(until_nul(self.extension(&header)?)),
                EntryType::GNULongLink => long_link = Some(until_nul(self.extension(&header)?)),
                _ => return self.member(header, records, long_name, long_link).map(Some),
            }
        }
    }

    fn next_header(&mut self) -> io::Result<Option<Header>> {
        let too_large = || invalid("a member claims more bytes than any archive can have");
        let skipped = self.content.checked_add(self.padding).ok_or_else(too_large)?;
        let position = self.position.checked_add(skipped).ok_or_else(too_large)?;
        self.reader.skip(skipped)?;
        self.position = position;
        (self.content, self.padding) = (0, 0);
        let mut header = Header::new_old();
        self.reader.read_exact(header.as_mut_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "it ends before its end is marked"),
            _ => error,
        })?;
        self.position += BLOCK;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if header.cksum().ok() != Some(checksum(&header)) {
            return Err(invalid(&format!("at byte {} there is no header", self.position - BLOCK)));
        }
        self.expect_content(header.entry_size()?);
        Ok(Some(header))
    }

    fn expect_content(&mut self, size: u64) {
        self.content = size;
        self.padding = size.wrapping_neg() % BLOCK;
    }

    fn extension(&mut self, header: &Header) -> io::Result<Vec<u8>> {
        if self.content > LONGEST_EXTENSION {
            let kind = char::from(header.entry_type().as_byte());
            return Err(invalid(&format!("an extended header of type {kind:?} claims {} bytes", self.content)));
        }
        let mut bytes = vec![0; self.content as usize];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn member(
        &mut self,
        header: Header,
        records: Vec<(Vec<u8>, Vec<u8>)>,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> io::Result<Member> {
        // The last one counts, and an empty one says that the header does.
        let record = |wanted: &str| {
            let last = records.iter().rev().find(|(key, _)| key == wanted.as_bytes());
            last.map(|(_, value)| value).filter(|value| !value.is_empty())
        };
        if let Some(size) = record("size") {
            let size = std::str::from_utf8(size).ok().and_then(|text| text.parse().ok());
            self.expect_content(size.ok_or_else(|| invalid("the size in an extended header is no number"))?);
        }
        // Links, devices and directories have no content, whatever their header says of a size; types that are not known
        // are read like regular files.
        if matches!(
            header.entry_type(),
            EntryType::Link
                | EntryType::Symlink
                | EntryType::Char
                | EntryType::Block
                | EntryType::Directory
                | EntryType::Fifo
        ) {
            self.expect_content(0);
        }
        let path = record("path").cloned().or(long_name).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = record("linkpath").cloned().or(long_link);
        let link = link.or_else(|| header.link_name_bytes().map(|link| link.into_owned())).unwrap_or_default();
        for (what, name) in [("name", &path), ("link's target", &link)] {
            if name.len() > LONGEST_NAME {
                return Err(invalid(&format!("a {what} has {} bytes, and Linux takes {LONGEST_NAME}", name.len())));
            }
        }
        // A header's field ends there: what is written again would not be what was checked.
        let names = records.iter().map(|(key, _)| key).chain([&path, &link]);
        if let Some(name) = names.into_iter().find(|name| name.contains(&0)) {
            return Err(invalid(&format!("the name {:?} has a byte 0", String::from_utf8_lossy(name))));
        }
        Ok(Member { path, link, size: self.content, offset: self.position, header, records })
    }
}

impl<R: Read> Read for Untar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        let count = self.reader.read(&mut buffer[..wanted])?;
        self.content -= count as u64;
        self.position += count as u64;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends inside a member"));
        }
        Ok(count)
    }
}

/// Parts `length key=value\n` records by their length. Source: POSIX.1-2017, pax, "pax Extended Header".
fn parse_records(mut bytes: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = split_record(bytes).ok_or_else(|| invalid("an extended header has a broken record"))?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

type Record = (Vec<u8>, Vec<u8>);

fn split_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((record[..equals].to_vec(), record[equals + 1..].to_vec()), &bytes[length..]))
}

/// git leaves a comment for the whole archive. Anything else would change members that do not say so themselves.
fn refuse_global(records: &[Record]) -> io::Result<()> {
    match records.iter().find(|(key, _)| key != b"comment") {
        Some((key, _)) => Err(invalid(&format!(
            "it has a global extended header with {:?}, of which only \"comment\" is read",
            String::from_utf8_lossy(key)
        ))),
        None => Ok(()),
    }
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}

/// The sum of all bytes, those of the checksum's own field taken as spaces.
fn checksum(header: &Header) -> u32 {
    const FIELD: std::ops::Range<usize> = 148..156;
    let bytes = header.as_bytes().iter().enumerate();
    bytes.map(|(place, byte)| if FIELD.contains(&place) { u32::from(b' ') } else { u32::from(*byte) }).sum()
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(records: &[(&str, &[u8])], content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions(records.iter().copied()).unwrap();
        let mut header = Header::new_ustar();
        header.set_path("short").unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, content).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_line_end_inside_a_value_parts_nothing() {
        let value = b"\x01\n14 path=evil\n";
        let bytes = archive(&[("SCHILY.xattr.user.x", value)], b"content");
        let mut untar = Untar::new(Streamed(&bytes[..]));
        let member = untar.next_member().unwrap().unwrap();
        assert_eq!(member.path, b"short");
        assert_eq!(member.records, [(b"SCHILY.xattr.user.x".to_vec(), value.to_vec())]);
        let mut content = Vec::new();
        untar.by_ref().take(member.size).read_to_end(&mut content).unwrap();
        assert_eq!(content, b"content");
        assert!(untar.next_member().unwrap().is_none());
    }

    #[test]
    fn names_that_no_file_can_have_are_refused() {
        let long = vec![b'a'; LONGEST_NAME + 1];
        let records: [(&str, &[u8], &str); 5] = [
            ("path", b"..\0p/x", "has a byte 0"),
            ("linkpath", b"t\0u", "has a byte 0"),
            ("SCHILY.xattr.user.a\0b", b"1", "has a byte 0"),
            ("path", &long, "a name has 4097 bytes, and Linux takes 4096"),
            ("linkpath", &long, "a link's target has 4097 bytes"),
        ];
        for (key, value, reason) in records {
            let bytes = archive(&[(key, value)], b"");
            let found = Untar::new(Streamed(&bytes[..])).next_member().err().unwrap().to_string();
            assert!(found.contains(reason), "{key}: {found}");
        }
    }

    #[test]
    fn an_empty_record_leaves_it_to_the_header() {
        let bytes = archive(&[("path", b"earlier"), ("path", b""), ("size", b"")], b"content");
        let member = Untar::new(Streamed(&bytes[..])).next_member().unwrap().unwrap();
        assert_eq!((member.path, member.size), (b"short".to_vec(), 7));
    }

    #[test]
    fn a_member_that_nobody_reads_is_passed_over() {
        let bytes = archive(&[("path", b"long"), ("linkpath", b"target")], &[7; 1000]);
        check(Untar::new(Seekable(io::Cursor::new(&bytes))), &bytes);
        check(Untar::new(Streamed(io::Cursor::new(&bytes))), &bytes);

        fn check(mut untar: Untar<impl Skip>, bytes: &[u8]) {
            let member = untar.next_member().unwrap().unwrap();
            assert_eq!((member.path, member.link, member.size), (b"long".to_vec(), b"target".to_vec(), 1000));
            assert_eq!(&bytes[member.offset as usize..][..1000], &[7; 1000]);
            assert!(untar.next_member().unwrap().is_none());
        }
    }

    #[test]
    fn what_is_cut_off_or_broken_is_an_error() {
        let bytes = archive(&[("path", b"long")], &[7; 1000]);
        let mut wrong = bytes.clone();
        wrong[0] ^= 1;
        for (bytes, said) in [
            (&bytes[..2048 + 512], "it ends before its end is marked"),
            (&bytes[..515], "it ends inside a member"),
            (&bytes[..0], "it ends before its end is marked"),
            (&wrong[..], "at byte 0 there is no header"),
        ] {
            let mut untar = Untar::new(Streamed(bytes));
            let error = std::iter::repeat_with(|| untar.next_member()).find_map(Result::err).unwrap();
            assert_eq!(error.to_string(), said);
        }
        for records in [&b"8 uid=12\n"[..], b"x uid=1\n", b"9 uid=1  ", b"7 uid1\n", b"0 uid=1\n"] {
            assert!(parse_records(records).is_err(), "{:?}", String::from_utf8_lossy(records));
        }
    }
}
