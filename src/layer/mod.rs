//! Turns entries into layers.
//!
//! Source: image-spec v1.1.1, layer.md.

mod contents;
mod plan;
mod tar;
mod writer;

pub use contents::Contents;
pub use plan::{Label, Plan, PlannedLayer};
pub use writer::{Counts, Layer, LayerWriter};
