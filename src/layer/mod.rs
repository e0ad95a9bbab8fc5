//! Turns entries into layers.
//!
//! Source: image-spec v1.1.1, layer.md.

mod automatic;
mod contents;
mod delta;
mod grouping;
mod lock;
mod ownership;
mod partition;
mod plan;
mod rules;
mod tar;
mod view;
mod writer;

pub use automatic::automatic;
pub use contents::Contents;
pub use delta::{Mode, delta, same};
pub use lock::Lock;
pub use plan::{Label, Plan, PlannedLayer};
pub use rules::{Claim, Missing, Rule, by_rules};
pub use view::{View, parent_of};
pub use writer::{Counts, Layer, LayerWriter};
