//! An image as whoever unpacks it has it: its files, the layers that they come from, the packages that own them.

use std::path::Path;

use crate::error::{Error, Result};
use crate::layer::View;
use crate::layout::{LayoutReader, nameless_file};
use crate::package::{Packages, Source};
use crate::progress::Progress;
use crate::rootfs::XattrPolicy;
use crate::spec::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};

/// An image that was read, all of it, and verified.
pub struct Unpacked {
    /// Its entry in the index.
    pub entry: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Its files.
    pub view: View,
    /// Its packages.
    pub packages: Packages,
}

impl Unpacked {
    /// Reads the one image of the layout or archive `path`.
    ///
    /// # Errors
    /// [`Error::Layout`] when it is broken, or holds another number of images than one; [`Error::Packages`] for a package
    /// database that can't be understood; [`Error::Io`], [`Error::Interrupted`].
    pub fn read(path: &Path, packages: &Source, progress: &Progress) -> Result<Self> {
        let layout = LayoutReader::open(path, progress)?;
        let mut images = images(&layout, layout.index()?)?;
        if images.len() != 1 {
            return Err(Error::layout(path, format!("it holds {} images, and one is looked into", images.len())));
        }
        let entry = images.remove(0);
        let manifest: ImageManifest = layout.read_document(&entry)?;
        let configuration: ImageConfiguration = layout.read_document(manifest.config())?;
        let directory = std::env::temp_dir();
        let scratch = || nameless_file(&directory).map_err(Error::io("create a temporary file in", &directory));
        let diff_ids = configuration.rootfs().diff_ids();
        let every_xattr = XattrPolicy::excluding::<&str>(&[]);
        let view = View::read(&layout, manifest.layers(), diff_ids, &every_xattr, &scratch, progress)?;
        let entries: Vec<_> = view.entries.values().cloned().collect();
        let packages = Packages::read(packages, &entries)?;
        Ok(Self { entry, layers: manifest.layers().clone(), view, packages })
    }
}

fn images(layout: &LayoutReader, index: ImageIndex) -> Result<Vec<Descriptor>> {
    let mut images = Vec::new();
    let mut pending: Vec<Descriptor> = index.manifests().iter().rev().cloned().collect();
    while let Some(entry) = pending.pop() {
        match entry.media_type() {
            MediaType::ImageIndex => {
                let nested: ImageIndex = layout.read_document(&entry)?;
                pending.extend(nested.manifests().iter().rev().cloned());
            }
            MediaType::ImageManifest => images.push(entry),
            _ => {}
        }
    }
    Ok(images)
}
