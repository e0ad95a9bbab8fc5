//! An image layout on disk, written so that nothing is ever half there, and read so that nothing is taken on trust.
//!
//! Source: image-spec v1.1.1, image-layout.md.

mod archive;
mod early;
mod read;
mod staging;
mod write;

pub use archive::write_archive;
pub use read::*;
pub use staging::{StagedDirectory, StagedFile};
pub use write::{Blob, BlobWriter, LayoutWriter};

#[cfg(test)]
pub(crate) use read::sample;
