//! The mode `auto`: layers by recipe, so that an update changes few of them.

use std::collections::BTreeMap;

use super::grouping::{OTHERS, Recipe, group};
use super::lock::Lock;
use super::plan::{DATABASE, REST};
use super::{Contents, Plan, ownership};
use crate::error::Result;
use crate::package::{Package, Packages};
use crate::rootfs::Entry;

/// What an entry costs in a layer besides its content: its header, and the padding of its content.
const COST_OF_ENTRY: u64 = 1024;

/// Files that nobody owns are treated like recipes from this size on: an index or a cache of some tool.
const LARGE_FILE: u64 = 1 << 20;

/// At most `most` layers, by recipe and as `lock` has them; and what a lock file then says.
///
/// # Errors
/// [`crate::Error::Spec`] when `lock` has more layers.
pub fn automatic(contents: &Contents, packages: &Packages, lock: Option<&Lock>, most: usize) -> Result<(Plan, Lock)> {
    let owners = ownership::owners(contents, packages);
    let recipes = recipes(contents, packages, &owners);
    let lock = group(&recipes, lock, most.saturating_sub(OTHERS.len()))?;
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for recipe in recipes.keys() {
        if let Some(locked) = lock.recipes.get(recipe) {
            members.entry(&locked.layer).or_default().push(recipe);
        }
    }
    let [in_rest, in_database] = [REST, DATABASE].map(|layer| members.remove(layer).unwrap_or_default());
    let mut numbers: BTreeMap<&str, usize> = members.values().enumerate().flat_map(numbered).collect();
    let mut layers: Vec<_> =
        members.into_iter().map(|(layer, recipes)| (layer.to_owned(), why(layer, &recipes))).collect();
    let rest = layers.len();
    if most > 1 {
        layers.push((REST.to_owned(), "what no package owns".to_owned()));
    }
    let database = layers.len();
    layers.push((DATABASE.to_owned(), "databases and caches, which change with every update".to_owned()));
    numbers.extend(numbered((rest, &in_rest)));
    numbers.extend(numbered((database, &in_database)));
    let plan = Plan::of(layers, contents, packages, |number, owner| {
        let entry = &contents.entries[number];
        match recipe_of(entry, owner) {
            _ if is_database(entry, packages) => None,
            Some(recipe) => Some(numbers.get(recipe).copied().unwrap_or(rest)),
            // The last layer has all directories anyway.
            None if entry.is_directory() => None,
            None => Some(rest),
        }
    });
    Ok((plan, lock))
}

fn is_database(entry: &Entry, packages: &Packages) -> bool {
    packages.in_database(&entry.path) || entry.path.starts_with(b"var/cache/") && !entry.is_directory()
}

/// The recipe that an entry belongs to: its owner's, or the path of a large file that has none.
fn recipe_of<'a>(entry: &'a Entry, owner: Option<&'a Package>) -> Option<&'a str> {
    match owner {
        Some(owner) => Some(&owner.recipe),
        None => str::from_utf8(&entry.path).ok().filter(|_| entry.size() >= LARGE_FILE),
    }
}

fn numbered<'a>((number, recipes): (usize, &Vec<&'a str>)) -> Vec<(&'a str, usize)> {
    recipes.iter().map(|recipe| (*recipe, number)).collect()
}

fn why(layer: &str, recipes: &[&str]) -> String {
    match recipes {
        [recipe] if *recipe == layer => format!("recipe {recipe}"),
        _ => format!("{} recipes that share a layer", recipes.len()),
    }
}

/// The recipes that have files which are stored.
fn recipes(contents: &Contents, packages: &Packages, owners: &[Option<&Package>]) -> BTreeMap<String, Recipe> {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for number in contents.stored() {
        let entry = &contents.entries[number];
        if let Some(recipe) = recipe_of(entry, owners[number])
            && !entry.is_directory()
            && !is_database(entry, packages)
        {
            *sizes.entry(recipe).or_default() += entry.size() + COST_OF_ENTRY;
        }
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages.iter() {
        let versions = versions.entry(&package.recipe).or_default();
        if !package.version.is_empty() && !versions.contains(&package.version.as_str()) {
            versions.push(&package.version);
        }
    }
    let version = |recipe: &str| versions.get(recipe).map(|versions| versions.join(",")).unwrap_or_default();
    let described = |(recipe, size): (&str, u64)| {
        let version = version(recipe);
        (recipe.to_owned(), Recipe { size, changes: updates(&version), version })
    };
    sizes.into_iter().map(described).collect()
}

/// How often Debian has updated a package within its release: 3 in `1.2-3+deb12u3`; 0 for versions of another form.
/// Source: Debian Developer's Reference, "Uploads to the stable and oldstable distributions".
fn updates(version: &str) -> u32 {
    let number = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let counts = version.split(['+', '~']).filter_map(|part| {
        let part = part.strip_prefix("deb")?;
        let (release, rest) = part.split_at(number(part));
        let updates = rest.strip_prefix('u').filter(|_| !release.is_empty())?;
        updates[..number(updates)].parse().ok()
    });
    counts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_of_a_debian_release_are_counted() {
        for (version, count) in
            [("1.22.1-9+deb12u11", 11), ("3.0.20-1~deb12u2,2", 2), ("1.2", 0), ("1+debu3", 0), ("2+deb12", 0), ("", 0)]
        {
            assert_eq!(updates(version), count, "{version}");
        }
    }
}
