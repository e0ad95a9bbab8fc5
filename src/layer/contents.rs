//! What the new layers of an image are made of.

use crate::package::Tree;
use crate::rootfs::Entry;

/// A root filesystem, and what of it the new layers have to hold.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// All of the root filesystem, sorted by path. Parents of what is stored are taken from here.
    pub entries: Vec<Entry>,
    /// Of each entry, whether a new layer holds it; otherwise a base image does.
    pub is_stored: Vec<bool>,
    /// Paths of a base image that are not in the root filesystem, sorted: the lowest new layer takes them away.
    pub whiteouts: Vec<Vec<u8>>,
    /// What a user should know of how it fits a base image, a line each.
    pub notes: Vec<String>,
}

impl Contents {
    /// Everything is stored, because there is nothing below.
    pub fn all(entries: Vec<Entry>) -> Self {
        let is_stored = vec![true; entries.len()];
        Self { entries, is_stored, ..Self::default() }
    }

    /// The numbers of the entries that are stored, in order.
    pub fn stored(&self) -> impl Iterator<Item = usize> {
        self.is_stored.iter().enumerate().filter(|(_, is_stored)| **is_stored).map(|(number, _)| number)
    }

    /// Whether a base image has all of it, and nothing besides.
    pub fn is_nothing(&self) -> bool {
        self.stored().next().is_none() && self.whiteouts.is_empty()
    }

    /// The number of the entry with this path.
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path[..].cmp(path)).ok()
    }

    /// The number of the entry that an absolute path leads to, links on the way followed.
    pub fn resolve(&self, path: &[u8]) -> Option<usize> {
        Tree::new(&self.entries).find(path)
    }

    /// The number of the directory that an absolute path leads to, links followed.
    pub fn resolve_directory(&self, path: &[u8]) -> Option<usize> {
        self.find(&Tree::new(&self.entries).directory(path)?)
    }
}
