//! Splits small root filesystems into layers, and shows what is in each.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attributes;
mod automatic;
mod built;
mod lock;
mod merged;
mod rules;
mod tree;
