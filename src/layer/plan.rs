//! Which entries go into which layer.

use super::Contents;

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
}

/// A layer to be written.
#[derive(Clone, Debug, Default)]
pub struct PlannedLayer {
    /// What it says of itself; the one layer of an image that was not split says nothing.
    pub label: Option<Label>,
    /// The numbers of its entries, in order, without the parents that it repeats.
    pub entries: Vec<usize>,
}

impl Plan {
    /// One layer of everything that is stored.
    pub fn single(contents: &Contents) -> Self {
        Self { layers: vec![PlannedLayer { label: None, entries: contents.stored().collect() }] }
    }
}
