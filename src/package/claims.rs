//! What the packages claim, and the rules by which each path gets at most one owner.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Names;
use super::tree::Tree;
use super::{Counts, Packages, Source, database};
use crate::rootfs::Kind;

/// What a database says of one package, before anything is known of the others.
#[derive(Default)]
pub struct Record {
    /// Its name in the root filesystem.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it was made from.
    pub recipe: String,
    /// Further names by which people call it.
    pub aliases: Vec<String>,
    /// Names that it stands for.
    pub provides: Vec<String>,
    /// What it needs: for each need the names that satisfy it, the best first.
    pub needs: Vec<Vec<String>>,
    /// True when it is removed and only files of its configuration are left: then it satisfies no need.
    pub is_removed: bool,
}

/// The claims of all packages on the entries of a tree.
pub struct Claims<'a> {
    /// The tree whose paths are claimed.
    pub tree: Tree<'a>,
    installed_is_known: bool,
    records: Vec<Record>,
    claims: Vec<Claim>,
    /// Directories below which everything is claimed, by real path.
    below: BTreeMap<Vec<u8>, BTreeSet<usize>>,
    /// For each package, how many of the paths that it claims are not in the tree.
    missing: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    entry: usize,
    package: usize,
    size_differs: bool,
}

/// Whether a package is installed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Presence {
    /// The data says so, or a file of it is there that no other package has.
    Certain,
    /// All of its files are there, but other packages have them too.
    Likely,
    /// Its files are not there.
    Absent,
}

impl<'a> Claims<'a> {
    /// No claims yet. `installed_is_known` is false where the packages need not be installed: then their files tell.
    pub fn new(tree: Tree<'a>, installed_is_known: bool) -> Self {
        Self {
            tree,
            installed_is_known,
            records: Vec::new(),
            claims: Vec::new(),
            below: BTreeMap::new(),
            missing: Vec::new(),
        }
    }

    /// Adds a package and gives its number.
    pub fn package(&mut self, record: Record) -> usize {
        self.records.push(record);
        self.missing.push(0);
        self.records.len() - 1
    }

    /// Adds a further name by which people call `package`.
    pub fn alias(&mut self, package: usize, name: String) {
        self.records[package].aliases.push(name);
    }

    /// `package` claims `path`, which has this many bytes if it is a file or a link.
    pub fn claim(&mut self, package: usize, path: &[u8], size: Option<u64>) {
        match self.tree.find(path) {
            Some(entry) => {
                let size_differs = size.is_none() || size != self.size(entry);
                self.claims.push(Claim { entry, package, size_differs });
            }
            None => self.missing[package] += 1,
        }
    }

    /// `package` claims the directory `path` and everything below it that nobody claims by name.
    pub fn claim_below(&mut self, package: usize, path: &[u8]) {
        match self.tree.directory(path) {
            Some(real) => drop(self.below.entry(real).or_default().insert(package)),
            None => self.missing[package] += 1,
        }
    }

    /// Gives each path its owner.
    pub fn decide(mut self, source: Source) -> Packages {
        self.claims.sort_unstable();
        self.claims.dedup_by_key(|claim| (claim.entry, claim.package));
        let presence = self.presence();
        self.claims.retain(|claim| presence[claim.package] != Presence::Absent);
        let names = Names::new(&self.records, |package| presence[package] != Presence::Absent);
        let mut counts = Counts::default();
        let owners = self.owners(&names, &presence, &mut counts);
        let mut has_files = vec![false; names.records().len()];
        owners.iter().for_each(|(_, package)| has_files[*package] = true);
        let is_known = |record: &Record| self.installed_is_known && !record.is_removed;
        let is_listed: Vec<_> =
            names.records().zip(&has_files).map(|(record, has_files)| *has_files || is_known(record)).collect();
        counts.packages = count(&is_listed);
        counts.without_files = counts.packages - count(&has_files);
        let here = presence.iter().map(|presence| u64::from(*presence != Presence::Absent));
        counts.missing = self.missing.iter().zip(here).map(|(missing, here)| missing * here).sum();
        Packages {
            source,
            packages: names.records().map(|record| names.package(record)).collect(),
            is_listed,
            aliases: names.aliases(),
            owners,
            counts,
            databases: database::real_paths(&self.tree),
        }
    }

