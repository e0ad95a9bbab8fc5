//! What images say about themselves, read with every size and digest verified on the way.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::layout::LayoutReader;
use crate::progress::Progress;
use crate::spec::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, ImageConfiguration, ImageManifest, MediaType,
};

/// The images of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The layout directory or archive.
    pub path: String,
    /// Its images, in the order of the index.
    pub images: Vec<ImageSummary>,
}

/// One image. The objects of image-spec are as the image holds them, what this program does not know included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageSummary {
    /// The full name that the index gives it.
    pub name: Option<String>,
    /// The tag that the index gives it.
    pub tag: Option<String>,
    /// Its manifest.
    pub manifest: BlobSummary,
    /// Its configuration.
    pub config_descriptor: BlobSummary,
    /// Its layers, lowest first.
    pub layers: Vec<LayerSummary>,
    /// What it runs on, as its configuration says: `architecture`, `os`, `variant` and so on.
    pub platform: Map<String, Value>,
    /// When it was made.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// How it is run: `Cmd`, `Env` and so on.
    pub config: Map<String, Value>,
    /// The annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// How it was made, the oldest step first.
    pub history: Vec<Value>,
}

/// A blob as its descriptor describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlobSummary {
    /// What it is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: String,
    /// Their number.
    pub size: u64,
}

/// A layer as the manifest and the configuration describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerSummary {
    /// The compressed bytes.
    #[serde(flatten)]
    pub blob: BlobSummary,
    /// The digest of the uncompressed bytes.
    pub diff_id: String,
}

impl From<&Descriptor> for BlobSummary {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type().to_string(),
            digest: descriptor.digest().to_string(),
            size: descriptor.size(),
        }
    }
}

/// Reads the images of the layout `path`, or of the one in the archive `path`, or of the docker-archive `path`; those of
/// nested indexes too. What is no
/// image is passed over. Layers are not read.
///
/// # Errors
/// [`Error::Layout`] naming the first document that is missing or not what its descriptor says; [`Error::Io`],
/// [`Error::Interrupted`].
pub fn inspect(path: &Path, progress: &Progress) -> Result<Summary> {
    let layout = LayoutReader::open_image(path, progress)?;
    let mut images = Vec::new();
    for entry in layout.manifests()? {
        progress.check()?;
        images.extend(inspect_image(&layout, &entry)?);
    }
    Ok(Summary { path: path.display().to_string(), images })
}

fn inspect_image(layout: &LayoutReader, entry: &Descriptor) -> Result<Option<ImageSummary>> {
    let manifest: ImageManifest = layout.read_document(entry)?;
    if *manifest.config().media_type() != MediaType::ImageConfig {
        return Ok(None);
    }
    let config: ImageConfiguration = layout.read_document(manifest.config())?;
    let mut whole: Map<String, Value> = layout.read_document(manifest.config())?;
    let annotation = |key| entry.annotations().as_ref().and_then(|annotations| annotations.get(key)).cloned();
    Ok(Some(ImageSummary {
        name: annotation(ANNOTATION_IMAGE_NAME),
        tag: annotation(ANNOTATION_REF_NAME),
        manifest: entry.into(),
        config_descriptor: manifest.config().into(),
        layers: layers(layout, &manifest, &config)?,
        platform: ["architecture", "os", "os.version", "os.features", "variant"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), whole.get(key)?.clone())))
            .collect(),
        created: config.created().clone(),
        author: config.author().clone(),
        config: match whole.remove("config") {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        },
        annotations: manifest.annotations().clone().into_iter().flatten().collect(),
        history: match whole.remove("history") {
            Some(Value::Array(steps)) => steps,
            _ => Vec::new(),
        },
    }))
}

