//! Turns entries into layers.
//!
//! Source: image-spec v1.1.1, layer.md.

mod tar;
mod writer;

pub use writer::{Counts, Layer, LayerWriter};