    /// Which packages are installed. Where the data does not say it, their files do; those without files are installed
    /// when all that they need is.
    fn presence(&self) -> Vec<Presence> {
        if self.installed_is_known {
            return vec![Presence::Certain; self.records.len()];
        }
        let mut claimed = vec![0_u64; self.records.len()];
        let mut alone = vec![false; self.records.len()];
        for claims in self.claims.chunk_by(|one, other| one.entry == other.entry) {
            claims.iter().for_each(|claim| claimed[claim.package] += 1);
            if let [claim] = claims {
                alone[claim.package] |= !matches!(self.tree.entries()[claim.entry].kind, Kind::Directory);
            }
        }
        let by_files = |package: usize| match (alone[package], claimed[package], self.missing[package]) {
            (true, _, _) => Presence::Certain,
            (false, 1.., 0) => Presence::Likely,
            _ => Presence::Absent,
        };
        let mut presence: Vec<_> = (0..self.records.len()).map(by_files).collect();
        let without_files: Vec<_> =
            (0..self.records.len()).filter(|package| claimed[*package] == 0 && self.missing[*package] == 0).collect();
        loop {
            let names = Names::new(&self.records, |package| presence[package] != Presence::Absent);
            let satisfied = |package: &usize| {
                let needs = &self.records[*package].needs;
                !needs.is_empty() && needs.iter().all(|need| names.satisfying(need).is_some())
            };
            let absent = without_files.iter().copied().filter(|package| presence[*package] == Presence::Absent);
            let more: Vec<_> = absent.filter(satisfied).collect();
            if more.is_empty() {
                return presence;
            }
            more.into_iter().for_each(|package| presence[package] = Presence::Likely);
        }
    }

    /// The path and the owner of each entry that has one.
    fn owners(&self, names: &Names<'_>, presence: &[Presence], counts: &mut Counts) -> Vec<(Box<[u8]>, usize)> {
        let mut owners = Vec::new();
        let mut claims = self.claims.as_slice();
        for (number, entry) in self.tree.entries().iter().enumerate() {
            let (here, rest) = claims.split_at(claims.partition_point(|claim| claim.entry == number));
            claims = rest;
            let mut claimants: Vec<_> = here
                .iter()
                .map(|claim| (names.place(claim.package), claim.size_differs, presence[claim.package]))
                .collect();
            if claimants.is_empty() {
                let below = self.claimed_below(&entry.path);
                claimants.extend(below.map(|package| (names.place(package), true, presence[package])));
            }
            claimants.sort_unstable();
            claimants.dedup_by_key(|(place, ..)| *place);
            let owner = match claimants.as_slice() {
                [_, _, ..] if self.tree.leads_to_a_directory(number) => None,
                claimants => claimants.iter().min_by_key(|(place, differs, presence)| (differs, presence, place)),
            };
            if !matches!(entry.kind, Kind::Directory) {
                counts.owned += u64::from(owner.is_some());
                counts.unowned += u64::from(owner.is_none());
                counts.claimed_twice += u64::from(owner.is_some() && claimants.len() > 1);
            }
            owners.extend(owner.map(|(place, ..)| (entry.path.clone().into_boxed_slice(), *place)));
        }
        owners
    }

    /// The packages that claim everything below the nearest of the directories around `path`, or below itself.
    fn claimed_below(&self, path: &[u8]) -> impl Iterator<Item = usize> {
        let mut around = Some(path);
        let nearest = std::iter::from_fn(|| {
            let path = around?;
            let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            around = (!path.is_empty()).then(|| &path[..parent]);
            Some(path)
        })
        .find_map(|path| self.below.get(path));
        nearest.into_iter().flatten().copied()
    }

    fn size(&self, entry: usize) -> Option<u64> {
        match &self.tree.entries()[entry].kind {
            Kind::File { size, .. } => Some(*size),
            Kind::Symlink(target) => Some(target.len() as u64),
            _ => None,
        }
    }
}

fn count(flags: &[bool]) -> u64 {
    flags.iter().map(|flag| u64::from(*flag)).sum()
}
