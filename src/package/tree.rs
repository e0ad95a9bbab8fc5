//! A root filesystem's entries as something in which paths are looked up.
//!
//! A database says `/bin/ls` where the tree has a link `bin` to `usr/bin`: links are followed, never out of the root.

use std::collections::VecDeque;

use super::text::Text;
use crate::error::{Error, Result};
use crate::rootfs::{Entry, Kind};

/// As many links as Linux follows on the way to one file.
const MOST_LINKS: usize = 40;

/// All entries of a root filesystem, sorted by path.
pub struct Tree<'a> {
    entries: &'a [Entry],
    /// The directory that was asked for last, and where it really is: databases list siblings together.
    last: (Vec<u8>, Option<Vec<u8>>),
}

impl<'a> Tree<'a> {
    /// The tree of `entries`.
    pub fn new(entries: &'a [Entry]) -> Self {
        Self { entries, last: (Vec::new(), Some(Vec::new())) }
    }

    /// The entries, in whose order [`Tree::find`] numbers them.
    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    /// The number of the entry that `path` leads to: links on the way are followed, one at its end is not.
    pub fn find(&mut self, path: &[u8]) -> Option<usize> {
        let path = trim(path);
        if let Some(number) = self.at(path) {
            return Some(number);
        }
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        if matches!(name, b"" | b"." | b"..") {
            return self.at(&self.directory(path)?);
        }
        if self.last.0 != parent {
            self.last = (parent.to_vec(), self.directory(parent));
        }
        self.at(&join(self.last.1.as_ref()?, name))
    }

    /// The real path of the directory that `path` leads to, if it is one.
    pub fn directory(&self, path: &[u8]) -> Option<Vec<u8>> {
        let split = |path: &'_ [u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<VecDeque<_>>();
        let (mut real, mut ahead, mut links) = (Vec::new(), split(path), 0);
        while let Some(name) = ahead.pop_front() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    real.truncate(real.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&real, &name);
            match &self.entries[self.at(&next)?].kind {
                Kind::Directory => real = next,
                Kind::Symlink(target) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        real.clear();
                    }
                    let mut target = split(target);
                    target.append(&mut ahead);
                    ahead = target;
                }
                _ => return None,
            }
        }
        Some(real)
    }

    /// The names of what is in the directory `path`, as far as they are UTF-8; none where there is no directory.
    pub fn children(&self, path: &str) -> Vec<String> {
        let Some(real) = self.directory(path.as_bytes()) else { return Vec::new() };
        let inside = join(&real, b"");
        let first = self.entries.partition_point(|entry| entry.path < inside);
        let below = self.entries[first..].iter().map_while(|entry| entry.path.strip_prefix(inside.as_slice()));
        let names = below.filter(|rest| !rest.is_empty() && !rest.contains(&b'/'));
        names.filter_map(|name| std::str::from_utf8(name).ok()).map(str::to_owned).collect()
    }

    /// Whether this entry is a directory, or a link that leads to one.
    pub fn leads_to_a_directory(&self, number: usize) -> bool {
        let entry = &self.entries[number];
        match entry.kind {
            Kind::Directory => true,
            Kind::Symlink(_) => self.directory(&entry.path).is_some(),
            _ => false,
        }
    }

    /// The file at `path`, or nothing where nothing is.
    ///
    /// # Errors
    /// [`Error::Packages`] when it is something else than a file, [`Error::Io`] when it can't be read.
    pub fn read(&mut self, path: &str) -> Result<Option<Text>> {
        let Some(number) = self.find(path.as_bytes()) else { return Ok(None) };
        let entry = &self.entries[number];
        let Kind::File { size, content } = &entry.kind else {
            return Err(Error::packages(entry.display(), "a package database's file stands here, and this is no file"));
        };
        let reader = std::io::Read::take(content.open()?, *size);
        Text::read(entry.display().into(), reader).map(Some)
    }

    fn at(&self, path: &[u8]) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path.as_slice().cmp(path)).ok()
    }
}

/// Databases write `/a`, `./a`, `a/` or `/.`; entries have none of that.
fn trim(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let path = &path[start..];
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    path[..end].strip_prefix(b"./").unwrap_or(&path[..end])
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}
