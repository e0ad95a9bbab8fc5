//! The pipeline, from sources to published outputs.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::base::Base;
use super::documents;
use super::layers::{NewLayer, NewLayers, PackageCounts, write_layers};
use super::layers_request::LayersRequest;
use super::outputs::{Outputs, Published};
use super::request::ImageSpec;
use crate::compress::{Cache, CacheCounts, Pool};
use crate::digest::Digest;
use crate::epoch::{Epoch, rfc3339};
use crate::error::{Error, Result};
use crate::layer::{Counts, Lock};
use crate::layout::{Blob, StagedFile};
use crate::progress::Progress;
use crate::spec::{MEDIA_TYPE_CONFIG, MEDIA_TYPE_MANIFEST, Reference};

/// More of them docker refuses: "max depth exceeded".
const MOST_LAYERS: usize = 125;

/// What a build has made.
#[derive(Clone, Debug, Serialize)]
pub struct BuildResult {
    /// The image's full name with its tag.
    pub name: String,
    /// The manifest, whose digest is the image's.
    pub manifest: BlobSummary,
    /// The configuration, whose digest docker calls the image's id.
    pub config: BlobSummary,
    /// The layers, lowest first.
    pub layers: Vec<LayerSummary>,
    /// The layout directory, if one was asked for.
    pub layout: Option<PathBuf>,
    /// The archives, in the order in which they were asked for.
    pub archives: Vec<PathBuf>,
    /// The lock file of the layers, if there was something new to write into it.
    pub lock: Option<PathBuf>,
    /// What is known of packages, if the root filesystem was split.
    pub packages: Option<PackageCounts>,
    /// When the image says it was made, RFC 3339.
    pub created: String,
    /// What is in the layers.
    pub counts: Counts,
    /// Bytes of file contents.
    pub content_bytes: u64,
    /// What a user should know, a line each.
    pub notes: Vec<String>,
    /// Problems that did not fail the build, one line each.
    pub warnings: Vec<String>,
    /// What the cache did, if there was one.
    pub cache: Option<CacheCounts>,
    /// How long the build took.
    pub seconds: f64,
}

/// A blob as a descriptor tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct BlobSummary {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A layer as a build's result tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSummary {
    /// Its blob.
    #[serde(flatten)]
    pub blob: BlobSummary,
    /// The digest of its uncompressed bytes.
    pub diff_id: Digest,
    /// The number of its uncompressed bytes.
    pub uncompressed_size: u64,
    /// The number of its entries.
    pub entries: u64,
    /// Its name in the plan, if the root filesystem was split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Builds the image that `spec` describes.
///
/// # Errors
/// Every error of this crate. Then no output has its final name, except those that were complete before the failure.
pub fn build(spec: &ImageSpec, progress: &Arc<Progress>) -> Result<BuildResult> {
    let started = Instant::now();
    // When the first statx of a process fails, std tries one without a path, of which pseudo complains in the task's log.
    let _ = std::fs::symlink_metadata("/");
    let names = spec.references()?;
    let reference = &names[0];
    let mut epoch = Epoch::new(spec.created)?;
    let outputs = Outputs::claim(&spec.output)?;
    let lock_output = LockOutput::claim(&spec.layers)?;
    let pool = Pool::new(spec.threads(), spec.cache()?)?;
    let base = spec.base.as_ref().map(|request| Base::open(request, spec, progress)).transpose()?;
    let base = base.as_ref();
    let NewLayers { layers, counts, content_bytes, mut notes, warnings, lock, packages } =
        write_layers(spec, base, &outputs.layout, &pool, &mut epoch, progress)?;
    if let Some(base) = base {
        base.adopt_layers(&outputs.layout, progress)?;
        notes.push(base.note());
    }
    let count = layers.len() + base.map_or(0, |base| base.layers().len());
    if count > MOST_LAYERS {
        notes.push(format!("{count} layers: docker loads no image of more than {MOST_LAYERS}"));
    }
    notes.extend(note_on_names(&names));
    let created = epoch.created();
    let layout = &outputs.layout;
    let config = layout.document("config", &documents::configuration(spec, base, &layers, created)?)?;
    let manifest = layout.document("manifest", &documents::manifest(spec, base, &config, &layers)?)?;
    let index = documents::top_index(manifest.descriptor(MEDIA_TYPE_MANIFEST), reference, &spec.annotations)?;
    let docker_manifest = documents::docker_manifest(&names, base, &config, &layers);
    if let Some(cache) = pool.cache() {
        cache.evict();
    }
    let complete = outputs.complete(&index, Some(&docker_manifest), progress)?;
    let lock = lock_output.write(lock.as_ref())?;
    progress.check()?;
    let Published { layout, archives } = complete.publish()?;
    let lock = lock.map(StagedFile::publish).transpose()?;
    Ok(BuildResult {
        name: reference.to_string(),
        manifest: BlobSummary::new(MEDIA_TYPE_MANIFEST, manifest),
        config: BlobSummary::new(MEDIA_TYPE_CONFIG, config),
        created: rfc3339(created),
        counts,
        content_bytes,
        notes,
        warnings,
        layers: layers.into_iter().map(LayerSummary::new).collect(),
        layout,
        archives,
        lock,
        packages,
        cache: pool.cache().map(Cache::counts),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Which programs show the names beside the first one.
fn note_on_names(names: &[Reference]) -> Option<String> {
    let (first, others) = names.split_first().filter(|(_, others)| !others.is_empty())?;
    let others = others.iter().map(Reference::to_string).collect::<Vec<_>>().join(", ");
    Some(format!(
        "further names, for docker load without containerd's image store and for podman pull docker-archive:FILE: {others}; \
         podman load and containerd take {first} alone"
    ))
}

/// The lock file, claimed like every output before the work begins, and what it says until then.
struct LockOutput {
    staged: Option<StagedFile>,
    old: Lock,
}

impl LockOutput {
    fn claim(request: &LayersRequest) -> Result<Self> {
        let old = request.lock.as_deref().map(Lock::read).transpose()?.unwrap_or_default();
        let path = request.lock_output.as_ref().or(request.lock.as_ref());
        Ok(Self { staged: path.map(|path| StagedFile::new(path, true)).transpose()?, old })
    }

    /// Writes `lock` if there is something new in it, still under a temporary name.
    fn write(self, lock: Option<&Lock>) -> Result<Option<StagedFile>> {
        Ok(match (self.staged, lock) {
            (Some(staged), Some(lock)) if *lock != self.old => {
                staged.file().write_all(lock.to_string().as_bytes()).map_err(Error::io("write", staged.path()))?;
                Some(staged)
            }
            _ => None,
        })
    }
}

impl BlobSummary {
    /// A blob of a layout that was written.
    pub fn new(media_type: &str, blob: Blob) -> Self {
        Self { media_type: media_type.to_owned(), digest: blob.digest, size: blob.size }
    }
}

impl LayerSummary {
    fn new(NewLayer { layer, label }: NewLayer) -> Self {
        Self {
            name: label.map(|label| label.name),
            blob: BlobSummary::new(layer.compression.media_type(), layer.blob),
            diff_id: layer.diff_id,
            uncompressed_size: layer.uncompressed_size,
            entries: layer.counts.entries() + layer.repeated,
        }
    }
}
