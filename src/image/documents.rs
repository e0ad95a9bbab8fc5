//! The documents of an image: configuration, manifest, index, and docker's own manifest.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::base::Base;
use super::layers::NewLayer;
use super::request::{ConfigRequest, ImageSpec, PlatformRequest};
use crate::epoch::rfc3339;
use crate::error::{Error, Result};
use crate::layer::Label;
use crate::layout::{Blob, digest_of, location};
use crate::spec::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_LAYER_NAME, ANNOTATION_LAYER_PACKAGES, ANNOTATION_LAYER_WHY, ANNOTATION_REF_NAME,
    Config, ConfigBuilder, Descriptor, HistoryBuilder, ImageConfiguration, ImageConfigurationBuilder, ImageIndex,
    ImageIndexBuilder, ImageManifest, ImageManifestBuilder, MEDIA_TYPE_CONFIG, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST,
    MediaType, Os, Platform, PlatformBuilder, Reference, RootFsBuilder, architecture, canonical_json,
};

/// What history entries say about how a layer came to be.
///
/// Without a version: a new one that packs the same bytes gives the same image.
const CREATED_BY: &str = "image-oci-rs";

/// The image configuration, on top of that of `base`. Source: image-spec v1.1.1, config.md.
pub fn configuration(
    spec: &ImageSpec,
    base: Option<&Base>,
    layers: &[NewLayer],
    created: i64,
) -> Result<Map<String, Value>> {
    let ours = canonical_json(&own_configuration(spec, layers, created)?)?;
    let ours = serde_json::from_slice(&ours).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(match base {
        Some(base) => base.configuration(ours, &spec.config),
        None => ours,
    })
}

fn own_configuration(spec: &ImageSpec, layers: &[NewLayer], created: i64) -> Result<ImageConfiguration> {
    let history = layers
        .iter()
        .map(|new| {
            let mut entry = HistoryBuilder::default().created(rfc3339(created)).created_by(CREATED_BY);
            if let Some(author) = &spec.author {
                entry = entry.author(author.clone());
            }
            if let Some(label) = &new.label {
                entry = entry.comment(comment(label));
            }
            entry.build()
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(unbuildable)?;
    let rootfs = RootFsBuilder::default()
        .typ("layers")
        .diff_ids(layers.iter().map(|new| new.layer.diff_id.to_string()).collect::<Vec<_>>())
        .build()
        .map_err(unbuildable)?;
    let mut configuration = ImageConfigurationBuilder::default()
        .created(rfc3339(created))
        .architecture(architecture(&spec.platform.architecture))
        .os(Os::from(spec.platform.os.as_str()))
        .config(config(&spec.config)?)
        .rootfs(rootfs)
        .history(history)
        .build()
        .map_err(unbuildable)?;
    configuration.set_author(spec.author.clone());
    configuration.set_variant(spec.platform.variant.clone());
    Ok(configuration)
}

fn config(request: &ConfigRequest) -> Result<Config> {
    let list = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut config = ConfigBuilder::default().build().map_err(unbuildable)?;
    config
        .set_user(text(&request.user))
        .set_exposed_ports(list(&request.exposed_ports))
        .set_env(Some(request.env.clone()).filter(|env| !env.is_empty()))
        .set_entrypoint(list(&request.entrypoint))
        .set_cmd(list(&request.cmd))
        .set_volumes(list(&request.volumes))
        .set_working_dir(text(&request.working_dir))
        .set_labels(unordered(&request.labels))
        .set_stop_signal(text(&request.stop_signal));
    Ok(config)
}

/// What a history entry says of a layer that is one of several.
fn comment(label: &Label) -> String {
    let Label { name, packages, why } = label;
    match packages.len() {
        0 => format!("{name}: {why}"),
        _ => format!("{name}: {why}: {}", packages.join(", ")),
    }
}

/// The descriptor of a layer, with what it says of itself in annotations.
fn descriptor(new: &NewLayer) -> Descriptor {
    let mut descriptor = new.layer.blob.descriptor(new.layer.compression.media_type());
    if let Some(Label { name, packages, why }) = &new.label {
        let mut annotations = BTreeMap::from([
            (ANNOTATION_LAYER_NAME.to_owned(), name.clone()),
            (ANNOTATION_LAYER_WHY.to_owned(), why.clone()),
        ]);
        if !packages.is_empty() {
            annotations.insert(ANNOTATION_LAYER_PACKAGES.to_owned(), packages.join(", "));
        }
        descriptor.set_annotations(unordered(&annotations));
    }
    descriptor
}

/// The manifest. Source: image-spec v1.1.1, manifest.md.
pub fn manifest(spec: &ImageSpec, base: Option<&Base>, config: &Blob, layers: &[NewLayer]) -> Result<ImageManifest> {
    let layers = base.map(Base::layers).unwrap_or_default().into_iter().chain(layers.iter().map(descriptor));
    let mut annotations = base.map(Base::annotations).unwrap_or_default();
    annotations.extend(spec.annotations.clone());
    let mut manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::from(MEDIA_TYPE_MANIFEST))
        .config(config.descriptor(MEDIA_TYPE_CONFIG))
        .layers(layers.collect::<Vec<_>>())
        .build()
        .map_err(unbuildable)?;
    manifest.set_annotations(unordered(&annotations));
    Ok(manifest)
}

/// `index.json` with this one entry: with more, skopeo and podman ask which image is meant. It names no platform: the
/// configuration of an image does, and meta-virtualization's importers take an `index.json` with a platform for an index
/// of several. Source: image-spec v1.1.1, image-index.md and image-layout.md.
pub fn top_index(
    mut entry: Descriptor,
    reference: &Reference,
    annotations: &BTreeMap<String, String>,
) -> Result<ImageIndex> {
    let mut annotations = annotations.clone();
    annotations.insert(ANNOTATION_REF_NAME.to_owned(), reference.tag().to_owned());
    annotations.insert(ANNOTATION_IMAGE_NAME.to_owned(), reference.to_string());
    entry.set_annotations(unordered(&annotations));
    ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::from(MEDIA_TYPE_INDEX))
        .manifests([entry])
        .build()
        .map_err(unbuildable)
}

