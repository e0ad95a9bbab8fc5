//! Checks an image by computing everything again from its bytes. Nothing that is wrong hides anything else: a report has
//! every finding, and each names what was found and what should be there.
//!
//! Source: image-spec v1.1.1, all of it.

mod blobs;
mod docker;
mod document;
mod finding;
mod image;
mod layer;
mod media;
mod members;
mod stream;

use std::path::Path;

use serde::Serialize;

pub use self::finding::{CODES, Finding};

use self::blobs::Blobs;
use self::finding::Findings;
use crate::error::Result;
use crate::layout::LayoutReader;
use crate::progress::Progress;

/// What checking a layout has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The layout directory or archive.
    pub path: String,
    /// How many images were checked.
    pub images: usize,
    /// How many blobs are stored.
    pub blobs: usize,
    /// Their size.
    pub bytes: u64,
    /// Everything that is wrong, sorted; nothing when the layout is valid.
    pub findings: Vec<Finding>,
}

/// Checks the layout `path`, or the one in the archive `path`.
///
/// # Errors
/// [`crate::Error::Layout`] when there is no layout to check, [`crate::Error::Io`], [`crate::Error::Interrupted`].
pub fn validate(path: &Path, progress: &Progress) -> Result<Report> {
    let layout = LayoutReader::open(path, progress)?;
    let mut findings = Findings::default();
    if let Some(damage) = layout.damage() {
        findings.add("archive", &path.display(), damage);
    }
    let mut blobs = Blobs::hash(&layout, &mut findings, progress)?;
    document::check_layout_version(&layout, &mut findings)?;
    let images = image::follow_index(&layout, &mut blobs, &mut findings)?;
    for image in &images {
        image.check_configuration(&mut findings);
        layer::check_layers(image, &layout, &mut blobs, &mut findings, progress)?;
    }
    docker::check_manifest(&layout, &images, &mut findings)?;
    blobs.check_references(&mut findings);
    Ok(Report {
        path: path.display().to_string(),
        images: images.len(),
        blobs: blobs.count(),
        bytes: blobs.bytes(),
        findings: findings.sorted(),
    })
}

#[cfg(test)]
mod tests;
