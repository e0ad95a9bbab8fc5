//! With which package a file belongs, for the sake of layers.
//!
//! Package managers know what they installed. What came to be later, by a post-install script for example, changes with the
//! package it was made for, so it belongs in the same layer.

use super::Contents;
use crate::package::{Package, Packages};

/// Directories in which unclaimed files are the machine's own and not a package's.
const OF_THE_MACHINE: [&[u8]; 3] = [b"var/", b"run/", b"tmp/"];

/// The package of every entry of `contents`: who claims it; for what Python compiled, the package of its source; for
/// anything else that nobody claims, the package of the directory it is in. Nothing for a package manager's own database,
/// and for directories that several packages share.
pub fn owners<'p>(contents: &Contents, packages: &'p Packages) -> Vec<Option<&'p Package>> {
    let mut owners: Vec<Option<&Package>> = Vec::with_capacity(contents.entries.len());
    for entry in &contents.entries {
        let path = &entry.path[..];
        let owner = if packages.in_database(path) {
            None
        } else if let Some(owner) = packages.owner(path) {
            Some(owner)
        } else if let Some(source) = python_source(path) {
            packages.owner(&source)
        } else if OF_THE_MACHINE.iter().any(|top| path.starts_with(top)) {
            None
        } else {
            contents.find(parent(path)).and_then(|parent| owners.get(parent).copied().flatten())
        };
        owners.push(owner);
    }
    owners
}

/// `…/x.py` for `…/__pycache__/x.cpython-312.pyc`. Source: PEP 3147.
fn python_source(path: &[u8]) -> Option<Vec<u8>> {
    let directory = parent(path);
    let name = &path[directory.len()..].strip_prefix(b"/")?;
    let module = name.split(|byte| *byte == b'.').next()?;
    let place = directory.strip_suffix(b"__pycache__")?;
    Some([place, module, b".py"].concat())
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |end| &path[..end])
}
