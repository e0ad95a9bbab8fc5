//! Automatic layers: which recipes share one.
//!
//! What is wanted is that an update changes few bytes of layers, and that nobody moves who did not change. A lock file
//! gives both: the first plan is the best one there is, and afterwards only new recipes need a place. Without one, the
//! place of a recipe must follow from itself: those of some size have layers of their own, and which layer a small one
//! shares follows from its name. Sizes count in powers of two then, so that a recipe that grows does not move others.

use std::collections::BTreeMap;

use libdeflater::crc32;

use super::lock::{Lock, Locked};
use super::partition::{Item, partition};
use super::plan::{DATABASE, REST};
use crate::error::{Error, Result};

/// The layers of what has no recipe. A lock file may put recipes there too.
pub const OTHERS: [&str; 2] = [REST, DATABASE];

/// Without a lock file, a recipe is middle-sized down to this fraction of the smallest one with a layer of its own.
const MIDDLE: u64 = 8;

/// How much more often than others a recipe is expected to change that has changed before.
const WEIGHT_OF_CHANGES: u64 = 4;

/// A recipe that changed so often leaves a shared layer at its next change, if there is room.
const OFTEN: u32 = 2;

/// What is known of a recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Bytes of its files in the root filesystem.
    pub size: u64,
    /// Its version; empty when nobody knows it.
    pub version: String,
    /// How often it is known to have changed, for one that the lock file does not know.
    pub changes: u32,
}

/// Gives every recipe a layer: that of `lock`, or a fitting one, `most` layers in all, besides those of [`OTHERS`]. Returns
/// what a lock file then says.
///
/// # Errors
/// [`Error::Spec`] when `lock` has the recipes in more than `most` layers.
pub fn group(recipes: &BTreeMap<String, Recipe>, lock: Option<&Lock>, most: usize) -> Result<Lock> {
    match lock {
        Some(lock) if recipes.keys().any(|name| lock.recipes.contains_key(name)) => extended(recipes, lock, most),
        // All of them are in the rest.
        _ if most == 0 => Ok(lock.cloned().unwrap_or_default()),
        None => Ok(by_name(recipes, most)),
        Some(lock) => {
            let mut planned = best(recipes, most);
            planned.recipes.extend(lock.recipes.clone());
            Ok(planned)
        }
    }
}

fn locked(recipe: &Recipe, layer: String) -> Locked {
    Locked { layer, version: recipe.version.clone(), changes: recipe.changes }
}

fn item(size: u64, changes: u32) -> Item {
    Item { size, weight: if changes > 0 { WEIGHT_OF_CHANGES } else { 1 } }
}

/// The best plan for these recipes, with a few layers left for those to come.
fn best(recipes: &BTreeMap<String, Recipe>, most: usize) -> Lock {
    let items: Vec<_> = recipes.values().map(|recipe| item(recipe.size, recipe.changes)).collect();
    let groups = partition(&items, most - most / 32);
    let members = |group: usize| groups.iter().filter(|other| **other == group).count();
    let layer = |name: &String, group| if members(group) == 1 { name.clone() } else { format!("shared/{}", group + 1) };
    let layers = recipes.iter().zip(&groups);
    Lock {
        recipes: layers.map(|((name, recipe), group)| (name.clone(), locked(recipe, layer(name, *group)))).collect(),
    }
}

/// The plan of `lock`, with a place for every new recipe.
fn extended(recipes: &BTreeMap<String, Recipe>, lock: &Lock, most: usize) -> Result<Lock> {
    let mut plan = lock.clone();
    let mut used = Layers::default();
    for (name, recipe) in recipes {
        if let Some(known) = lock.recipes.get(name) {
            used.add(&known.layer, item(recipe.size, known.changes));
        }
    }
    if used.0.len() > most {
        let reason = format!(
            "the lock file has the recipes in {} layers, and there are {} more: {}",
            used.0.len(),
            OTHERS.len(),
            OTHERS.join(" and ")
        );
        return Err(Error::spec("layers.max", (most + OTHERS.len()).to_string(), reason));
    }
    for (name, recipe) in recipes {
        let Some(known) = plan.recipes.get_mut(name).filter(|known| known.version != recipe.version) else { continue };
        known.version.clone_from(&recipe.version);
        known.changes += 1;
        // The layer that it leaves changes anyway: the old version was in it.
        if known.changes >= OFTEN && is_shared(&known.layer) && used.0.len() < most {
            known.layer.clone_from(name);
            used.add(name, item(recipe.size, known.changes));
        }
    }
    let mut new: Vec<_> = recipes.iter().filter(|(name, _)| !lock.recipes.contains_key(*name)).collect();
    new.sort_by_key(|(_, recipe)| std::cmp::Reverse(recipe.size));
    for (name, recipe) in new {
        let item = item(recipe.size, recipe.changes);
        let layer = if used.0.len() < most { name.clone() } else { used.cheapest(item).to_owned() };
        used.add(&layer, item);
        plan.recipes.insert(name.clone(), locked(recipe, layer));
    }
    Ok(plan)
}

