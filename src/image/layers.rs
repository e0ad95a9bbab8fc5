//! The layers of an image: read, planned, written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use serde::Serialize;

use super::base::Base;
use super::layers_request::{LayerMode, LayersRequest, RuleKind, RuleRequest};
use super::request::ImageSpec;
use crate::compress::{Compression, Pool};
use crate::epoch::Epoch;
use crate::error::{Error, Result};
use crate::layer::{
    Claim, Contents, Counts, Label, Layer, LayerWriter, Lock, Plan, Rule, automatic, by_rules, parent_of,
};
use crate::layout::LayoutWriter;
use crate::package::{self, Packages};
use crate::progress::Progress;
use crate::rootfs::{self, Entries, Entry, XattrPolicy, parents_of};

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
    /// Problems that did not fail the build, one line each.
    pub warnings: Vec<String>,
    /// The lock file of the mode `auto`, extended.
    pub lock: Option<Lock>,
    /// What is known of packages, if somebody asked.
    pub packages: Option<PackageCounts>,
}

/// What is known of the packages in a root filesystem.
#[derive(Clone, Debug, Serialize)]
pub struct PackageCounts {
    /// Where it is known from.
    pub source: String,
    /// How packages and paths fit together.
    #[serde(flatten)]
    pub counts: package::Counts,
}

/// A layer that was written.
#[derive(Clone, Debug)]
pub struct NewLayer {
    /// The layer.
    pub layer: Layer,
    /// What it says of itself.
    pub label: Option<Label>,
}

/// Packs the sources into the layers that `spec` asks for, without what `base` has already.
///
/// Attributes are read ahead by threads of their own, the pool compresses, and one more thread for each layer writes; this
/// one reads contents, frames and hashes them.
///
/// # Errors
/// Those of reading, of planning and of writing.
pub fn write_layers(
    spec: &ImageSpec,
    base: Option<&Base>,
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
        if spec.layers.mode == LayerMode::Single && base.is_none() {
            return writing.stream(entries, epoch);
        }
        let (entries, rules) = bring(spec, entries, sources.len(), &policy, progress)?;
        let entries = entries.collect::<Result<Vec<_>>>()?;
        let contents = match base {
            Some(base) => base.contents(entries, &policy, &|| layout.scratch(), progress)?,
            None => Contents::all(entries),
        };
        if spec.layers.mode == LayerMode::Single {
            return writing.planned(&contents, Plan::single(&contents), epoch);
        }
        let packages = Packages::read(&spec.layers.packages()?, &contents.entries)?;
        let (plan, lock) = plan(&spec.layers, &contents, &packages, &rules)?;
        let packages = PackageCounts { source: packages.source().to_string(), counts: packages.counts() };
        Ok(NewLayers { lock, packages: Some(packages), ..writing.planned(&contents, plan, epoch)? })
    })
}

/// Lays over the root filesystem what the rules bring from the build machine, and gives the rules as the engine takes them.
fn bring(
    spec: &ImageSpec,
    entries: Entries,
    sources: usize,
    policy: &XattrPolicy,
    progress: &Arc<Progress>,
) -> Result<(Entries, Vec<Rule>)> {
    let mut all = vec![entries];
    let mut rules = Vec::new();
    for request in &spec.layers.rules {
        let RuleRequest { name, kind, content } = request;
        let claim = match kind {
            RuleKind::Packages => Claim::Packages(content.clone()),
            RuleKind::Directories => Claim::Directories(content.clone()),
            RuleKind::Files => Claim::Files(content.clone()),
            RuleKind::Host => {
                let mut paths = BTreeSet::new();
                for source in request.brought()? {
                    let brought: Vec<_> =
                        rootfs::bring(&source, sources + all.len(), policy, progress)?.collect::<Result<_>>()?;
                    paths.extend(brought.iter().filter(|entry| !entry.implied).map(|entry| entry.path.clone()));
                    all.push(Box::new(brought.into_iter().map(Ok)));
                }
                Claim::Brought(paths)
            }
        };
        rules.push(Rule { name: name.clone(), claim });
    }
    Ok((rootfs::lay_over(all), rules))
}

/// What goes into which layer, and the lock file that the mode `auto` extends.
fn plan(
    request: &LayersRequest,
    contents: &Contents,
    packages: &Packages,
    rules: &[Rule],
) -> Result<(Plan, Option<Lock>)> {
    Ok(match request.mode {
        LayerMode::Single => (Plan::single(contents), None),
        LayerMode::Multi => (by_rules(contents, packages, rules, request.missing)?, None),
        LayerMode::Auto => {
            let lock = request.lock.as_deref().map(Lock::read).transpose()?;
            let (plan, lock) = automatic(contents, packages, lock.as_ref(), request.max)?;
            (plan, Some(lock))
        }
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
                let mut gone: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
                for path in contents.whiteouts.iter().filter(|_| number == 0) {
                    gone.entry(parent_of(path)).or_default().push(path);
                    all.extend(parents_of(path).filter_map(|parent| contents.find(parent)));
                }
                if number == last {
                    all.append(&mut directories);
                }
                for entry in all {
                    let entry_of_layer = if contents.entries[entry].is_directory() && number < last {
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
                    for path in gone.remove(&contents.entries[entry].path[..]).unwrap_or_default() {
                        layer.take_away(path)?;
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
            let layers = finished.into_iter().zip(labels).map(|(layer, label)| NewLayer { layer, label });
            let mut all = NewLayers::of(layers.collect());
            all.notes.extend(plan.notes);
            all.warnings.extend(plan.warnings);
            all.notes.extend_from_slice(&contents.notes);
            Ok(all)
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
