//! What the media types of descriptors mean, those of docker that stand for one of image-spec included: what they
//! describe is written in the same way.

use std::fmt;

use crate::decompress::Format;
use crate::spec::{
    MEDIA_TYPE_CONFIG, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD,
    MEDIA_TYPE_MANIFEST, MediaType,
};

/// What a descriptor describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Index,
    Manifest,
    Config,
    Layer,
    /// Anything else.
    Blob,
}

impl Role {
    /// The role of what an entry of an index describes.
    pub fn of_entry(media_type: &MediaType) -> Self {
        match media_type.as_ref() {
            MEDIA_TYPE_INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            MEDIA_TYPE_MANIFEST | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            _ => Self::Blob,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Blob => "blob",
        })
    }
}

/// Whether this is the media type of an image's configuration.
pub fn is_image_config(media_type: &MediaType) -> bool {
    matches!(media_type.as_ref(), MEDIA_TYPE_CONFIG | "application/vnd.docker.container.image.v1+json")
}

/// The compression that a layer's media type promises; none for what is no layer's media type.
pub fn layer_format(media_type: &MediaType) -> Option<Format> {
    Some(match media_type.as_ref() {
        MEDIA_TYPE_LAYER
        | "application/vnd.oci.image.layer.nondistributable.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => Format::Plain,
        MEDIA_TYPE_LAYER_GZIP
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip"
        | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Format::Gzip,
        MEDIA_TYPE_LAYER_ZSTD
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Format::Zstd,
        _ => return None,
    })
}
