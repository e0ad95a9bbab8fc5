//! An image as whoever unpacks it has it: its files, the layers that they come from, the packages that own them.

use std::path::Path;

use crate::error::{Error, Result};
use crate::layer::View;
use crate::layout::{LayoutReader, nameless_file};
use crate::package::{Packages, Source};
use crate::progress::Progress;
use crate::rootfs::XattrPolicy;
use crate::spec::{Descriptor, ImageConfiguration, ImageManifest};

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
    /// Reads the one image of the layout, archive or docker-archive `path`.
    ///
    /// # Errors
    /// [`Error::Layout`] when it is broken, or holds another number of images than one; [`Error::Packages`] for a package
    /// database that can't be understood; [`Error::Io`], [`Error::Interrupted`].
    pub fn read(path: &Path, packages: &Source, progress: &Progress) -> Result<Self> {
        let layout = LayoutReader::open_image(path, progress)?;
        let entry = layout.only_manifest()?;
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
