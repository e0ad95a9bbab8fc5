//! One image for several platforms: an index of images that were built one by one.
//!
//! Source: image-spec v1.1.1, image-index.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::build::BlobSummary;
use super::documents::{platform_index, top_index};
use super::outputs::{Outputs, Published};
use super::request::{OutputRequest, latest};
use crate::error::{Error, Result};
use crate::layout::{LayoutReader, LayoutWriter};
use crate::progress::Progress;
use crate::spec::{Descriptor, ImageConfiguration, ImageManifest, MEDIA_TYPE_INDEX, Platform, Reference};

/// What to make an index of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    /// Layout directories or archives, each with one image, for one platform or several.
    pub images: Vec<PathBuf>,
    /// The repository under which runtimes list the image, without its tag.
    pub name: String,
    /// The tag.
    #[serde(default = "latest")]
    pub tag: String,
    /// Annotations of the index and of its entry in `index.json`.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What to write.
    pub output: OutputRequest,
}

/// An index that was written.
#[derive(Clone, Debug, Serialize)]
pub struct IndexResult {
    /// The image's full name with its tag.
    pub name: String,
    /// The index, whose digest is the image's.
    pub index: BlobSummary,
    /// What is in it, in its order.
    pub images: Vec<IndexedImage>,
    /// The layout directory, if one was asked for.
    pub layout: Option<PathBuf>,
    /// The archives, in the order in which they were asked for.
    pub archives: Vec<PathBuf>,
    /// What a user should know, a line each.
    pub notes: Vec<String>,
}

/// An image in an index.
#[derive(Clone, Debug, Serialize)]
pub struct IndexedImage {
    /// The layout or archive that it came from.
    pub path: PathBuf,
    /// What it runs on: `os/architecture`, and the variant if it has one.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: String,
}

impl IndexSpec {
    /// Reads a description.
    ///
    /// # Errors
    /// [`Error::Spec`] naming the field that is not understood, or that is missing.
    pub fn from_json(text: &str) -> Result<Self> {
        let beginning = || text.chars().take(60).collect::<String>();
        let spec: Self =
            serde_json::from_str(text).map_err(|error| Error::spec("spec", beginning(), error.to_string()))?;
        if spec.images.is_empty() {
            return Err(Error::spec("images", "[]", "an index has at least one image"));
        }
        Ok(spec)
    }
}

/// Makes the index that `spec` describes. Blobs are linked where the file system allows, after they were verified.
///
/// # Errors
/// [`Error::Layout`] for an image that is broken, [`Error::Spec`] for two of one platform; those of writing. Then no output
/// has its final name, except those that were complete before the failure.
pub fn index(spec: &IndexSpec, progress: &Progress) -> Result<IndexResult> {
    let reference = Reference::new(&spec.name, &spec.tag)?;
    let outputs = Outputs::claim(&spec.output)?;
    let mut notes = Vec::new();
    let mut members = Vec::new();
    for path in &spec.images {
        members.extend(read(path, &mut notes, progress)?);
    }
    members.sort_by_key(|member| shown(&member.platform));
    refuse_doubles(&members)?;
    for member in &members {
        member.adopt(&outputs.layout, progress)?;
    }
    let manifests = members.iter().map(Member::descriptor).collect();
    let blob = outputs.layout.index(&platform_index(manifests, &spec.annotations)?)?;
    let top = top_index(blob.descriptor(MEDIA_TYPE_INDEX), &reference, &spec.annotations)?;
    let complete = outputs.complete(&top, None, progress)?;
    progress.check()?;
    let Published { layout, archives } = complete.publish()?;
    Ok(IndexResult {
        name: reference.to_string(),
        index: BlobSummary::new(MEDIA_TYPE_INDEX, blob),
        images: members.iter().map(Member::summary).collect(),
        layout,
        archives,
        notes,
    })
}

/// An image for one platform.
struct Member {
    layout: Rc<LayoutReader>,
    entry: Descriptor,
    manifest: ImageManifest,
    platform: Platform,
}

fn read(path: &Path, notes: &mut Vec<String>, progress: &Progress) -> Result<Vec<Member>> {
    let layout = Rc::new(LayoutReader::open(path, progress)?);
    let mut members = Vec::new();
    for entry in layout.manifests_of_one_image()? {
        let manifest: ImageManifest = layout.read_document(&entry)?;
        let platform = match entry.platform() {
            Some(described) if is_unknown(described) => described.clone(),
            described => platform(&layout.read_document(manifest.config())?, described.as_ref()),
        };
        // BuildKit lists what it says about an image, its attestations, like one more image of an unknown platform.
        if is_unknown(&platform) {
            notes.push(format!("{}: {} is of no platform and was left out", path.display(), entry.digest()));
            continue;
        }
        members.push(Member { layout: layout.clone(), entry, manifest, platform });
    }
    Ok(members)
}

impl Member {
    fn adopt(&self, target: &LayoutWriter, progress: &Progress) -> Result<()> {
        for blob in self.manifest.layers().iter().chain([self.manifest.config(), &self.entry]) {
            self.layout.verify(blob, progress)?;
            target.adopt(&self.layout, blob)?;
        }
        Ok(())
    }

    fn descriptor(&self) -> Descriptor {
        let mut descriptor = self.entry.clone();
        descriptor.set_annotations(None);
        descriptor.set_platform(Some(self.platform.clone()));
        descriptor
    }

    fn summary(&self) -> IndexedImage {
        IndexedImage {
            path: self.layout.path().to_owned(),
            platform: shown(&self.platform),
            digest: self.entry.digest().to_string(),
        }
    }
}

/// What an image runs on: as its configuration says, and what only its entry in the index says.
fn platform(configuration: &ImageConfiguration, described: Option<&Platform>) -> Platform {
    let mut platform = Platform::default();
    platform.set_architecture(configuration.architecture().clone());
    platform.set_os(configuration.os().clone());
    let described_variant = || described.and_then(|described| described.variant().clone());
    platform.set_variant(configuration.variant().clone().filter(|text| !text.is_empty()).or_else(described_variant));
    platform.set_os_version(configuration.os_version().clone());
    platform.set_os_features(configuration.os_features().clone());
    platform
}

fn is_unknown(platform: &Platform) -> bool {
    platform.os().to_string() == "unknown"
}

/// Nobody could tell which one is meant.
fn refuse_doubles(members: &[Member]) -> Result<()> {
    let mut seen: BTreeMap<_, &Path> = BTreeMap::new();
    for member in members {
        let platform = &member.platform;
        let key = (shown_as_runtimes_do(platform), platform.os_version().clone(), platform.os_features().clone());
        let path = member.layout.path();
        if let Some(first) = seen.insert(key, path) {
            let reason = format!("it is for {}, and so is {first:?}", shown(platform));
            return Err(Error::spec("images", path.display().to_string(), reason));
        }
    }
    Ok(())
}

/// `os/architecture`, and the variant if there is one.
fn shown(platform: &Platform) -> String {
    joined(platform, platform.variant().as_deref().unwrap_or_default())
}

/// The same for all that containerd and docker take for one platform: what they assume where no variant is said.
/// Source: containerd's platforms package, normalizeArch.
fn shown_as_runtimes_do(platform: &Platform) -> String {
    let variant = platform.variant().as_deref().unwrap_or_default();
    let variant = match (platform.architecture().to_string().as_str(), variant) {
        ("arm64", "v8") | ("amd64", "v1") => "",
        ("arm", "") => "v7",
        (_, variant) => variant,
    };
    joined(platform, variant)
}

fn joined(platform: &Platform, variant: &str) -> String {
    let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
    [os.as_str(), &architecture, variant].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}
