//! The members of a layer's tar stream.
//!
//! Source: image-spec v1.1.1, layer.md; POSIX.1-2017, pax.

use std::collections::BTreeMap;
use std::io::{self, Read};

use tar::EntryType;

use super::finding::Findings;
use super::stream::LayerStream;
use crate::digest::Digest;
use crate::error::Result;
use crate::progress::Progress;
use crate::untar::{Member, Streamed, Untar};

const BLOCK: u64 = 512;

/// Names that exist, with whether each is a directory.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<Vec<u8>, bool>);

impl Names {
    /// Takes out `path` and all that is below it.
    fn remove(&mut self, path: &[u8]) {
        if self.0.remove(path) == Some(true) {
            self.clear(path);
        }
    }

    /// Takes out all that is below the directory `path`.
    fn clear(&mut self, path: &[u8]) {
        if path.is_empty() {
            return self.0.clear();
        }
        // All that begins with "path/": '0' follows '/'.
        let (first, behind) = ([path, b"/"].concat(), [path, b"0"].concat());
        let below: Vec<_> = self.0.range(first..behind).map(|(path, _)| path.clone()).collect();
        for path in below {
            self.0.remove(&path);
        }
    }

    fn is_file(&self, path: &[u8]) -> bool {
        self.0.get(path) == Some(&false)
    }
}

/// Reads `stream` to its end and checks every member. `lower` has the names that the layers below it leave; those of
/// this one are added.
pub fn check_members(
    layer: &Digest,
    stream: &mut LayerStream<'_>,
    lower: &mut Names,
    findings: &mut Findings,
    progress: &Progress,
) -> Result<()> {
    let mut check = LayerCheck { layer, findings, lower, own: Names::default(), end: 0 };
    let outcome = check.members(stream, progress);
    let LayerCheck { own, lower, findings, end, .. } = check;
    lower.0.extend(own.0);
    let position = stream.position();
    // The rest of the stream belongs to the diff_id, however broken it is.
    let rest = Rest::read(stream);
    progress.check()?;
    let Ok(Rest { size, first_other }) = rest else {
        // Decompression failed, so what is missing is no fault of the tar stream.
        return Ok(());
    };
    match (outcome, first_other) {
        (Err(_), _) if position == end && size == 0 => {
            let message =
                format!("its tar stream stops after {end} bytes without the two blocks of zeros that end one");
            findings.add("layer-end", layer, message);
        }
        (Err(error), _) => {
            findings.add("layer-tar", layer, format!("it is no tar stream of complete members: {error}"));
        }
        (Ok(()), Some(other)) => {
            let message = format!(
                "its tar stream ends at byte {position} with a block of zeros, and {size} more bytes follow that are not \
                 all zero: the one at {} is not",
                position + other
            );
            findings.add("layer-trailing-bytes", layer, message);
        }
        (Ok(()), None) if size < BLOCK || size % BLOCK != 0 => {
            let zeros = BLOCK + size;
            let message =
                format!("its tar stream ends with {zeros} zeros, two or more blocks of {BLOCK} should end one");
            findings.add("layer-end", layer, message);
        }
        (Ok(()), None) => {}
    }
    Ok(())
}

/// What follows the first block of zeros.
struct Rest {
    size: u64,
    /// Where in it the first byte is that is not zero.
    first_other: Option<u64>,
}

impl Rest {
    fn read(stream: &mut LayerStream<'_>) -> io::Result<Self> {
        let mut rest = Self { size: 0, first_other: None };
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(rest),
                Ok(count) => {
                    let other = buffer[..count].iter().position(|byte| *byte != 0);
                    rest.first_other = rest.first_other.or(other.map(|other| rest.size + other as u64));
                    rest.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

struct LayerCheck<'a> {
    layer: &'a Digest,
    findings: &'a mut Findings,
    lower: &'a mut Names,
    own: Names,
    /// Where the last member ends, with what fills up its last block.
    end: u64,
}

impl LayerCheck<'_> {
    fn members(&mut self, stream: &mut LayerStream<'_>, progress: &Progress) -> io::Result<()> {
        let mut untar = Untar::new(Streamed(stream));
        while let Some(member) = untar.next_member()? {
            self.end = member.offset.saturating_add(member.size).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
            self.member(&member);
            progress.add_entry();
        }
        Ok(())
    }

    fn member(&mut self, member: &Member) {
        let kind = member.header.entry_type();
        let path = self.path(&member.path);
        if let Some(whiteout) = Whiteout::of(&path) {
            match whiteout {
                Whiteout::Opaque(directory) => self.lower.clear(directory),
                Whiteout::Of(removed) => self.lower.remove(&removed),
            }
        }
        match kind {
            EntryType::Link => self.hard_link(&member.path, &member.link),
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::Directory
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo => {}
            other => {
                let flag = char::from(other.as_byte());
                let message = format!("{} has type {flag:?}, those from '0' to '7' are due", show(&member.path));
                self.findings.add("entry-type", self.layer, message);
            }
        }
        if member.records.iter().any(|(key, _)| key.starts_with(b"GNU.sparse.")) {
            let message = format!("{} is sparse, which few readers can expand", show(&member.path));
            self.findings.add("entry-type", self.layer, message);
        }
        let is_directory = kind == EntryType::Directory;
        if !is_directory {
            // What was a directory below is one no longer.
            self.lower.remove(&path);
        }
        if self.own.0.insert(path, is_directory).is_some() {
            self.findings.add("duplicate-path", self.layer, format!("{} is there a second time", show(&member.path)));
        }
    }

    /// The member's name as one path has one name, after whatever is wrong with it was noted.
    fn path(&mut self, raw: &[u8]) -> Vec<u8> {
        if raw.starts_with(b"/") {
            let message = format!("{} is absolute, names begin at the root of the layer", show(raw));
            self.findings.add("absolute-path", self.layer, message);
        }
        if raw.split(|byte| *byte == b'/').any(|part| part == b"..") {
            let message = format!("{} has \"..\" in it, and could lead out of the layer", show(raw));
            self.findings.add("climbing-path", self.layer, message);
        }
        normal(raw)
    }

    fn hard_link(&mut self, raw: &[u8], raw_target: &[u8]) {
        let target = normal(raw_target);
        if !self.own.is_file(&target) && (self.own.0.contains_key(&target) || !self.lower.is_file(&target)) {
            let message = format!(
                "{} is a hard link to {}, which is no file before it in this layer or in those below",
                show(raw),
                show(raw_target)
            );
            self.findings.add("hard-link", self.layer, message);
        }
    }
}

/// What a member that marks something as deleted deletes. Source: image-spec v1.1.1, layer.md, "Whiteouts".
enum Whiteout<'a> {
    /// All that lower layers have in this directory.
    Opaque(&'a [u8]),
    /// This path of lower layers.
    Of(Vec<u8>),
}

impl<'a> Whiteout<'a> {
    fn of(path: &'a [u8]) -> Option<Self> {
        let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (parent, name) = path.split_at(start);
        Some(match name.strip_prefix(b".wh.")? {
            b".wh..opq" => Self::Opaque(parent.strip_suffix(b"/").unwrap_or(parent)),
            deleted => Self::Of([parent, deleted].concat()),
        })
    }
}

/// A path without `./`, doubled slashes and a slash at its end; the root is empty.
fn normal(raw: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = raw.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    parts.join(&b'/')
}

fn show(path: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(path))
}
