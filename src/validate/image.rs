//! Images: from the index to manifests and configurations, and the facts that must agree between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;

use super::blobs::Blobs;
use super::document;
use super::finding::Findings;
use super::media::{Role, is_image_config, layer_format};
use crate::digest::Digest;
use crate::epoch::is_rfc3339;
use crate::error::Result;
use crate::layout::{self, INDEX_FILE, LayoutReader};
use crate::spec::{
    ANNOTATION_IMAGE_NAME, Descriptor, History, ImageConfiguration, ImageIndex, ImageManifest, MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_INDEX, MediaType, Platform,
};

const ANNOTATION_CREATED: &str = "org.opencontainers.image.created";

/// The architecture of what is an image in form only, for example the provenance that BuildKit puts beside one. Its
/// layers are documents of other types.
const NO_ARCHITECTURE: &str = "unknown";

/// An image whose manifest could be read.
#[derive(Debug)]
pub struct Image {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: ImageManifest,
    /// The digest of its configuration and what that says, if it could be read.
    config: Option<(Digest, ImageConfiguration)>,
    entries: Entries,
}

/// What the index entries that lead to one manifest say about it.
#[derive(Debug, Default)]
struct Entries {
    names: BTreeSet<String>,
    platforms: Vec<Platform>,
}

/// Reads the index, every index it refers to, and all of their manifests; the images among these, sorted by digest.
pub fn follow_index(layout: &LayoutReader, blobs: &mut Blobs, findings: &mut Findings) -> Result<Vec<Image>> {
    let mut entries = VecDeque::new();
    match document::read::<ImageIndex>(layout, INDEX_FILE)? {
        None => findings.add("index-missing", &INDEX_FILE, "it is not there, and all reading begins at it"),
        Some(Err(reason)) => findings.add("index-schema", &INDEX_FILE, reason),
        Some(Ok(index)) => {
            check_index(&INDEX_FILE, &index, &MediaType::from(MEDIA_TYPE_INDEX), findings);
            entries.extend(index.manifests().clone());
        }
    }
    let mut indexes = BTreeSet::new();
    let mut manifests: BTreeMap<Digest, (Descriptor, Entries)> = BTreeMap::new();
    while let Some(entry) = entries.pop_front() {
        let created = entry.annotations().as_ref().and_then(|map| map.get(ANNOTATION_CREATED));
        check_created(entry.digest(), ANNOTATION_CREATED, created, findings);
        let role = Role::of_entry(entry.media_type());
        let Some(digest) = blobs.check(role, &entry, findings) else { continue };
        if role == Role::Index && indexes.insert(digest.clone()) {
            if let Some(index) = document::blob::<ImageIndex>(layout, role, &digest, findings)? {
                check_index(&digest, &index, entry.media_type(), findings);
                index.subject().iter().for_each(|subject| blobs.refer(subject));
                entries.extend(index.manifests().clone());
            }
        } else if role == Role::Manifest {
            let (_, known) = manifests.entry(digest).or_insert_with(|| (entry.clone(), Entries::default()));
            known.platforms.extend(entry.platform().clone());
            known.names.extend(entry.annotations().iter().filter_map(|map| map.get(ANNOTATION_IMAGE_NAME)).cloned());
        }
    }
    let mut images = Vec::new();
    for (digest, (entry, entries)) in manifests {
        images.extend(read_image(layout, digest, &entry, entries, blobs, findings)?);
    }
    Ok(images)
}

fn check_index(subject: &dyn Display, index: &ImageIndex, described: &MediaType, findings: &mut Findings) {
    let (version, own) = (index.schema_version(), index.media_type().as_ref());
    document::check_header(Role::Index, subject, version, own, described, findings);
    let created = index.annotations().as_ref().and_then(|map| map.get(ANNOTATION_CREATED));
    check_created(subject, ANNOTATION_CREATED, created, findings);
}

fn read_image(
    layout: &LayoutReader,
    digest: Digest,
    entry: &Descriptor,
    entries: Entries,
    blobs: &mut Blobs,
    findings: &mut Findings,
) -> Result<Option<Image>> {
    let Some(manifest) = document::blob::<ImageManifest>(layout, Role::Manifest, &digest, findings)? else {
        return Ok(None);
    };
    let (version, own) = (manifest.schema_version(), manifest.media_type().as_ref());
    document::check_header(Role::Manifest, &digest, version, own, entry.media_type(), findings);
    let created = manifest.annotations().as_ref().and_then(|map| map.get(ANNOTATION_CREATED));
    check_created(&digest, ANNOTATION_CREATED, created, findings);
    manifest.subject().iter().for_each(|subject| blobs.refer(subject));
    if !is_image(&digest, &manifest, findings) {
        for blob in manifest.layers().iter().chain([manifest.config()]) {
            blobs.check(Role::Blob, blob, findings);
        }
        return Ok(None);
    }
    let config = match blobs.check(Role::Config, manifest.config(), findings) {
        Some(digest) => document::blob(layout, Role::Config, &digest, findings)?.map(|config| (digest, config)),
        None => None,
    };
    Ok(Some(Image { digest, manifest, config, entries }))
}

