//! The mode `multi`: layers by rules that somebody wrote.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::plan::REST;
use super::{Contents, Plan};
use crate::error::{Error, Result};
use crate::package::{Package, Packages};
use crate::rootfs::{Entry, parents_of};

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

/// How a rule's package or path that is not in the root filesystem is reported.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The build fails.
    #[default]
    Error,
    /// With a warning; the layer does without it.
    Warn,
}

/// The layers of `rules`, lowest first, and one of the rest, if there is a file left for it.
///
/// The more exact claim wins: what was brought, then files, then the innermost directory, then packages; among equals the
/// earlier rule. Of two rules that bring the same file the later one lies over the other, so it is the later one's.
///
/// # Errors
/// [`Error::Spec`] naming a path of the wrong type, and a package or path that is not in the root filesystem unless `missing`
/// makes that a warning. That nothing is known of any package is an error in any case.
pub fn by_rules(contents: &Contents, packages: &Packages, rules: &[Rule], missing: Missing) -> Result<Plan> {
    let mut claims = Claims::default();
    let mut warnings = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let mut absent = |word: &str, reason: &str| match missing {
            Missing::Error => Err(Error::spec("layers.rules", word, reason)),
            Missing::Warn => {
                warnings.push(format!("layer {}: {word}: {reason}", rule.name));
                Ok(())
            }
        };
        match &rule.claim {
            Claim::Packages(names) => {
                for name in names {
                    match packages.get(name) {
                        Some(package) => claims.add_package(number, package, packages),
                        None => absent(name, &no_package(name, packages)?)?,
                    }
                }
            }
            Claim::Directories(paths) => {
                for path in paths {
                    match find_directory(contents, path)? {
                        Some(entry) => drop(claims.directories.entry(entry.path.clone()).or_insert(number)),
                        None => absent(path, NO_PATH)?,
                    }
                }
            }
            Claim::Files(paths) => {
                for path in paths {
                    match find_file(contents, path)? {
                        Some(entry) => drop(claims.files.entry(entry.path.clone()).or_insert(number)),
                        None => absent(path, NO_PATH)?,
                    }
                }
            }
            Claim::Brought(paths) => claims.brought.extend(paths.iter().map(|path| (path.clone(), number))),
        }
    }
    let rest = (REST.to_owned(), "what no rule claims".to_owned());
    let layers = rules.iter().map(|rule| (rule.name.clone(), why(&rule.claim))).chain([rest]).collect();
    let plan = Plan::of(layers, contents, packages, |number, owner| {
        let path = &contents.entries[number].path;
        let by_path = [&claims.brought, &claims.files].into_iter().find_map(|claimed| claimed.get(path));
        let by_directory = || claims.directory_of(path);
        let by_package = || claims.packages.get(owner?.name.as_str());
        by_path.or_else(by_directory).or_else(by_package).copied()
    });
    Ok(Plan { warnings, ..plan.without_layer_of_directories(contents) })
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
    /// Claims a package, and what it depends on that nobody has claimed.
    fn add_package(&mut self, number: usize, package: &Package, packages: &Packages) {
        let mut pending = vec![package];
        while let Some(package) = pending.pop() {
            if !self.packages.contains_key(&package.name) {
                self.packages.insert(package.name.clone(), number);
                pending.extend(package.depends.iter().filter_map(|name| packages.get(name)));
            }
        }
    }

    fn directory_of(&self, path: &[u8]) -> Option<&usize> {
        let parents = parents_of(path).collect::<Vec<_>>().into_iter().rev();
        [path].into_iter().chain(parents).find_map(|directory| self.directories.get(directory))
    }
}

const NO_PATH: &str = "no such path in the root filesystem";

fn find_directory<'c>(contents: &'c Contents, path: &str) -> Result<Option<&'c Entry>> {
    if contents.resolve(path.as_bytes()).is_none() {
        return Ok(None);
    }
    let wrong = "not a directory in the root filesystem; the type of single files is `files`";
    let number = contents.resolve_directory(path.as_bytes());
    number.map(|number| Some(&contents.entries[number])).ok_or_else(|| Error::spec("layers.rules", path, wrong))
}

fn find_file<'c>(contents: &'c Contents, path: &str) -> Result<Option<&'c Entry>> {
    let entry = contents.resolve(path.as_bytes()).map(|number| &contents.entries[number]);
    if entry.is_some_and(Entry::is_directory) {
        let wrong = "a directory in the root filesystem; its type is `directories`";
        return Err(Error::spec("layers.rules", path, wrong));
    }
    Ok(entry)
}

/// Why there is no such package; an error if nothing is known of any.
fn no_package(name: &str, packages: &Packages) -> Result<String> {
    let known: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    let similar: Vec<_> =
        known.iter().copied().filter(|known| known.contains(name) || name.contains(known)).take(5).collect();
    match (known.is_empty(), similar.is_empty()) {
        (true, _) => {
            let reason = "the root filesystem has no database of packages, and no source of them was named";
            Err(Error::spec("layers.rules", name, reason))
        }
        (false, true) => Ok("no such package is in the root filesystem: install it, or leave it out here".to_owned()),
        (false, false) => Ok(format!("no such package is in the root filesystem; there is {}", similar.join(", "))),
    }
}