fn layers(layout: &LayoutReader, manifest: &ImageManifest, config: &ImageConfiguration) -> Result<Vec<LayerSummary>> {
    let (layers, diff_ids) = (manifest.layers(), config.rootfs().diff_ids());
    if layers.len() != diff_ids.len() {
        let reason = format!("a manifest has {} layers, its configuration {} diff_ids", layers.len(), diff_ids.len());
        return Err(Error::layout(layout.path(), reason));
    }
    let pairs = layers.iter().zip(diff_ids);
    Ok(pairs.map(|(layer, diff_id)| LayerSummary { blob: layer.into(), diff_id: diff_id.clone() }).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::layout::sample::{NAME, Sample, bytes, descriptor};
    use crate::spec::{MEDIA_TYPE_CONFIG, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER, MEDIA_TYPE_MANIFEST};

    fn summary(sample: &Sample) -> Result<Value> {
        let directory = tempfile::tempdir().unwrap();
        sample.write(directory.path());
        let summary = inspect(directory.path(), &Progress::default())?;
        assert_eq!(summary.path, directory.path().to_str().unwrap());
        Ok(serde_json::to_value(summary).unwrap())
    }

    fn blob(sample: &Sample, which: &str, media_type: &str) -> Value {
        let (location, digest) = (sample.location(which), sample.digest(which));
        json!({"media_type": media_type, "digest": digest, "size": sample.files()[&location].len()})
    }

    #[test]
    fn everything_that_the_image_says_is_told() {
        let sample = Sample::new().config(|config| config["config"]["Healthcheck"] = json!({"Test": ["NONE"]}));
        let layers = ["0", "1"].map(|number| {
            let mut layer = blob(&sample, number, MEDIA_TYPE_LAYER);
            layer["diff_id"] = json!(sample.digest(number));
            layer
        });
        let history = json!({"created": "2024-01-01T00:00:00Z", "created_by": "test"});
        let image = json!({
            "name": NAME,
            "tag": "1.0",
            "manifest": blob(&sample, "manifest", MEDIA_TYPE_MANIFEST),
            "config_descriptor": blob(&sample, "config", MEDIA_TYPE_CONFIG),
            "layers": layers,
            "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
            "created": "2024-01-01T00:00:00Z",
            "author": "Ada",
            "config": {
                "Cmd": ["sh"], "Labels": {"k": "v"}, "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["NONE"]},
            },
            "annotations": {"a": "b"},
            "history": [history, {"created": "2024-01-01T00:00:00Z", "empty_layer": true}, history],
        });
        assert_eq!(summary(&sample).unwrap()["images"], json!([image]));
    }

    #[test]
    fn what_an_image_does_not_say_is_empty() {
        let sample = Sample::new()
            .config(|config| {
                for key in ["created", "author", "config", "history", "variant"] {
                    config.as_object_mut().unwrap().remove(key);
                }
            })
            .manifest(|manifest| manifest["annotations"] = Value::Null)
            .index(|index| index["manifests"][0]["annotations"] = Value::Null);
        let image = &summary(&sample).unwrap()["images"][0];
        for key in ["name", "tag", "created", "author"] {
            assert_eq!(image[key], Value::Null, "{key}");
        }
        assert_eq!((&image["config"], &image["annotations"], &image["history"]), (&json!({}), &json!({}), &json!([])));
        assert_eq!(image["platform"], json!({"architecture": "arm", "os": "linux"}));
    }

    #[test]
    fn nested_indexes_are_followed_and_other_things_passed_over() {
        let sample = Sample::new();
        let manifest = descriptor(MEDIA_TYPE_MANIFEST, &sample.files()[&sample.location("manifest")]);
        let nested = bytes(&json!({"schemaVersion": 2, "manifests": [manifest]}));
        let artifact = bytes(&json!({
            "schemaVersion": 2, "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        }));
        let sample = sample.blob(&nested).blob(&artifact).index(|index| {
            let entries = index["manifests"].as_array_mut().unwrap();
            entries.insert(0, descriptor(MEDIA_TYPE_INDEX, &nested));
            entries.insert(0, descriptor(MEDIA_TYPE_MANIFEST, &artifact));
            entries.insert(0, descriptor("text/plain", b"not there"));
        });
        let images = summary(&sample).unwrap()["images"].clone();
        let names: Vec<_> = images.as_array().unwrap().iter().map(|image| image["name"].as_str()).collect();
        assert_eq!(names, [None, Some(NAME)]);
    }

    #[test]
    fn a_broken_image_is_an_error_that_names_the_layout() {
        for (sample, reason) in [
            (Sample::new().index(|index| index["manifests"][0]["size"] = json!(1)), "its descriptor says 1"),
            (
                Sample::new().config(|config| config["rootfs"]["diff_ids"] = json!([])),
                "a manifest has 2 layers, its configuration 0 diff_ids",
            ),
        ] {
            let error = summary(&sample).unwrap_err();
            assert!(matches!(&error, Error::Layout { .. }) && error.to_string().contains(reason), "{error}");
        }
    }
}