/// Whether the manifest is an image's, and not that of some other artifact.
fn is_image(digest: &Digest, manifest: &ImageManifest, findings: &mut Findings) -> bool {
    let config = manifest.config().media_type();
    if is_image_config(config) {
        return true;
    }
    let layer = manifest.layers().iter().map(Descriptor::media_type).find(|layer| layer_format(layer).is_some());
    if let (None, Some(layer)) = (manifest.artifact_type(), layer) {
        let message =
            format!("its configuration is {config}; as it has layers of {layer}, that should be {MEDIA_TYPE_CONFIG}");
        findings.add("config-media-type", digest, message);
    }
    false
}

fn check_created(subject: &dyn Display, what: &str, created: Option<&String>, findings: &mut Findings) {
    if let Some(created) = created.filter(|created| !is_rfc3339(created)) {
        findings.add(
            "created",
            subject,
            format!("{what} is {created:?}, RFC 3339 has it like \"2024-01-31T12:00:00Z\""),
        );
    }
}

impl Image {
    /// The full names that index entries give it.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.entries.names
    }

    /// The digests that its configuration says the uncompressed layers have.
    pub fn diff_ids(&self) -> &[String] {
        self.config.as_ref().map_or(&[], |(_, config)| config.rootfs().diff_ids())
    }

    /// Whether its layers are documents and not tar archives.
    pub fn is_in_form_only(&self) -> bool {
        self.config.as_ref().is_some_and(|(_, config)| config.architecture().to_string() == NO_ARCHITECTURE)
    }

    /// Where its configuration is, relative to the layout.
    pub fn config_location(&self) -> Option<String> {
        layout::digest_of(self.manifest.config()).ok().as_ref().map(layout::location)
    }

    /// Where its layers are, relative to the layout, lowest first.
    pub fn layer_locations(&self) -> Vec<String> {
        let digests = self.manifest.layers().iter().filter_map(|layer| layout::digest_of(layer).ok());
        digests.map(|digest| layout::location(&digest)).collect()
    }

    /// Checks the configuration against itself, the manifest and the index.
    pub fn check_configuration(&self, findings: &mut Findings) {
        let Some((digest, config)) = &self.config else { return };
        let rootfs = config.rootfs();
        if rootfs.typ() != "layers" {
            let message = format!("the type of its rootfs is {:?}, it must be \"layers\"", rootfs.typ());
            findings.add("config-schema", digest, message);
        }
        let (diff_ids, layers) = (rootfs.diff_ids().len(), self.manifest.layers().len());
        if diff_ids != layers {
            let message = format!("it has {diff_ids} diff_ids, its manifest {} has {layers} layers", self.digest);
            findings.add("diff-id-count", digest, message);
        }
        check_created(digest, "created", config.created().as_ref(), findings);
        self.check_platform(digest, config, findings);
        self.check_history(digest, config.history().as_deref().unwrap_or_default(), findings);
    }

    fn check_platform(&self, digest: &Digest, config: &ImageConfiguration, findings: &mut Findings) {
        let (architecture, os) = (config.architecture().to_string(), config.os().to_string());
        for (name, value) in [("architecture", &architecture), ("os", &os)] {
            if value.is_empty() {
                findings.add("platform", digest, format!("its {name} is empty, and should tell where it can run"));
            }
        }
        let own = show_platform(&architecture, &os, config.variant().as_deref());
        for platform in &self.entries.platforms {
            let (architecture, os) = (platform.architecture().to_string(), platform.os().to_string());
            let entry = show_platform(&architecture, &os, platform.variant().as_deref());
            if entry != own {
                let message = format!("its index entry says {entry}, its configuration {digest} says {own}");
                findings.add("platform", &self.digest, message);
            }
        }
    }

    fn check_history(&self, digest: &Digest, history: &[History], findings: &mut Findings) {
        for (number, step) in history.iter().enumerate() {
            let what = format!("created of history entry {number}");
            check_created(digest, &what, step.created().as_ref(), findings);
        }
        let filled = history.iter().filter(|step| !step.empty_layer().unwrap_or(false)).count();
        let layers = self.manifest.layers().len();
        // The history may be left out altogether.
        if !history.is_empty() && filled != layers {
            let message = format!(
                "its history has {filled} entries that made a layer, its manifest {} has {layers} layers",
                self.digest
            );
            findings.add("history", digest, message);
        }
    }
}

fn show_platform(architecture: &str, os: &str, variant: Option<&str>) -> String {
    match variant {
        Some(variant) if !variant.is_empty() => format!("{os}/{architecture}/{variant}"),
        _ => format!("{os}/{architecture}"),
    }
}
