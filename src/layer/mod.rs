//! Turns entries into layers.
//!
//! Source: image-spec v1.1.1, layer.md.

mod automatic;
mod contents;
mod grouping;
mod lock;
mod ownership;
mod partition;
mod plan;
mod rules;
mod tar;
mod writer;

pub use automatic::automatic;
pub use contents::Contents;
pub use lock::Lock;
pub use plan::{Label, Plan, PlannedLayer};
pub use rules::{Claim, Rule, by_rules};
pub use writer::{Counts, Layer, LayerWriter};