/// The layers of a plan besides [`OTHERS`], and what is in each in all.
#[derive(Default)]
struct Layers(BTreeMap<String, Item>);

impl Layers {
    fn add(&mut self, layer: &str, item: Item) {
        if OTHERS.contains(&layer) {
            return;
        }
        let sum = self.0.entry(layer.to_owned()).or_insert(Item { size: 0, weight: 0 });
        *sum = Item { size: sum.size + item.size, weight: sum.weight + item.weight };
    }

    /// The layer in which one more item costs least, a shared one if there is one; the rest if there is none at all.
    fn cheapest(&self, item: Item) -> &str {
        let product = |size: u64, weight: u64| u128::from(size) * u128::from(weight);
        let cost = |sum: &Item| product(sum.size, item.weight) + product(item.size, sum.weight);
        let cheapest = self.0.iter().min_by_key(|(layer, sum)| (!is_shared(layer), cost(sum)));
        cheapest.map_or(REST, |(layer, _)| layer)
    }
}

/// A plan in which the place of each recipe follows from its size, roughly, and its name.
fn by_name(recipes: &BTreeMap<String, Recipe>, most: usize) -> Lock {
    let tiny_layers = (most / 8).max(1);
    let middle_layers = most / 3;
    let alone = most.saturating_sub(tiny_layers + middle_layers);
    let mut large = 0;
    if recipes.len() > most {
        large = 1;
        while recipes.values().filter(|recipe| recipe.size >= large).count() > alone {
            large *= 2;
        }
    }
    let chosen = |kind: &str, name: &str, layers| format!("{kind}/{}", crc32(name.as_bytes()) as usize % layers + 1);
    let layer = |name: &String, size: u64| match size {
        size if size >= large => name.clone(),
        size if size >= large / MIDDLE && middle_layers > 0 => chosen("middle", name, middle_layers),
        _ => chosen("tiny", name, tiny_layers),
    };
    let layers = recipes.iter().map(|(name, recipe)| (name.clone(), locked(recipe, layer(name, recipe.size))));
    Lock { recipes: layers.collect() }
}

