//! Which package owns which path of a root filesystem.
//!
//! Each source says which packages there are and which paths they claim; `claims` makes owners out of that, by the same
//! rules for every source. `docs/packages.md` states them.

mod apk;
mod claims;
mod control;
mod database;
mod dpkg;
mod manifest;
mod names;
mod opkg;
mod pkgdata;
#[cfg(test)]
mod sample;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::rootfs::Entry;

use claims::Claims;
pub use source::Source;
pub use tree::Tree;

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Its name. Of a package for another architecture than the root filesystem's it is `name:architecture`.
    pub name: String,
    /// Its version; empty where the source does not tell.
    pub version: String,
    /// The recipe or source package that it was made from; its own name where the source does not tell.
    pub recipe: String,
    /// The installed packages that it needs directly, sorted.
    pub depends: Vec<String>,
}

/// How packages and paths fit together, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Packages.
    pub packages: u64,
    /// Those of them that own no path.
    pub without_files: u64,
    /// Entries other than directories that a package owns.
    pub owned: u64,
    /// Entries other than directories that no package owns.
    pub unowned: u64,
    /// Entries that several packages claim, other than directories and links to them.
    pub claimed_twice: u64,
    /// Claims on paths that the root filesystem does not have.
    pub missing: u64,
}

/// Which package owns which path of a root filesystem.
#[derive(Clone, Debug)]
pub struct Packages {
    source: Source,
    /// Sorted by name.
    packages: Vec<Package>,
    /// Which of them are installed for certain, or own a path.
    is_listed: Vec<bool>,
    /// Further names of packages.
    aliases: BTreeMap<String, usize>,
    /// Path and owner, sorted by path.
    owners: Vec<(Box<[u8]>, usize)>,
    counts: Counts,
    /// Where the package managers' databases are.
    databases: Vec<Vec<u8>>,
}

/// Reads a database out of a tree, if the tree has it.
type Read = for<'a> fn(Tree<'a>) -> Result<Option<Claims<'a>>>;

/// The databases that are looked for.
const DATABASES: [(Source, Read); 3] =
    [(Source::Dpkg, dpkg::read), (Source::Opkg, opkg::read), (Source::Apk, apk::read)];

/// The packages of a database that was asked for, and so must be there.
fn present(source: &Source, claims: Option<Claims<'_>>) -> Result<Packages> {
    let claims =
        claims.ok_or_else(|| Error::packages("/", format!("the root filesystem has no database of {source}")))?;
    Ok(claims.decide(source.clone()))
}

impl Packages {
    /// Reads `source`. `entries` is the whole root filesystem, sorted by path: it has the databases, and the directory
    /// links through which the paths in them are resolved.
    ///
    /// # Errors
    /// [`Error::Packages`] naming file and line of what can't be understood, or the database that is not there;
    /// [`Error::Io`] for what can't be read.
    pub fn read(source: &Source, entries: &[Entry]) -> Result<Self> {
        let tree = Tree::new(entries);
        match source {
            Source::Auto => Self::find(entries),
            Source::Dpkg => present(source, dpkg::read(tree)?),
            Source::Opkg => present(source, opkg::read(tree)?),
            Source::Apk => present(source, apk::read(tree)?),
            Source::Pkgdata { directory, installed } => {
                Ok(pkgdata::read(directory, installed.as_deref(), tree)?.decide(source.clone()))
            }
            Source::Manifest(file) => Ok(manifest::read(file, tree)?.decide(source.clone())),
            Source::None => Ok(Claims::new(tree, true).decide(Source::None)),
        }
    }

    /// Reads the database that the root filesystem has; of several the one with the most packages.
    fn find(entries: &[Entry]) -> Result<Self> {
        let mut best: Option<Self> = None;
        for (source, read) in DATABASES {
            let Some(claims) = read(Tree::new(entries))? else { continue };
            let found = claims.decide(source);
            if best.as_ref().is_none_or(|best| best.counts.packages < found.counts.packages) {
                best = Some(found);
            }
        }
        match (best, database::of_rpm(&Tree::new(entries))) {
            (Some(best), _) => Ok(best),
            (None, Some(rpm)) => Err(Error::packages(
                rpm,
                "rpm's database is not read: package data of its systems comes from a manifest",
            )),
            (None, None) => Self::read(&Source::None, entries),
        }
    }

    /// No packages: every path is without owner.
    pub fn empty() -> Self {
        Claims::new(Tree::new(&[]), true).decide(Source::None)
    }

    /// The package that owns the entry with this path.
    pub fn owner(&self, path: &[u8]) -> Option<&Package> {
        let place = self.owners.binary_search_by(|(owned, _)| (**owned).cmp(path)).ok()?;
        self.packages.get(self.owners[place].1)
    }

    /// The installed package with this name.
    pub fn get(&self, name: &str) -> Option<&Package> {
        let by_name = self.packages.binary_search_by(|package| package.name.as_str().cmp(name));
        by_name.ok().or_else(|| self.aliases.get(name).copied()).and_then(|place| self.packages.get(place))
    }

    /// The packages that a database calls installed or that own a path, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().zip(&self.is_listed).filter(|(_, listed)| **listed).map(|(package, _)| package)
    }

    /// How packages and paths fit together.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Where the data came from: never [`Source::Auto`].
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether `path` is among a package manager's own files, which change with every update. It may have an owner too.
    pub fn in_database(&self, path: &[u8]) -> bool {
        database::is_in(&self.databases, path)
    }
}
