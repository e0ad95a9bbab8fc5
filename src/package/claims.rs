//! What the packages claim, and the rules by which each path gets at most one owner.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;
use super::{Counts, Package, Packages, Source};
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
    size_agrees: bool,
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

    /// `package` claims `path`, which has this many bytes if it is a file or a link.
    pub fn claim(&mut self, package: usize, path: &[u8], size: Option<u64>) {
        match self.tree.find(path) {
            Some(entry) => {
                let size_agrees = size.is_some() && size == self.size(entry);
                self.claims.push(Claim { entry, package, size_agrees });
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
        let installed = self.installed();
        self.claims.retain(|claim| installed[claim.package]);
        let names = Names::new(&self.records, &installed);
        let mut counts = Counts::default();
        let owners: Vec<_> = self.owners(&names, &mut counts);
        let mut owned = vec![false; names.sorted.len()];
        owners.iter().for_each(|(_, package)| owned[*package] = true);
        let packages: Vec<_> = names.sorted.iter().map(|record| names.package(&self.records[*record])).collect();
        let listed: Vec<_> = owned.iter().map(|owned| *owned || self.installed_is_known).collect();
        counts.packages = listed.iter().filter(|listed| **listed).count() as u64;
        counts.without_files = listed.iter().zip(&owned).filter(|(listed, owned)| **listed && !**owned).count() as u64;
        counts.missing = self.missing.iter().zip(&installed).map(|(missing, here)| missing * u64::from(*here)).sum();
        let databases = super::database::real_paths(&self.tree);
        let aliases = names.aliases();
        Packages { source, packages, listed, aliases, owners, counts, databases }
    }

    /// Which packages are installed. Where the data does not say it: those with a file in the tree that no other package
    /// claims, those of which every claimed path is there, and those without files whose needs are all installed.
    fn installed(&self) -> Vec<bool> {
        if self.installed_is_known {
            return vec![true; self.records.len()];
        }
        let mut claimed = vec![0_u64; self.records.len()];
        let mut alone = vec![false; self.records.len()];
        for claims in self.claims.chunk_by(|one, other| one.entry == other.entry) {
            claims.iter().for_each(|claim| claimed[claim.package] += 1);
            if let [claim] = claims {
                alone[claim.package] |= !matches!(self.tree.entries()[claim.entry].kind, Kind::Directory);
            }
        }
        let mut installed: Vec<_> = (0..self.records.len())
            .map(|number| alone[number] || claimed[number] > 0 && self.missing[number] == 0)
            .collect();
        loop {
            let names = Names::new(&self.records, &installed);
            let more: Vec<_> = (0..self.records.len())
                .filter(|number| !installed[*number] && claimed[*number] == 0 && self.missing[*number] == 0)
                .filter(|number| {
                    let needs = &self.records[*number].needs;
                    !needs.is_empty() && needs.iter().all(|need| names.satisfying(need).is_some())
                })
                .collect();
            if more.is_empty() {
                return installed;
            }
            more.into_iter().for_each(|number| installed[number] = true);
        }
    }

    /// The path and the owner, by its place among the sorted names, of each entry that has one.
    fn owners(&self, names: &Names<'_>, counts: &mut Counts) -> Vec<(Box<[u8]>, usize)> {
        let mut owners = Vec::new();
        let mut claims = self.claims.iter().copied().peekable();
        for (number, entry) in self.tree.entries().iter().enumerate() {
            let mut claimants = Vec::new();
            while let Some(claim) = claims.next_if(|claim| claim.entry == number) {
                claimants.push((!claim.size_agrees, names.place[claim.package]));
            }
            if claimants.is_empty() {
                claimants.extend(self.claimed_below(&entry.path).map(|package| (true, names.place[package])));
            }
            claimants.sort_unstable();
            claimants.dedup_by_key(|(_, place)| *place);
            let owner = match claimants.as_slice() {
                [] => None,
                [(_, owner)] => Some(*owner),
                [..] if self.tree.leads_to_a_directory(number) => None,
                [(_, owner), ..] => {
                    counts.claimed_twice += 1;
                    Some(*owner)
                }
            };
            if !matches!(entry.kind, Kind::Directory) {
                counts.owned += u64::from(owner.is_some());
                counts.unowned += u64::from(owner.is_none());
            }
            owners.extend(owner.map(|owner| (entry.path.clone().into_boxed_slice(), owner)));
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

/// The installed packages by what they are called.
struct Names<'a> {
    /// The records of the packages, sorted by name; of several with one name the first.
    sorted: Vec<usize>,
    /// For each record the place of its name in `sorted`.
    place: Vec<usize>,
    by_name: BTreeMap<&'a str, usize>,
    by_alias: BTreeMap<&'a str, usize>,
    by_provided: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn new(records: &'a [Record], installed: &[bool]) -> Self {
        let mut first = BTreeMap::new();
        for (number, record) in records.iter().enumerate().filter(|(number, _)| installed[*number]) {
            first.entry(record.name.as_str()).or_insert(number);
        }
        let sorted: Vec<_> = first.values().copied().collect();
        let by_name: BTreeMap<_, _> = first.keys().enumerate().map(|(place, name)| (*name, place)).collect();
        let place =
            records.iter().map(|record| by_name.get(record.name.as_str()).copied().unwrap_or(usize::MAX)).collect();
        let by = |names: fn(&Record) -> &[String]| {
            let mut found = BTreeMap::new();
            for (place, record) in sorted.iter().enumerate() {
                for name in names(&records[*record]) {
                    found.entry(name.as_str()).or_insert(place);
                }
            }
            found
        };
        let (by_alias, by_provided) = (by(|record| &record.aliases), by(|record| &record.provides));
        Self { sorted, place, by_name, by_alias, by_provided }
    }

    /// The package that satisfies `need`: one that has a wanted name before one that only provides it.
    fn satisfying(&self, need: &[String]) -> Option<usize> {
        let find = |names: &BTreeMap<&str, usize>| need.iter().find_map(|name| names.get(name.as_str()).copied());
        find(&self.by_name).or_else(|| find(&self.by_alias)).or_else(|| find(&self.by_provided))
    }

    fn package(&self, record: &Record) -> Package {
        let needed: BTreeSet<_> = record.needs.iter().filter_map(|need| self.satisfying(need)).collect();
        let names: Vec<_> = self.by_name.keys().collect();
        Package {
            name: record.name.clone(),
            version: record.version.clone(),
            recipe: record.recipe.clone(),
            depends: needed
                .into_iter()
                .map(|place| (*names[place]).to_owned())
                .filter(|name| *name != record.name)
                .collect(),
        }
    }

    fn aliases(&self) -> BTreeMap<String, usize> {
        self.by_alias.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect()
    }
}
