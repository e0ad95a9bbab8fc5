//! Finds the files of a layout in a tar archive, so that each can be read where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use tar::EntryType;

use super::{DOCKER_MANIFEST_FILE, INDEX_FILE, LAYOUT_FILE, LayoutFile, docker};
use crate::decompress::{self, Format};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::untar::{Member, Seekable, Untar};

/// A layout in an archive.
#[derive(Debug)]
pub struct ArchivedLayout {
    /// Each file by its name relative to the layout.
    files: BTreeMap<String, LayoutFile>,
    damage: Option<String>,
    is_docker_archive: bool,
}

/// What an archive holds, by name.
#[derive(Debug, Default)]
pub struct Members {
    /// Its regular files.
    pub files: BTreeMap<String, LayoutFile>,
    /// What its links point at.
    pub links: BTreeMap<String, String>,
}

impl ArchivedLayout {
    /// Finds the layout in the archive `path`. With `docker`, an archive without one that `docker save` or `podman save` made
    /// is taken for the layout that it could have been.
    pub fn open(path: &Path, docker: bool, progress: &Progress) -> Result<Self> {
        let (mut file, unpacking_failed) = plain_file(path, progress)?;
        file.rewind().map_err(Error::io("read", path))?;
        let mut members = Members::default();
        let reading_failed = find_members(path, &Arc::new(file), &mut members, progress)?;
        let damage = unpacking_failed.or(reading_failed);
        match root_of(&members.files) {
            Ok(root) => {
                let files = members.files.into_iter();
                let files =
                    files.filter_map(|(name, file)| Some((name.strip_prefix(&root)?.to_owned(), file))).collect();
                Ok(Self { files, damage, is_docker_archive: false })
            }
            Err(_) if docker && damage.is_none() && members.files.contains_key(DOCKER_MANIFEST_FILE) => {
                Ok(Self { files: docker::layout_of(path, &members, progress)?, damage, is_docker_archive: true })
            }
            Err(reason) => Err(Error::layout(
                path,
                match &damage {
                    Some(damage) => format!("{reason}; {damage}"),
                    None => reason,
                },
            )),
        }
    }

    /// Whether it is one without a layout.
    pub fn is_docker_archive(&self) -> bool {
        self.is_docker_archive
    }

    /// What is wrong with the archive, if anything.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// The file with this name, relative to the layout.
    pub fn file(&self, name: &str) -> Option<LayoutFile> {
        self.files.get(name).cloned()
    }

    /// The names of all files below `directory`, sorted.
    pub fn names_below(&self, directory: &str) -> Vec<String> {
        let below = |name: &&String| name.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        self.files.keys().filter(below).cloned().collect()
    }
}

/// The archive itself if it is plain, else a temporary file of its plain bytes: all of them, or those up to where
/// unpacking failed for the reason given.
fn plain_file(path: &Path, progress: &Progress) -> Result<(File, Option<String>)> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let handle = file.try_clone().map_err(Error::io("read", path))?;
    let (format, mut plain) =
        decompress::reader(BufReader::with_capacity(1 << 20, handle)).map_err(Error::io("read", path))?;
    if format == Format::Plain {
        return Ok((file, None));
    }
    let directory = std::env::temp_dir();
    let mut unpacked = nameless_file(&directory).map_err(Error::io("create a temporary file in", &directory))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        progress.check()?;
        match plain.read(&mut buffer) {
            Ok(0) => return Ok((unpacked, None)),
            Ok(count) => unpacked
                .write_all(&buffer[..count])
                .map_err(Error::io("write the unpacked archive to a temporary file in", &directory))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok((unpacked, Some(format!("it can't be decompressed ({format}): {error}")))),
        }
    }
}