/// An index of the manifests of several platforms. Source: image-spec v1.1.1, image-index.md.
pub fn platform_index(manifests: Vec<Descriptor>, annotations: &BTreeMap<String, String>) -> Result<ImageIndex> {
    let mut index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::from(MEDIA_TYPE_INDEX))
        .manifests(manifests)
        .build()
        .map_err(unbuildable)?;
    index.set_annotations(unordered(annotations));
    Ok(index)
}

/// What the image runs on, as an index says it.
pub fn platform(request: &PlatformRequest) -> Result<Platform> {
    let mut platform = PlatformBuilder::default()
        .architecture(architecture(&request.architecture))
        .os(Os::from(request.os.as_str()))
        .build()
        .map_err(unbuildable)?;
    platform.set_variant(request.variant.clone());
    Ok(platform)
}

/// What `docker load` looks for in an archive. The first name is that of `index.json`, which some readers of this file take
/// alone. Source: docker's image specification v1.2, "Combined Image JSON + Filesystem
/// Changeset Format".
pub fn docker_manifest(names: &[Reference], base: Option<&Base>, config: &Blob, layers: &[NewLayer]) -> Value {
    let below = base.map(Base::layers).unwrap_or_default().into_iter();
    let below = below.filter_map(|layer| digest_of(&layer).ok()).map(|digest| location(&digest));
    json!([{
        "Config": config.location(),
        "RepoTags": names.iter().map(Reference::to_string).collect::<Vec<_>>(),
        "Layers": below.chain(layers.iter().map(|new| new.layer.blob.location())).collect::<Vec<_>>(),
    }])
}

/// The documents' types hold maps in random order; `canonical_json` sorts them again.
#[expect(clippy::disallowed_types, reason = "the type that oci-spec takes")]
fn unordered(map: &BTreeMap<String, String>) -> Option<std::collections::HashMap<String, String>> {
    (!map.is_empty()).then(|| map.clone().into_iter().collect())
}

fn unbuildable(error: oci_spec::OciSpecError) -> Error {
    Error::Internal(format!("a document lacks a field: {error}"))
}
