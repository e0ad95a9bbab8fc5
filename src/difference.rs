//! What an update from one image to another costs, and what it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::error::Result;
use crate::layer::same;
use crate::package::Source;
use crate::progress::Progress;
use crate::rootfs::{Entry, Kind};
use crate::spec::ANNOTATION_LAYER_NAME;
use crate::unpacked::Unpacked;

/// The difference between two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The digest of the old image's manifest.
    pub old: String,
    /// The digest of the new image's manifest.
    pub new: String,
    /// The layers of the new image, lowest first.
    pub layers: Vec<LayerDifference>,
    /// The bytes of those of them that the old image has not: what whoever has the old image gets.
    pub pulled: u64,
    /// The bytes of all of them.
    pub total: u64,
    /// What became of packages, by name; those without a change are left out.
    pub packages: Vec<PackageDifference>,
    /// What became of files, by path; those without a change are left out.
    pub files: Vec<FileDifference>,
}

/// A layer of the new image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerDifference {
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its name in the plan, where the image says so.
    pub name: Option<String>,
    /// Whether the old image has it too.
    pub stays: bool,
}

/// A package that changed, or files of which did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageDifference {
    /// Its name; empty for files that no package owns.
    pub name: String,
    /// Its version in the old image; none when it is not there.
    pub old: Option<String>,
    /// Its version in the new image; none when it is not there.
    pub new: Option<String>,
    /// How many of its files differ.
    pub files: u64,
    /// The bytes of those of them that are added or changed, uncompressed.
    pub bytes: u64,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// Its path.
    pub path: String,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// Which attributes changed: `kind`, `content`, `mode`, `owner`, `group`, `mtime`, `target`, `device`, `xattrs`.
    pub attributes: Vec<&'static str>,
}

/// Compares the image at `new` with the one at `old`; `packages` tells which package owns a file.
///
/// # Errors
/// Those of [`Unpacked::read`] and of reading contents.
pub fn difference(old: &Path, new: &Path, packages: &Source, progress: &Progress) -> Result<Difference> {
    let (old, new) = (Unpacked::read(old, packages, progress)?, Unpacked::read(new, packages, progress)?);
    let known: BTreeSet<_> = old.layers.iter().map(|layer| layer.digest().to_string()).collect();
    let layers: Vec<_> = new
        .layers
        .iter()
        .map(|layer| LayerDifference {
            digest: layer.digest().to_string(),
            size: layer.size(),
            name: layer.annotations().as_ref().and_then(|annotations| annotations.get(ANNOTATION_LAYER_NAME)).cloned(),
            stays: known.contains(&layer.digest().to_string()),
        })
        .collect();
    let mut files = Vec::new();
    let mut by_package: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let paths: BTreeSet<_> = old.view.entries.keys().chain(new.view.entries.keys()).collect();
    for path in paths {
        progress.check()?;
        let (before, after) = (old.view.entries.get(path), new.view.entries.get(path));
        let (change, attributes) = match (before, after) {
            (Some(before), Some(after)) => ("changed", changed(before, after, progress)?),
            (None, _) => ("added", Vec::new()),
            (_, None) => ("removed", Vec::new()),
        };
        if change == "changed" && attributes.is_empty() {
            continue;
        }
        let owner = new.packages.owner(path).or_else(|| old.packages.owner(path));
        // A directory's time says that something in it changed, which stands in a line of its own.
        if !after.or(before).is_some_and(Entry::is_directory) {
            let (count, bytes) =
                by_package.entry(owner.map(|owner| owner.name.clone()).unwrap_or_default()).or_default();
            *count += 1;
            *bytes += after.map_or(0, Entry::size);
        }
        files.push(FileDifference { path: format!("/{}", String::from_utf8_lossy(path)), change, attributes });
    }
    Ok(Difference {
        old: old.entry.digest().to_string(),
        new: new.entry.digest().to_string(),
        pulled: layers.iter().filter(|layer| !layer.stays).map(|layer| layer.size).sum(),
        total: layers.iter().map(|layer| layer.size).sum(),
        layers,
        packages: package_differences(&old, &new, by_package),
        files,
    })
}

fn package_differences(
    old: &Unpacked,
    new: &Unpacked,
    mut by_package: BTreeMap<String, (u64, u64)>,
) -> Vec<PackageDifference> {
    let version = |image: &Unpacked, name: &str| image.packages.get(name).map(|package| package.version.clone());
    let all = old.packages.iter().chain(new.packages.iter()).map(|package| package.name.clone());
    for name in all.collect::<BTreeSet<_>>() {
        if version(old, &name) != version(new, &name) {
            by_package.entry(name).or_default();
        }
    }
    let described = |(name, (files, bytes)): (String, (u64, u64))| {
        let (old, new) = (version(old, &name), version(new, &name));
        PackageDifference { name, old, new, files, bytes }
    };
    by_package.into_iter().map(described).collect()
}

/// The attributes in which two entries of one path differ.
fn changed(before: &Entry, after: &Entry, progress: &Progress) -> Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    let mut compare = |attribute, differs| {
        if differs {
            changed.push(attribute);
        }
    };
    match (&before.kind, &after.kind) {
        (Kind::File { .. }, Kind::File { .. }) => {
            // Only the contents of the two.
            let alike = Entry {
                mode: after.mode,
                uid: after.uid,
                gid: after.gid,
                xattrs: after.xattrs.clone(),
                ..before.clone()
            };
            compare("content", !same(&alike, after, progress)?);
        }
        (Kind::Symlink(target), Kind::Symlink(other)) => compare("target", target != other),
        (Kind::CharDevice(one), Kind::CharDevice(other)) | (Kind::BlockDevice(one), Kind::BlockDevice(other)) => {
            compare("device", one != other);
        }
        (Kind::Directory, Kind::Directory) | (Kind::Fifo, Kind::Fifo) | (Kind::Socket, Kind::Socket) => {}
        _ => compare("kind", true),
    }
    compare("mode", before.mode != after.mode);
    compare("owner", before.uid != after.uid);
    compare("group", before.gid != after.gid);
    compare("xattrs", before.xattrs != after.xattrs);
    compare("mtime", before.mtime != after.mtime && !after.is_directory());
    Ok(changed)
}