/// Whether small recipes share this layer because nobody said otherwise.
fn is_shared(layer: &str) -> bool {
    ["shared/", "middle/", "tiny/"].iter().any(|kind| layer.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// `NAME SIZE VERSION` words, three for each recipe.
    fn recipes(words: &str) -> BTreeMap<String, Recipe> {
        let words: Vec<_> = words.split_whitespace().collect();
        let recipe =
            |words: &[&str]| Recipe { size: words[1].parse().unwrap(), version: words[2].to_owned(), changes: 0 };
        words.chunks(3).map(|words| (words[0].to_owned(), recipe(words))).collect()
    }

    /// So many recipes, every fourth of them large.
    fn many(count: usize) -> BTreeMap<String, Recipe> {
        let size = |number: usize| if number.is_multiple_of(4) { 1 << 22 } else { 1000 + number * 77 };
        recipes(&(0..count).map(|number| format!("recipe{number} {} 1 ", size(number))).collect::<String>())
    }

    fn layers(lock: &Lock) -> BTreeMap<&str, &str> {
        lock.recipes.iter().map(|(recipe, locked)| (recipe.as_str(), locked.layer.as_str())).collect()
    }

    fn count(lock: &Lock) -> usize {
        layers(lock).into_values().collect::<BTreeSet<_>>().len()
    }

    /// With no lock file, and with one that has nothing in it yet.
    const FIRST: [Option<&Lock>; 2] = [None, Some(&Lock { recipes: BTreeMap::new() })];

    #[test]
    fn few_recipes_have_a_layer_each() {
        for lock in FIRST {
            let lock = group(&recipes("acl 10 1 bash 20 1"), lock, 5).unwrap();
            assert_eq!(layers(&lock), BTreeMap::from([("acl", "acl"), ("bash", "bash")]));
        }
    }

    #[test]
    fn there_are_never_more_layers_than_allowed() {
        for (first, most) in FIRST.into_iter().flat_map(|first| [1, 2, 3, 5, 16, 63].map(|most| (first, most))) {
            for number in [1, 7, 63, 64, 300] {
                let lock = group(&many(number), first, most).unwrap();
                assert!(count(&lock) <= most, "{number} recipes in {} of {most} layers", count(&lock));
                let more = group(&many(number + 40), Some(&lock), most).unwrap();
                assert!(count(&more) <= most, "{number} recipes and 40 new ones in {} of {most} layers", count(&more));
            }
        }
    }

    #[test]
    fn large_recipes_are_alone_and_small_ones_share() {
        for lock in FIRST {
            let lock = group(&many(200), lock, 63).unwrap();
            let alone = layers(&lock).into_iter().filter(|(recipe, layer)| recipe == layer).map(|(recipe, _)| recipe);
            let numbers: Vec<usize> = alone.map(|recipe| recipe["recipe".len()..].parse().unwrap()).collect();
            assert!(numbers.iter().all(|number| number.is_multiple_of(4)), "{numbers:?}");
            assert!(layers(&lock).into_values().any(is_shared));
        }
    }

    #[test]
    fn a_new_recipe_and_a_new_version_move_nobody_else() {
        let first = group(&many(200), FIRST[1], 63).unwrap();
        for lock in [None, Some(&first)] {
            let before = group(&many(200), lock, 63).unwrap();
            let mut changed = many(200);
            changed.insert("added".to_owned(), Recipe { size: 5000, version: "1".to_owned(), changes: 0 });
            changed.insert("recipe3".to_owned(), Recipe { size: 1900, version: "2".to_owned(), changes: 0 });
            let mut after = group(&changed, lock, 63).unwrap();
            assert!(after.recipes.remove("added").is_some());
            assert_eq!(layers(&after), layers(&before));
        }
    }

    #[test]
    fn the_lock_decides_whatever_the_size_is() {
        let lock = group(&many(200), FIRST[1], 63).unwrap();
        let mut grown = many(200);
        grown.values_mut().for_each(|recipe| recipe.size *= 100);
        assert_eq!(layers(&group(&grown, Some(&lock), 63).unwrap()), layers(&lock));
        // A recipe that is gone keeps its line for the day when it comes back, or for another image.
        grown.remove("recipe3");
        assert_eq!(layers(&group(&grown, Some(&lock), 63).unwrap()), layers(&lock));
    }

    #[test]
    fn a_recipe_that_changes_often_gets_a_layer_of_its_own_when_it_changes() {
        let mut lock = group(&many(200), FIRST[1], 63).unwrap();
        assert!(is_shared(&lock.recipes["recipe3"].layer));
        let mut seen = Vec::new();
        for version in ["1", "2", "2", "3", "3"] {
            let mut recipes = many(200);
            recipes.get_mut("recipe3").unwrap().version = version.to_owned();
            lock = group(&recipes, Some(&lock), 63).unwrap();
            seen.push((lock.recipes["recipe3"].changes, is_shared(&lock.recipes["recipe3"].layer)));
        }
        assert_eq!(seen, [(0, true), (1, true), (1, true), (2, false), (2, false)]);
    }

    #[test]
    fn when_no_layer_is_left_a_new_recipe_joins_where_it_costs_least() {
        let words = "added 0 1 big 9000000 1 small 10 1";
        let mut lock = Lock::default();
        for (recipe, layer) in [("big", "shared/1"), ("small", "shared/2")] {
            lock.recipes
                .insert(recipe.to_owned(), Locked { layer: layer.to_owned(), version: "1".to_owned(), changes: 0 });
        }
        let lock = group(&recipes(words), Some(&lock), 2).unwrap();
        assert_eq!(lock.recipes["added"].layer, "shared/2");
    }

    #[test]
    fn a_lock_with_too_many_layers_is_an_error() {
        let lock = group(&many(20), FIRST[1], 20).unwrap();
        let error = group(&many(20), Some(&lock), 10).unwrap_err().to_string();
        assert!(error.starts_with("layers.max: ") && error.contains("layers"), "{error}");
    }
}
