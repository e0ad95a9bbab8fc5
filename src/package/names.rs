//! What packages are called, and which package satisfies a need.

use std::collections::{BTreeMap, BTreeSet};

use super::Package;
use super::claims::Record;

/// The installed packages by what they are called. A package's place is that of its name among all names, sorted.
pub struct Names<'a> {
    all: &'a [Record],
    /// The numbers of the records, sorted by name; of several with one name there is the first.
    sorted: Vec<usize>,
    by_name: BTreeMap<&'a str, usize>,
    by_alias: BTreeMap<&'a str, usize>,
    by_provided: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    /// The names of those `records` whose number `is_installed` accepts.
    pub fn new(records: &'a [Record], is_installed: impl Fn(usize) -> bool) -> Self {
        let mut first = BTreeMap::new();
        for (number, record) in records.iter().enumerate().filter(|(number, _)| is_installed(*number)) {
            first.entry(record.name.as_str()).or_insert(number);
        }
        let sorted: Vec<_> = first.values().copied().collect();
        let by = |names: fn(&Record) -> &[String]| {
            let mut found = BTreeMap::new();
            for (place, number) in sorted.iter().enumerate().filter(|(_, number)| !records[**number].is_removed) {
                for name in names(&records[*number]) {
                    found.entry(name.as_str()).or_insert(place);
                }
            }
            found
        };
        Self {
            all: records,
            by_name: first.into_keys().enumerate().map(|(place, name)| (name, place)).collect(),
            by_alias: by(|record| &record.aliases),
            by_provided: by(|record| &record.provides),
            sorted,
        }
    }

    /// The records, by their places.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &'a Record> {
        self.sorted.iter().map(|number| &self.all[*number])
    }

    /// The place of the record with this number, which is installed.
    pub fn place(&self, number: usize) -> usize {
        self.by_name[self.all[number].name.as_str()]
    }

    /// The place of the package that satisfies `need`: one that is called so before one that only stands for it. pkgdata
    /// writes needs in the names from before a renaming, so those go first.
    pub fn satisfying(&self, need: &[String]) -> Option<usize> {
        let find = |names: &BTreeMap<&str, usize>| {
            let mut found = need.iter().filter_map(|name| names.get(name.as_str()).copied());
            found.find(|place| !self.all[self.sorted[*place]].is_removed)
        };
        find(&self.by_alias).or_else(|| find(&self.by_name)).or_else(|| find(&self.by_provided))
    }

    /// What the world is told of a record.
    pub fn package(&self, record: &Record) -> Package {
        let needed: BTreeSet<_> = record.needs.iter().filter_map(|need| self.satisfying(need)).collect();
        let depends = needed.into_iter().map(|place| self.all[self.sorted[place]].name.clone());
        Package {
            name: record.name.clone(),
            version: record.version.clone(),
            recipe: record.recipe.clone(),
            depends: depends.filter(|name| *name != record.name).collect(),
        }
    }

    /// Further names and the places of what they mean.
    pub fn aliases(&self) -> BTreeMap<String, usize> {
        self.by_alias.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect()
    }
}
