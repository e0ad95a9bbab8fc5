//! The layers of an image: read, planned, written.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use super::request::{ImageSpec, LayerMode};
use crate::compress::{Compression, Pool};
use crate::epoch::Epoch;
use crate::error::{Error, Result};
use crate::layer::{Contents, Counts, Label, Layer, LayerWriter, Plan};
use crate::layout::LayoutWriter;
use crate::progress::Progress;
use crate::rootfs::{self, Entries, Entry, Kind, XattrPolicy, parents_of};

/// The time of directories in all layers but the last, which has the real ones. Whatever is written below a directory
/// changes its time; with that in each layer, one package's update would give every layer a new digest.
const TIME_OF_PARENTS: i64 = 0;

/// How many layers are compressed, synced and closed while the next one is packed.
const UNFINISHED: usize = 4;

/// New layers, and what is in all of them together.
#[derive(Debug, Default)]
pub struct NewLayers {
    /// The layers, lowest first.
    pub layers: Vec<NewLayer>,
    /// What is in them; a directory that stands in several is counted once.
    pub counts: Counts,
    /// Bytes of file contents.
    pub content_bytes: u64,
    /// What a user should know, a line each.
    pub notes: Vec<String>,
}

/// A layer that was written.
#[derive(Clone, Debug)]
pub struct NewLayer {
    /// The layer.
    pub layer: Layer,
    /// What it says of itself.
    pub label: Option<Label>,
}

/// Packs the sources into the layers that `spec` asks for.
///
/// Attributes are read ahead by threads of their own, the pool compresses, and one more thread for each layer writes; this
/// one reads contents, frames and hashes them.
///
/// # Errors
/// Those of reading, of planning and of writing.
pub fn write_layers(
    spec: &ImageSpec,
    layout: &LayoutWriter,
    pool: &Pool,
    epoch: &mut Epoch,
    progress: &Arc<Progress>,
) -> Result<NewLayers> {
    let sources = spec.sources()?;
    let policy = XattrPolicy::excluding(&spec.exclude_xattrs);
    let writing = Writing { layout, pool, compression: spec.compression()?, progress };
    thread::scope(|scope| {
        if progress.is_watched() {
            scope.spawn(|| rootfs::measure(&sources, progress));
        }
        let entries = rootfs::open(&sources, &policy, &|| layout.scratch(), progress)?;
        if spec.layers.mode == LayerMode::Single {
            return writing.stream(entries, epoch);
        }
        let contents = Contents::all(entries.collect::<Result<_>>()?);
        let plan = Plan::single(&contents);
        writing.planned(&contents, plan, epoch)
    })
}

/// What layers are written with.
struct Writing<'a> {
    layout: &'a LayoutWriter,
    pool: &'a Pool,
    compression: Compression,
    progress: &'a Progress,
}

impl<'a> Writing<'a> {
    /// One layer of all entries, none of which is held in memory.
    fn stream(&self, mut entries: Entries, epoch: &mut Epoch) -> Result<NewLayers> {
        let mut layer = self.start(0)?;
        entries.try_for_each(|entry| layer.add(&entry?, epoch))?;
        Ok(NewLayers::of(vec![NewLayer { layer: layer.finish()?, label: None }]))
    }

    /// The layers of a plan, each with the directories that lead to its entries.
    fn planned(&self, contents: &Contents, plan: Plan, epoch: &mut Epoch) -> Result<NewLayers> {
        let last = plan.layers.len().saturating_sub(1);
        let mut directories = BTreeSet::new();
        thread::scope(|scope| {
            let mut unfinished: VecDeque<ScopedJoinHandle<'_, Result<Layer>>> = VecDeque::new();
            let mut finished = Vec::new();
            for (number, planned) in plan.layers.iter().enumerate() {
                let mut layer = self.start(number)?;
                let own: BTreeSet<_> = planned.entries.iter().copied().collect();
                let mut all = with_parents(contents, &own);
                if number == last {
                    all.append(&mut directories);
                }
                for entry in all {
                    let is_directory = matches!(contents.entries[entry].kind, Kind::Directory);
                    let entry_of_layer = if is_directory && number < last {
                        directories.insert(entry);
                        &with_time_of_parents(&contents.entries[entry])
                    } else {
                        &contents.entries[entry]
                    };
                    if own.contains(&entry) {
                        layer.add(entry_of_layer, epoch)?;
                    } else {
                        layer.repeat(entry_of_layer, epoch)?;
                    }
                }
                if unfinished.len() == UNFINISHED {
                    finished.extend(unfinished.pop_front().map(join).transpose()?);
                }
                unfinished.push_back(scope.spawn(|| layer.finish()));
            }
            for layer in unfinished {
                finished.push(join(layer)?);
            }
            let labels = plan.layers.into_iter().map(|planned| planned.label);
            Ok(NewLayers::of(
                finished.into_iter().zip(labels).map(|(layer, label)| NewLayer { layer, label }).collect(),
            ))
        })
    }

    fn start(&self, number: usize) -> Result<LayerWriter<'a>> {
        LayerWriter::new(self.pool, self.compression, self.layout.blob(&format!("layer-{number}"))?, self.progress)
    }
}

impl NewLayers {
    fn of(layers: Vec<NewLayer>) -> Self {
        let mut all = Self { layers, ..Self::default() };
        for NewLayer { layer, .. } in &all.layers {
            all.counts += layer.counts;
            all.content_bytes += layer.content_bytes;
            all.notes.extend_from_slice(&layer.notes);
        }
        all
    }
}

/// The numbers of `entries` and of all directories that lead to them.
fn with_parents(contents: &Contents, entries: &BTreeSet<usize>) -> BTreeSet<usize> {
    let parents = entries.iter().flat_map(|entry| parents_of(&contents.entries[*entry].path));
    let mut all: BTreeSet<_> = parents.filter_map(|path| contents.find(path)).collect();
    all.extend(entries);
    all
}

fn with_time_of_parents(directory: &Entry) -> Entry {
    Entry { mtime: TIME_OF_PARENTS, implied: false, ..directory.clone() }
}

fn join(layer: ScopedJoinHandle<'_, Result<Layer>>) -> Result<Layer> {
    layer.join().map_err(|_| Error::Internal("a thread that finishes a layer panicked".to_owned()))?
}
