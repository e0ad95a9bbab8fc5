//! Which entries go into which layer.

use std::collections::{BTreeMap, BTreeSet};

use super::{Contents, ownership};
use crate::package::{Package, Packages};
use crate::rootfs::{Entry, Kind};

/// The name of the layer of what no package and no rule claims.
pub const REST: &str = "rest";

/// The name of the layer of what changes with every update.
pub const DATABASE: &str = "database";

/// What a layer says of itself, in its descriptor and in the image's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Its name in the plan.
    pub name: String,
    /// The packages in it, `NAME` or `NAME VERSION` each, sorted.
    pub packages: Vec<String>,
    /// Why these files make a layer, in words.
    pub why: String,
}

/// The layers of an image, lowest first. Every stored entry is in exactly one.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The layers.
    pub layers: Vec<PlannedLayer>,
    /// What a user should know, a line each.
    pub notes: Vec<String>,
    /// Problems that did not fail the build, one line each.
    pub warnings: Vec<String>,
}

/// A layer to be written.
#[derive(Clone, Debug, Default)]
pub struct PlannedLayer {
    /// What it says of itself.
    pub label: Option<Label>,
    /// The numbers of its entries, in order, without the parents that it repeats.
    pub entries: Vec<usize>,
}

impl Plan {
    /// One layer of everything that is stored, none where nothing is. It says nothing of itself.
    pub fn single(contents: &Contents) -> Self {
        let layer = PlannedLayer { label: None, entries: contents.stored().collect() };
        Self { layers: if contents.is_nothing() { Vec::new() } else { vec![layer] }, ..Self::default() }
    }

    /// Layers with these names and reasons. `choose` gives the number of the layer that claims an entry, with whom it
    /// belongs, if one does; the last layer takes what no other claims. All names of a file go where its first one goes: a
    /// link can't point into another layer.
    pub(super) fn of(
        layers: Vec<(String, String)>,
        contents: &Contents,
        packages: &Packages,
        choose: impl Fn(usize, Option<&Package>) -> Option<usize>,
    ) -> Self {
        if contents.is_nothing() {
            return Self::default();
        }
        let owners = ownership::owners(contents, packages);
        let last = layers.len() - 1;
        let mut entries = vec![Vec::new(); layers.len()];
        let mut inside = vec![BTreeSet::new(); layers.len()];
        let mut files = BTreeMap::new();
        for number in contents.stored() {
            let entry = &contents.entries[number];
            let mut layer = choose(number, owners[number]).unwrap_or(last);
            if let Some(inode) = entry.inode {
                layer = *files.entry(inode).or_insert(layer);
            }
            entries[layer].push(number);
            if let (Some(package), false) = (owners[number], entry.is_directory()) {
                inside[layer].insert(described(package));
            }
        }
        let mut notes = Vec::new();
        let layers = layers.into_iter().zip(entries).zip(inside).enumerate();
        let layers = layers.filter_map(|(number, (((name, why), entries), inside))| {
            if entries.is_empty() && number < last {
                notes.push(format!("no layer {name}: there would be no file in it"));
                return None;
            }
            let label = Label { name, packages: inside.into_iter().collect(), why };
            Some(PlannedLayer { label: Some(label), entries })
        });
        let layers = layers.collect();
        Self { layers, notes, ..Self::default() }
    }

    /// The same without its last layer if that one holds no file but only directories; the layer before it takes them.
    pub(super) fn without_layer_of_directories(mut self, contents: &Contents) -> Self {
        // A socket is in no layer.
        let is_file = |entry: &Entry| !matches!(entry.kind, Kind::Directory | Kind::Socket);
        if let [.., before, last] = &mut self.layers[..]
            && !last.entries.iter().any(|number| is_file(&contents.entries[*number]))
        {
            before.entries.append(&mut last.entries);
            before.entries.sort_unstable();
            self.layers.pop();
        }
        self
    }
}

fn described(package: &Package) -> String {
    match package.version.as_str() {
        "" => package.name.clone(),
        version => format!("{} {version}", package.name),
    }
}
