//! The pipeline, from sources to published outputs.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::base::Base;
use super::documents;
use super::layers::{NewLayer, NewLayers, PackageCounts, write_layers};
use super::request::{ImageSpec, LayersRequest};
use crate::compress::{Cache, CacheCounts, Pool};
use crate::digest::Digest;
use crate::epoch::{Epoch, rfc3339};
use crate::error::{Error, Result};
use crate::layer::{Counts, Lock};
use crate::layout::{Blob, LayoutWriter, StagedFile, write_archive};
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
    let reference = Reference::new(&spec.name, &spec.tag)?;
    let mut epoch = Epoch::new(spec.created)?;
    let outputs = Outputs::claim(spec)?;
    let pool = Pool::new(spec.threads(), spec.cache()?)?;
    let base = spec.base.as_ref().map(|request| Base::open(request, spec, progress)).transpose()?;
    let base = base.as_ref();
    let NewLayers { layers, counts, content_bytes, mut notes, lock, packages } =
        write_layers(spec, base, &outputs.layout, &pool, &mut epoch, progress)?;
    if let Some(base) = base {
        base.adopt_layers(&outputs.layout, progress)?;
        notes.push(base.note());
    }
    let count = layers.len() + base.map_or(0, |base| base.layers().len());
    if count > MOST_LAYERS {
        notes.push(format!("{count} layers: docker loads no image of more than {MOST_LAYERS}"));
    }
    let created = epoch.created();
    let layout = &outputs.layout;
    let config = layout.document("config", &documents::configuration(spec, base, &layers, created)?)?;
    let manifest = layout.document("manifest", &documents::manifest(spec, base, &config, &layers)?)?;
    let index = documents::index(spec, base, &reference, &manifest)?;
    let docker_manifest = documents::docker_manifest(&reference, base, &config, &layers);
    pool.cache().map(Cache::evict).transpose()?;
    let Published { layout, archives, lock } = outputs.complete(&index, &docker_manifest, lock.as_ref(), progress)?;
    Ok(BuildResult {
        name: reference.to_string(),
        manifest: BlobSummary::new(MEDIA_TYPE_MANIFEST, manifest),
        config: BlobSummary::new(MEDIA_TYPE_CONFIG, config),
        created: rfc3339(created),
        counts,
        content_bytes,
        notes,
        layers: layers.into_iter().map(LayerSummary::new).collect(),
        layout,
        archives,
        lock,
        packages,
        cache: pool.cache().map(Cache::counts),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// All outputs of a build, each claimed before the work begins: a name that is taken is better known now than in an hour.
struct Outputs {
    layout: LayoutWriter,
    keeps_layout: bool,
    archives: Vec<(StagedFile, String)>,
    lock: Option<StagedFile>,
    old_lock: Lock,
}

/// Outputs under their final names.
struct Published {
    layout: Option<PathBuf>,
    archives: Vec<PathBuf>,
    lock: Option<PathBuf>,
}

impl Outputs {
    fn claim(spec: &ImageSpec) -> Result<Self> {
        let output = &spec.output;
        let archives = output
            .archives
            .iter()
            .map(|archive| Ok((StagedFile::new(&archive.path, output.replace)?, archive.prefix.clone())))
            .collect::<Result<Vec<_>>>()?;
        // An archive is made from a layout. Where none is wanted, it stays under its temporary name and goes with it.
        let layout = match (&output.layout, output.archives.first()) {
            (Some(path), _) => LayoutWriter::new(path, output.replace)?,
            (None, Some(archive)) => {
                let mut path = archive.path.clone().into_os_string();
                path.push(".layout");
                LayoutWriter::new(&PathBuf::from(path), true)?
            }
            (None, None) => return Err(Error::spec("output", "{}", "a build writes a layout, an archive or both")),
        };
        let LayersRequest { lock, lock_output, .. } = &spec.layers;
        let old_lock = lock.as_deref().map(Lock::read).transpose()?.unwrap_or_default();
        let lock = lock_output.as_ref().or(lock.as_ref()).map(|path| StagedFile::new(path, true)).transpose()?;
        Ok(Self { layout, keeps_layout: output.layout.is_some(), archives, lock, old_lock })
    }

    fn complete(
        self,
        index: &crate::spec::ImageIndex,
        docker_manifest: &serde_json::Value,
        lock: Option<&Lock>,
        progress: &Progress,
    ) -> Result<Published> {
        let layout = self.layout.complete(index, docker_manifest)?;
        for (archive, prefix) in &self.archives {
            write_archive(layout.path(), prefix, archive, progress)?;
        }
        let lock = match (self.lock, lock) {
            (Some(staged), Some(lock)) if *lock != self.old_lock => {
                staged.file().write_all(lock.to_string().as_bytes()).map_err(Error::io("write", staged.path()))?;
                Some(staged)
            }
            _ => None,
        };
        progress.check()?;
        let archives = self.archives.into_iter().map(|(archive, _)| archive.publish()).collect::<Result<_>>()?;
        let layout = self.keeps_layout.then(|| layout.publish()).transpose()?;
        let lock = lock.map(StagedFile::publish).transpose()?;
        Ok(Published { layout, archives, lock })
    }
}

impl BlobSummary {
    fn new(media_type: &str, blob: Blob) -> Self {
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
