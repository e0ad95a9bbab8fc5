//! `manifest.json`, which docker without containerd's image store reads instead of the index.

use std::collections::BTreeSet;

use super::document;
use super::finding::Findings;
use super::image::Image;
use crate::error::Result;
use crate::layout::{DOCKER_MANIFEST_FILE, DockerImage, LayoutReader};

/// Checks `manifest.json`, if it is there, against the images of the index.
pub fn check_manifest(layout: &LayoutReader, images: &[Image], findings: &mut Findings) -> Result<()> {
    match document::read::<Vec<DockerImage>>(layout, DOCKER_MANIFEST_FILE)? {
        None => {}
        Some(Err(reason)) => findings.add("docker-manifest", &DOCKER_MANIFEST_FILE, reason),
        Some(Ok(listed)) if listed.is_empty() && !images.is_empty() => {
            let message = format!("it lists no image, index.json has {}", images.len());
            findings.add("docker-manifest", &DOCKER_MANIFEST_FILE, message);
        }
        Some(Ok(listed)) => listed.iter().for_each(|listed| check_image(listed, images, findings)),
    }
    Ok(())
}

fn check_image(listed: &DockerImage, images: &[Image], findings: &mut Findings) {
    let same_config: Vec<_> =
        images.iter().filter(|image| image.config_location().as_ref() == Some(&listed.config)).collect();
    let Some(image) = same_config.first() else {
        let known: BTreeSet<_> = images.iter().filter_map(Image::config_location).collect();
        let message = format!("Config is {:?}, the manifests have {known:?}", listed.config);
        return findings.add("docker-manifest-config", &DOCKER_MANIFEST_FILE, message);
    };
    if !same_config.iter().any(|image| image.layer_locations() == listed.layers) {
        let (layers, manifest) = (image.layer_locations(), &image.digest);
        let message = format!("Layers is {:?}, the manifest {manifest} has {layers:?}", listed.layers);
        findings.add("docker-manifest-layers", &DOCKER_MANIFEST_FILE, message);
    }
    let names: BTreeSet<_> = same_config.iter().flat_map(|image| image.names()).collect();
    let tags = listed.names().map(|(tag, full)| full.map_or_else(|| tag.clone(), |full| full.to_string()));
    let tags: BTreeSet<_> = tags.collect();
    // Not every program that writes an index writes full names into it, and an image may have further names here: one
    // entry of an index has one name.
    if names.iter().any(|name| !tags.contains(*name)) {
        let message = format!("RepoTags has {tags:?}, the index entries have {names:?}");
        findings.add("docker-manifest-tags", &DOCKER_MANIFEST_FILE, message);
    }
}
