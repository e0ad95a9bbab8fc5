//! The image-spec's documents (types from the `oci-spec` crate), their media types and annotation keys, and the only
//! functions that write JSON for an image.
//!
//! Source: image-spec v1.1.1, media-types.md, annotations.md and "Canonical JSON" in considerations.md.

mod reference;

pub use oci_spec::image::{
    Arch, Config, ConfigBuilder, Descriptor, History, HistoryBuilder, ImageConfiguration, ImageConfigurationBuilder,
    ImageIndex, ImageIndexBuilder, ImageManifest, ImageManifestBuilder, MediaType, Os, Platform, PlatformBuilder,
    RootFs, RootFsBuilder,
};
pub use reference::Reference;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, Result};

/// Media type of an image index, which `index.json` is.
pub const MEDIA_TYPE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image manifest.
pub const MEDIA_TYPE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image configuration.
pub const MEDIA_TYPE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer that is a plain tar archive.
pub const MEDIA_TYPE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a layer compressed with gzip (RFC 1952).
pub const MEDIA_TYPE_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of a layer compressed with zstd (RFC 8478).
pub const MEDIA_TYPE_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// The tag of an image in `index.json`; read by skopeo, podman and umoci.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name of an image in `index.json`; read by containerd and podman.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// The digest of the manifest of the image below. Source: annotations.md.
pub const ANNOTATION_BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The full name of the image below. Source: annotations.md.
pub const ANNOTATION_BASE_NAME: &str = "org.opencontainers.image.base.name";
/// On the descriptor of a layer that is one of several: its name in the plan.
pub const ANNOTATION_LAYER_NAME: &str = "io.github.image-oci-rs.layer.name";
/// On the same: the packages in it, `NAME` or `NAME VERSION` each, parted by a comma and a blank.
pub const ANNOTATION_LAYER_PACKAGES: &str = "io.github.image-oci-rs.layer.packages";
/// On the same: why its files make a layer, in words.
pub const ANNOTATION_LAYER_WHY: &str = "io.github.image-oci-rs.layer.why";

/// The version that the file `oci-layout` carries.
pub const LAYOUT_VERSION: &str = "1.0.0";

/// `document` as JSON: keys sorted by bytes, no white space, UTF-8, nothing escaped that need not be.
///
/// The order is structural: serde_json's map is a B-tree as long as nobody turns on its feature `preserve_order`.
///
/// # Errors
/// [`Error::Internal`] when the document can't be written as JSON, which no document of ours is.
pub fn canonical_json<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    serde_json::to_value(document)
        .and_then(|value| serde_json::to_vec(&value))
        .map_err(|error| Error::Internal(format!("a document can't be written as JSON: {error}")))
}

/// `document` as indented JSON, for indexes, which shell scripts read line by line: two spaces for each level, a line break
/// at the end, keys sorted by bytes, except that `annotations` comes last in every object.
///
/// Such a reader takes the first digest in the text for the image's, and the `digest` before a `platform` for that
/// platform's. An annotation may hold a digest too. Source: meta-virtualization, vcontainer-common.sh and vrunner.sh,
/// `select_platform_manifest`.
///
/// # Errors
/// Those of [`canonical_json`].
pub fn indented_json<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_value(document)
        .and_then(|value| serde_json::to_vec_pretty(&AnnotationsLast(&value)))
        .map_err(|error| Error::Internal(format!("a document can't be written as JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A value whose objects end with their annotations.
struct AnnotationsLast<'a>(&'a Value);

impl Serialize for AnnotationsLast<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(AnnotationsLast)),
            Value::Object(object) => {
                let (last, first): (Vec<_>, Vec<_>) = object.iter().partition(|(key, _)| *key == "annotations");
                let mut map = serializer.serialize_map(Some(object.len()))?;
                for (key, value) in first.into_iter().chain(last) {
                    map.serialize_entry(key, &AnnotationsLast(value))?;
                }
                map.end()
            }
            other => other.serialize(serializer),
        }
    }
}

/// A descriptor of a blob with these properties.
pub fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Descriptor {
    Descriptor::new(MediaType::from(media_type), size, to_spec_digest(digest))
}

/// The architecture that `name`, a GOARCH, stands for.
///
/// oci-spec 0.10 takes `armbe` for `arm64be`; what it would write differently is kept as it is.
pub fn architecture(name: &str) -> Arch {
    let known = Arch::from(name);
    if known.to_string() == name { known } else { Arch::Other(name.to_owned()) }
}

fn to_spec_digest(digest: &Digest) -> oci_spec::image::Digest {
    // Ours is checked when it is made and its grammar is a subset of theirs.
    digest.to_string().parse().unwrap_or_else(|_| unreachable!("{digest} is a digest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_written_as_it_was_named() {
        for name in ["386", "amd64", "arm", "arm64", "armbe", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"] {
            assert_eq!(canonical_json(&architecture(name)).unwrap(), format!("{name:?}").as_bytes());
        }
    }

    #[test]
    fn json_is_sorted_and_compact() {
        let document = serde_json::json!({"b": [1, "ü/\""], "a": {"z": null, "y": true}});
        let json = canonical_json(&document).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"a":{"y":true,"z":null},"b":[1,"ü/\""]}"#);
    }

    #[test]
    fn indexes_are_indented_with_annotations_last() {
        let document = serde_json::json!({
            "annotations": {"b": "1", "a": "2"}, "list": [{"platform": {}, "annotations": {}, "digest": "d"}],
        });
        let lines = [
            "{",
            "  \"list\": [",
            "    {",
            "      \"digest\": \"d\",",
            "      \"platform\": {},",
            "      \"annotations\": {}",
            "    }",
            "  ],",
            "  \"annotations\": {",
            "    \"a\": \"2\",",
            "    \"b\": \"1\"",
            "  }",
            "}",
        ];
        let json = String::from_utf8(indented_json(&document).unwrap()).unwrap();
        assert_eq!(json, lines.join("\n") + "\n");
    }

    #[test]
    fn labels_come_out_sorted_although_the_type_holds_them_in_random_order() {
        let labels = (0..50).map(|n| (format!("k{n:02}"), String::new())).collect();
        let mut config = ConfigBuilder::default().build().unwrap();
        config.set_labels(Some(labels));
        let json = String::from_utf8(canonical_json(&config).unwrap()).unwrap();
        let positions: Vec<_> = (0..50).map(|n| json.find(&format!("k{n:02}")).unwrap()).collect();
        assert!(positions.is_sorted());
    }
}
