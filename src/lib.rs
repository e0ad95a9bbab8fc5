//! Turns a root filesystem into an OCI container image in which every attribute of every file survives.
//!
//! The modules below stand in the order in which they may use one another: each uses only those above it.
//! `tests/module_order.rs` holds the code to that. `docs/architecture.md` tells why it is cut this way.

pub mod error;
pub mod epoch;
pub mod digest;
pub mod kernel;
pub mod spec;
pub mod progress;
pub mod parallel;
pub mod compress;
pub mod decompress;
pub mod untar;
pub mod rootfs;
pub mod package;
pub mod layout;
pub mod layer;
pub mod image;
pub mod validate;
pub mod inspect;
pub mod unpacked;
pub mod explain;
pub mod difference;

#[cfg(feature = "python")]
mod python;

pub use error::{Error, Result};