/// An empty file in `directory` that is gone with its handle.
pub fn nameless_file(directory: &Path) -> io::Result<File> {
    let mut attempt = 0_u32;
    loop {
        let path = directory.join(format!(".image-oci-rs-{}-{attempt}", std::process::id()));
        match File::options().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return fs::remove_file(&path).map(|()| file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Reads the headers of `file` and enters its files and links into `members`; a name that is there twice means the last
/// one, as when it is unpacked. Gives the reason when that ended before the archive did.
fn find_members(path: &Path, file: &Arc<File>, members: &mut Members, progress: &Progress) -> Result<Option<String>> {
    let end = file.metadata().map_err(Error::io("read", path))?.len();
    let mut untar = Untar::new(Seekable(&**file));
    loop {
        progress.check()?;
        let Member { header, path: name, link, size, offset, .. } = match untar.next_member() {
            Ok(Some(member)) => member,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(format!("it is no complete tar archive: {error}"))),
        };
        let there = end.saturating_sub(offset);
        let name = normal(&name);
        match (header.entry_type(), name) {
            (EntryType::Regular | EntryType::Continuous, Some(name)) => {
                let found = LayoutFile { file: Arc::clone(file), offset, size: size.min(there), position: 0 };
                members.files.insert(name, found);
            }
            (EntryType::Symlink, Some(name)) => {
                // Relative to the directory that the link is in.
                let target = name.rsplit_once('/').map_or(String::new(), |(parent, _)| format!("{parent}/"));
                let target = [target.as_bytes(), &link].concat();
                members.links.extend(resolved(&target).map(|target| (name, target)));
            }
            (EntryType::Link, Some(name)) => members.links.extend(resolved(&link).map(|target| (name, target))),
            _ => {}
        }
        if size > there {
            return Ok(Some(format!("it is cut off: it has {end} bytes and needs {}", offset.saturating_add(size))));
        }
    }
}

/// The member that a link's target means; none when that is outside of the archive.
fn resolved(target: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    for part in std::str::from_utf8(target).ok()?.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A member's name without `./` and doubled slashes; none when no file of a layout can be called so.
fn normal(name: &[u8]) -> Option<String> {
    let parts: Vec<_> =
        std::str::from_utf8(name).ok()?.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// The directory of the layout, with a slash behind it unless that is the archive's top: where `oci-layout` is, or when
/// that is missing, where `index.json` is, at the top or one below.
fn root_of(files: &BTreeMap<String, LayoutFile>) -> Result<String, String> {
    let parents_of = |file: &str| -> BTreeSet<&str> {
        files
            .keys()
            .filter_map(|name| name.strip_suffix(file))
            .filter(|parent| parent.is_empty() || parent.ends_with('/'))
            .collect()
    };
    let mut roots = parents_of(LAYOUT_FILE);
    if roots.is_empty() {
        roots = parents_of(INDEX_FILE).into_iter().filter(|parent| parent.matches('/').count() < 2).collect();
    }
    match roots.iter().copied().collect::<Vec<_>>()[..] {
        [root] => Ok(root.to_owned()),
        [] if files.contains_key(DOCKER_MANIFEST_FILE) => {
            Err(format!("it is a docker-archive without an OCI layout: it has neither {LAYOUT_FILE} nor {INDEX_FILE}"))
        }
        [] => Err(format!("it has neither {LAYOUT_FILE} nor {INDEX_FILE}")),
        [one, other, ..] => Err(format!("it has more than one layout: in {:?} and in {:?}", show(one), show(other))),
    }
}

fn show(directory: &str) -> &str {
    if directory.is_empty() { "." } else { directory }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_found_by_its_marker() {
        for (names, root) in [
            (&["oci-layout", "index.json"][..], Ok("")),
            (&["app.oci/oci-layout", "app.oci/index.json"], Ok("app.oci/")),
            (&["a/b/oci-layout", "index.json"], Ok("a/b/")),
            (&["index.json"], Ok("")),
            (&["app/index.json"], Ok("app/")),
            (&["srv/www/index.json"], Err("neither oci-layout nor index.json")),
            (&["not-oci-layout"], Err("neither oci-layout nor index.json")),
            (&["manifest.json"], Err("docker-archive without an OCI layout")),
            (&["a/oci-layout", "oci-layout"], Err("more than one layout: in \".\" and in \"a/\"")),
        ] {
            let empty = Arc::new(File::open("/dev/null").unwrap());
            let file = LayoutFile { file: empty, offset: 0, size: 0, position: 0 };
            let files = names.iter().map(|name| ((*name).to_owned(), file.clone())).collect();
            match (root_of(&files), root) {
                (Ok(found), Ok(root)) => assert_eq!(found, root, "{names:?}"),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{names:?}: {reason}"),
                (found, _) => panic!("{names:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn names_are_made_normal() {
        for (name, normal_name) in [
            (&b"./blobs//sha256/x"[..], Some("blobs/sha256/x")),
            (b"index.json", Some("index.json")),
            (b"/index.json", Some("index.json")),
            (b"../index.json", None),
            (b"./", None),
            (b"\xff", None),
        ] {
            assert_eq!(normal(name).as_deref(), normal_name, "{name:?}");
        }
    }
}
