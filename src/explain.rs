//! In which layer of an image a file is, and why.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::package::{Package, Source};
use crate::progress::Progress;
use crate::spec::{ANNOTATION_LAYER_NAME, ANNOTATION_LAYER_PACKAGES, ANNOTATION_LAYER_WHY};
use crate::unpacked::Unpacked;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The file, links on the way followed.
    pub path: String,
    /// The number of its layer, counted from 1 at the lowest.
    pub layer: usize,
    /// How many layers there are.
    pub layers: usize,
    /// The digest of the layer.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its name in the plan, where the image says so.
    pub name: Option<String>,
    /// Why its files make a layer, where the image says so.
    pub why: Option<String>,
    /// The packages in it, where the image says so.
    pub contains: Vec<String>,
    /// The package that owns the file, if one does.
    pub owner: Option<Package>,
}

/// Finds `file` in the image at `image`; `packages` tells who owns it.
///
/// # Errors
/// [`Error::Layout`] when there is no such file in the image, and those of [`Unpacked::read`].
pub fn explain(image: &Path, file: &str, packages: &Source, progress: &Progress) -> Result<Explanation> {
    let unpacked = Unpacked::read(image, packages, progress)?;
    let view = &unpacked.view;
    let asked = file.trim_matches('/').as_bytes();
    let parent = view.real(crate::layer::parent_of(asked));
    let name = asked.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let path = if parent.is_empty() { name.to_vec() } else { [&parent[..], b"/", name].concat() };
    let Some(number) = view.layers.get(&path).copied() else {
        return Err(Error::layout(image, format!("there is no {file:?} in the image")));
    };
    let layer = &unpacked.layers[number];
    let annotation = |key| layer.annotations().as_ref().and_then(|annotations| annotations.get(key)).cloned();
    let contains = annotation(ANNOTATION_LAYER_PACKAGES);
    Ok(Explanation {
        path: format!("/{}", String::from_utf8_lossy(&path)),
        layer: number + 1,
        layers: unpacked.layers.len(),
        digest: layer.digest().to_string(),
        size: layer.size(),
        name: annotation(ANNOTATION_LAYER_NAME),
        why: annotation(ANNOTATION_LAYER_WHY),
        contains: contains.map(|text| text.split(", ").map(str::to_owned).collect()).unwrap_or_default(),
        owner: unpacked.packages.owner(&path).cloned(),
    })
}
