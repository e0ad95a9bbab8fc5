//! The mode `multi`: layers by rules that somebody wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::REST;
use super::{Contents, Plan};
use crate::error::{Error, Result};
use crate::package::Packages;
use crate::rootfs::parents_of;

/// A layer, and what belongs in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The layer's name.
    pub name: String,
    /// What belongs in it.
    pub claim: Claim,
}

/// What belongs in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Packages by their names, with whatever they depend on that no earlier layer has.
    Packages(Vec<String>),
    /// Directories with all that is in them: absolute paths.
    Directories(Vec<String>),
    /// Single files: absolute paths.
    Files(Vec<String>),
    /// These entries, which were brought from the build machine: paths as entries have them.
    Brought(BTreeSet<Vec<u8>>),
}

/// The layers of `rules`, lowest first, and one of the rest.
///
/// The more exact claim wins: what was brought, then files, then the innermost directory, then packages; among equals the
/// earlier rule. Of two rules that bring the same file the later one lies over the other, so it is the later one's.
///
/// # Errors
/// [`Error::Spec`] naming a package or path that is not in the root filesystem.
pub fn by_rules(contents: &Contents, packages: &Packages, rules: &[Rule]) -> Result<Plan> {
    let mut claims = Claims::default();
    for (number, rule) in rules.iter().enumerate() {
        match &rule.claim {
            Claim::Packages(names) => claims.add_packages(number, names, packages)?,
            Claim::Directories(paths) => {
                for path in paths {
                    let entry = find_directory(contents, path)?;
                    claims.directories.entry(contents.entries[entry].path.clone()).or_insert(number);
                }
            }
            Claim::Files(paths) => {
                for path in paths {
                    let entry = find_file(contents, path)?;
                    claims.files.entry(contents.entries[entry].path.clone()).or_insert(number);
                }
            }
            Claim::Brought(paths) => claims.brought.extend(paths.iter().map(|path| (path.clone(), number))),
        }
    }
    let rest = (REST.to_owned(), "what no rule claims".to_owned());
    let layers = rules.iter().map(|rule| (rule.name.clone(), why(&rule.claim))).chain([rest]).collect();
    Ok(Plan::of(layers, contents, packages, |number, owner| {
        let path = &contents.entries[number].path;
        let by_path = [&claims.brought, &claims.files].into_iter().find_map(|claimed| claimed.get(path));
        let by_directory = || claims.directory_of(path);
        let by_package = || claims.packages.get(owner?.name.as_str());
        by_path.or_else(by_directory).or_else(by_package).copied()
    }))
}

fn why(claim: &Claim) -> String {
    match claim {
        Claim::Packages(names) => format!("packages {} with what they depend on", names.join(", ")),
        Claim::Directories(paths) => format!("directories {}", paths.join(", ")),
        Claim::Files(paths) => format!("files {}", paths.join(", ")),
        Claim::Brought(_) => "files of the build machine".to_owned(),
    }
}

/// Who claims what, by the numbers of the rules.
#[derive(Default)]
struct Claims {
    packages: BTreeMap<String, usize>,
    directories: BTreeMap<Vec<u8>, usize>,
    files: BTreeMap<Vec<u8>, usize>,
    brought: BTreeMap<Vec<u8>, usize>,
}

impl Claims {
    fn add_packages(&mut self, number: usize, names: &[String], packages: &Packages) -> Result<()> {
        let mut pending = Vec::new();
        for name in names {
            pending.push(packages.get(name).ok_or_else(|| no_package(name, packages))?);
        }
        while let Some(package) = pending.pop() {
            if !self.packages.contains_key(&package.name) {
                self.packages.insert(package.name.clone(), number);
                pending.extend(package.depends.iter().filter_map(|name| packages.get(name)));
            }
        }
        Ok(())
    }

    fn directory_of(&self, path: &[u8]) -> Option<&usize> {
        let parents = parents_of(path).collect::<Vec<_>>().into_iter().rev();
        [path].into_iter().chain(parents).find_map(|directory| self.directories.get(directory))
    }
}

fn find_directory(contents: &Contents, path: &str) -> Result<usize> {
    find(contents, path)?;
    let wrong = "not a directory in the root filesystem; the type of single files is `files`";
    contents.resolve_directory(path.as_bytes()).ok_or_else(|| Error::spec("layers.rules", path, wrong))
}

fn find_file(contents: &Contents, path: &str) -> Result<usize> {
    let number = find(contents, path)?;
    match contents.entries[number].is_directory() {
        false => Ok(number),
        true => {
            let wrong = "a directory in the root filesystem; its type is `directories`";
            Err(Error::spec("layers.rules", path, wrong))
        }
    }
}

fn find(contents: &Contents, path: &str) -> Result<usize> {
    let missing = || Error::spec("layers.rules", path, "no such path in the root filesystem");
    contents.resolve(path.as_bytes()).ok_or_else(missing)
}

fn no_package(name: &str, packages: &Packages) -> Error {
    let known: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    let similar: Vec<_> =
        known.iter().copied().filter(|known| known.contains(name) || name.contains(known)).take(5).collect();
    let reason = match (known.is_empty(), similar.is_empty()) {
        (true, _) => "the root filesystem has no database of packages, and no source of them was named".to_owned(),
        (false, true) => "no such package is in the root filesystem: install it, or leave it out here".to_owned(),
        (false, false) => format!("no such package is in the root filesystem; there is {}", similar.join(", ")),
    };
    Error::spec("layers.rules", name, reason)
}
