//! What an image has to hold on top of a base image.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::Contents;
use super::view::{View, join, name_of, parent_of};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rootfs::{Content, Entry, Kind, parents_of};

/// What becomes of files of the base that are not in the root filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    Overlay,
    /// They go: the image is the root filesystem.
    Exact,
}

/// Of `entries`, sorted by path, those are stored that the base does not have: by content and all attributes, but never by
/// modification time.
///
/// # Errors
/// [`Error::Rootfs`] when two entries land on one path of the base, [`Error::Io`], [`Error::Interrupted`].
pub fn delta(entries: Vec<Entry>, base: &View, mode: Mode, progress: &Progress) -> Result<Contents> {
    let entries = match mode {
        Mode::Overlay => through_links(entries, base)?,
        Mode::Exact => entries,
    };
    let entries = with_directories_of_the_base(entries, base);
    let mut is_stored = Vec::with_capacity(entries.len());
    for entry in &entries {
        progress.check()?;
        let below = base.entries.get(&entry.path);
        is_stored.push(!below.map_or(Ok(false), |below| same(entry, below, progress))?);
    }
    store_whole_groups(&entries, base, &mut is_stored);
    let (whiteouts, notes) = match mode {
        Mode::Overlay => (Vec::new(), hidden(&entries, base)),
        Mode::Exact => (whiteouts(&entries, base), Vec::new()),
    };
    Ok(Contents { entries, is_stored, whiteouts, notes })
}

/// Where the base has a link to a directory and the root filesystem a directory, as before and after a merge of /usr, what
/// is in it goes where the link leads; unless the root filesystem has something else than a directory there.
fn through_links(entries: Vec<Entry>, base: &View) -> Result<Vec<Entry>> {
    let not_directories: BTreeSet<Vec<u8>> =
        entries.iter().filter(|entry| !entry.is_directory()).map(|entry| entry.path.clone()).collect();
    // Where directories go that do not stay where they are.
    let mut moved: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut placed: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
    for entry in entries {
        let parent = parent_of(&entry.path);
        let path = match moved.get(parent) {
            Some(place) => join(place, name_of(&entry.path)),
            None => entry.path.clone(),
        };
        if entry.is_directory() && base.entries.get(&path).is_some_and(|below| matches!(below.kind, Kind::Symlink(_))) {
            let real = base.real(&path);
            let stays = parents_of(&real).chain([&real[..]]).all(|path| !not_directories.contains(path));
            if stays && base.entries.get(&real).is_some_and(Entry::is_directory) {
                moved.insert(entry.path, real);
                continue;
            }
        }
        if path != entry.path && entry.is_directory() {
            moved.insert(entry.path.clone(), path.clone());
        }
        let shown = entry.display();
        match placed.get(&path) {
            Some(other) if other.is_directory() && entry.is_directory() => {
                if other.implied {
                    placed.insert(path.clone(), Entry { path, ..entry });
                }
            }
            Some(_) => {
                let place = String::from_utf8_lossy(&path).into_owned();
                return Err(Error::rootfs(
                    shown,
                    format!("it lands on /{place} of the base image, as another file does"),
                ));
            }
            None => drop(placed.insert(path.clone(), Entry { path, ..entry })),
        }
    }
    Ok(placed.into_values().collect())
}

/// Directories that nobody described are as the base has them: those that only a path implies, and those that lead to where
/// a link of the base leads. They are written as parents of what is stored, and must not change there.
fn with_directories_of_the_base(entries: Vec<Entry>, base: &View) -> Vec<Entry> {
    let described = |path: &[u8]| base.entries.get(path).filter(|below| below.is_directory());
    let mut all: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
    for entry in entries {
        for parent in parents_of(&entry.path) {
            if let (false, Some(below)) = (all.contains_key(parent), described(parent)) {
                all.insert(parent.to_vec(), below.clone());
            }
        }
        let entry = if entry.implied { described(&entry.path).cloned().unwrap_or(entry) } else { entry };
        all.insert(entry.path.clone(), entry);
    }
    all.into_values().collect()
}

/// Whether two entries are the same but for their times and for what other names they have.
pub fn same(one: &Entry, other: &Entry, progress: &Progress) -> Result<bool> {
    let attributes = |entry: &Entry| (entry.mode, entry.uid, entry.gid);
    // What a link's mode is depends on who made it, and nobody reads it.
    let same_attributes = match (&one.kind, &other.kind) {
        (Kind::Symlink(_), Kind::Symlink(_)) => (one.uid, one.gid) == (other.uid, other.gid),
        _ => attributes(one) == attributes(other),
    };
    if !same_attributes || one.xattrs != other.xattrs {
        return Ok(false);
    }
    Ok(match (&one.kind, &other.kind) {
        (Kind::File { size, content }, Kind::File { size: other_size, content: other_content }) => {
            size == other_size && same_content(content, other_content, *size, progress)?
        }
        (Kind::Directory, Kind::Directory) | (Kind::Fifo, Kind::Fifo) | (Kind::Socket, Kind::Socket) => true,
        (Kind::Symlink(target), Kind::Symlink(other)) => target == other,
        (Kind::CharDevice(device), Kind::CharDevice(other)) | (Kind::BlockDevice(device), Kind::BlockDevice(other)) => {
            device == other
        }
        _ => false,
    })
}

fn same_content(one: &Content, other: &Content, size: u64, progress: &Progress) -> Result<bool> {
    let (mut ones, mut others) = (one.open()?, other.open()?);
    let mut left = size;
    let (mut bytes, mut other_bytes) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    while left > 0 {
        progress.check()?;
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        ones.read_exact(&mut bytes[..count]).map_err(|error| Error::io("read", &one.name())(error))?;
        others.read_exact(&mut other_bytes[..count]).map_err(|error| Error::io("read", &other.name())(error))?;
        if bytes[..count] != other_bytes[..count] {
            return Ok(false);
        }
        left -= count as u64;
    }
    ones.finish()?;
    Ok(true)
}

/// A file with several names stays as it is in the base only if the base has it under the same names: what was one file may
/// not become two, nor two one. Otherwise all of its names are stored.
fn store_whole_groups(entries: &[Entry], base: &View, is_stored: &mut [bool]) {
    let mut names_here: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    let mut names_below: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_directory()) {
        // A file with one name is known by that.
        let here = entry.inode.map_or((None, Some(&entry.path)), |inode| (Some(inode), None));
        names_here.entry(here).or_default().push(number);
        if let Some(below) = base.entries.get(&entry.path) {
            let below = below.inode.map_or((None, Some(&entry.path)), |inode| (Some(inode), None));
            names_below.entry(below).or_default().push(number);
        }
    }
    // One file of the base that is several here: each of them is stored.
    let here = |number: usize| entries[number].inode.map_or((None, Some(number)), |inode| (Some(inode), None));
    for names in names_below.values() {
        if names.iter().any(|name| here(*name) != here(names[0])) {
            names.iter().for_each(|name| is_stored[*name] = true);
        }
    }
    // One file here that is several in the base, or not all there.
    for names in names_here.values().filter(|names| names.len() > 1) {
        let below = |number: usize| base.entries.get(&entries[number].path).and_then(|below| below.inode);
        let is_one = below(names[0]).is_some() && names.iter().all(|name| below(*name) == below(names[0]));
        if !is_one || names.iter().any(|name| is_stored[*name]) {
            names.iter().for_each(|name| is_stored[*name] = true);
        }
    }
}

/// What was to stay and does not: what the base has in directories that are none here, as in `lib/` below a link `lib` to
/// `usr/lib`. Whatever unpacks the layers removes it.
fn hidden(entries: &[Entry], base: &View) -> Vec<String> {
    let count_below = |directory: &Entry| {
        let top = [&directory.path[..], b"/"].concat();
        base.entries.range(top.clone()..).take_while(|(path, _)| path.starts_with(&top)).count()
    };
    let replaced = entries.iter().filter(|entry| !entry.is_directory() && !matches!(entry.kind, Kind::Socket));
    replaced
        .filter_map(|entry| base.entries.get(&entry.path).filter(|below| below.is_directory()))
        .map(|directory| (directory.display(), count_below(directory)))
        .filter(|(_, count)| *count > 0)
        .map(|(shown, count)| {
            format!("{shown} is a directory of the base image and none here: the {count} paths below it are gone")
        })
        .collect()
}

/// What the base has and `entries` have not; not what is in a directory that is gone or is none any more. A socket is as
/// good as nothing, because no layer can hold one.
fn whiteouts(entries: &[Entry], base: &View) -> Vec<Vec<u8>> {
    let find = |path: &[u8]| {
        let number = entries.binary_search_by(|entry| entry.path[..].cmp(path)).ok()?;
        Some(&entries[number]).filter(|entry| !matches!(entry.kind, Kind::Socket))
    };
    let is_directory = |path: &[u8]| path.is_empty() || find(path).is_some_and(Entry::is_directory);
    let was_directory = |path: &[u8]| path.is_empty() || base.entries.get(path).is_some_and(Entry::is_directory);
    let gone = base.entries.keys().filter(|path| !path.is_empty() && find(path).is_none());
    gone.filter(|path| is_directory(parent_of(path)) && was_directory(parent_of(path))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words: `a/` a directory, `a->b` a link, `a=1` a pipe of mode 1, `a=1#7` one that shares inode 7.
    fn entries(words: &str, source: usize) -> Vec<Entry> {
        let entry = |word: &str| {
            let (word, inode) = word.split_once('#').map_or((word, None), |(word, inode)| (word, inode.parse().ok()));
            let (path, kind, mode) = match (word.split_once("->"), word.split_once('=')) {
                (Some((path, target)), _) => (path, Kind::Symlink(target.into()), 0o777),
                (_, Some((path, mode))) => (path, Kind::Fifo, mode.parse().unwrap()),
                _ => (word.trim_end_matches('/'), Kind::Directory, 0o755),
            };
            let inode = inode.map(|inode| (source, 0, inode));
            Entry { kind, mode, inode, implied: false, ..Entry::implied_directory(path.into()) }
        };
        let mut entries: Vec<_> = words.split_whitespace().map(entry).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    fn text(path: &[u8]) -> String {
        String::from_utf8_lossy(path).into_owned()
    }

    fn view(words: &str) -> View {
        let entries = entries(words, 9).into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        View { entries, layers: BTreeMap::new() }
    }

    /// The stored paths, and the whiteouts with a dash in front.
    fn shown(here: &str, below: &str, mode: Mode) -> Result<String> {
        let base = view(below);
        let contents = delta(entries(here, 0), &base, mode, &Progress::default())?;
        let stored = contents.stored().map(|number| text(&contents.entries[number].path));
        let gone = contents.whiteouts.iter().map(|path| format!("-{}", text(path)));
        Ok(stored.chain(gone).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_differs_is_stored_and_what_is_gone_removed() {
        for (here, below, overlay, exact) in [
            ("a/ a/x=1 b=1", "a/ a/x=1 b=1", "", ""),
            ("a/ a/x=2 c=1", "a/ a/x=1 b=1", "a/x c", "a/x c -b"),
            ("a=1", "a/ a/x=1 a/y/ a/y/z=1", "a", "a"),
            ("a/ a/x=1", "a=1", "a a/x", "a a/x"),
            ("b=1", "a/ a/x=1 a-b=1 b=1", "", "-a -a-b"),
            ("l->x", "l->y", "l", "l"),
        ] {
            assert_eq!(shown(here, below, Mode::Overlay).unwrap(), overlay, "{here} on {below}");
            assert_eq!(shown(here, below, Mode::Exact).unwrap(), exact, "{here} on {below}");
        }
    }

    #[test]
    fn names_of_a_file_stay_together() {
        for (here, below, stored) in [
            ("a=1#7 b=1#7", "a=1#3 b=1#3", ""),
            ("a=1#7 b=1#7", "a=1#3 b=1#3 c=1#3", ""),
            ("a=1#7 b=1#7 c=1#7", "a=1#3 b=1#3", "a b c"),
            ("a=1#7 b=1#7", "a=1 b=1", "a b"),
            ("a=1 b=1", "a=1#3 b=1#3", "a b"),
            ("a=1#7 b=1#7 c=1#8 d=1#8", "a=1#3 b=1#3 c=1#3 d=1#3", "a b c d"),
            ("a=2#7 b=2#7 c=1", "a=1#3 b=1#3 c=1", "a b"),
            ("a=1", "a=1#3 b=1#3", ""),
        ] {
            assert_eq!(shown(here, below, Mode::Overlay).unwrap(), stored, "{here} on {below}");
        }
    }

    #[test]
    fn a_directory_that_is_a_link_in_the_base_is_written_through() {
        let below = "usr/ usr/lib/ usr/lib/old=1 lib->usr/lib";
        assert_eq!(shown("lib/ lib/new=1 lib/old=1", below, Mode::Overlay).unwrap(), "usr/lib/new");
        assert_eq!(shown("lib/ lib/d/ lib/d/x=1", below, Mode::Overlay).unwrap(), "usr/lib/d usr/lib/d/x");
        assert_eq!(shown("lib/ lib/new=1", below, Mode::Exact).unwrap(), "lib lib/new -usr");
        // Where the link leads there will be no directory: writing through it would go round in circles.
        assert_eq!(shown("lib/ lib/x=1 usr/ usr/lib->../lib", below, Mode::Overlay).unwrap(), "lib lib/x usr/lib");
        assert_eq!(shown("a/ a/x=1", "a->b b=1", Mode::Overlay).unwrap(), "a a/x");
        assert_eq!(shown("a/ a/b/ a/b/x=1", "a->c c/ c/b->../d d/", Mode::Overlay).unwrap(), "d/x");
        let error = shown("lib/ lib/x=1 usr/ usr/lib/ usr/lib/x=2", below, Mode::Overlay).unwrap_err().to_string();
        assert!(error.contains("/usr/lib/x"), "{error}");
    }

    #[test]
    fn a_note_tells_what_of_the_base_does_not_stay() {
        let base = view("a/ lib/ lib/d/ lib/d/x=1 lib-x=1");
        let notes = |here, mode| delta(entries(here, 0), &base, mode, &Progress::default()).unwrap().notes;
        let said = "/lib is a directory of the base image and none here: the 2 paths below it are gone";
        assert_eq!(notes("a=1 lib->usr/lib lib-x=1 usr/ usr/lib/", Mode::Overlay), [said]);
        assert!(notes("a=1 lib->usr/lib lib-x=1 usr/ usr/lib/", Mode::Exact).is_empty());
        assert!(notes("lib/ lib/d/", Mode::Overlay).is_empty());
    }

    #[test]
    fn an_implied_directory_does_not_hide_one_that_is_described() {
        let base = view("usr/ usr/lib/ lib->usr/lib");
        for (implied, described) in [("lib/d", "usr/lib/d"), ("usr/lib/d", "lib/d")] {
            let mut here = entries("lib/ lib/d/ lib/d/x=1 usr/ usr/lib/ usr/lib/d/ usr/lib/d/y=1", 0);
            for entry in &mut here {
                entry.implied = entry.path == implied.as_bytes();
                entry.mode = if entry.path == described.as_bytes() { 0o700 } else { entry.mode };
            }
            let contents = delta(here, &base, Mode::Overlay, &Progress::default()).unwrap();
            assert_eq!(contents.entries[contents.find(b"usr/lib/d").unwrap()].mode, 0o700, "{described}");
        }
    }

    #[test]
    fn directories_that_nobody_described_are_as_the_base_has_them() {
        for (here, below, mode) in [
            ("srv/ srv/x=1", "srv/", Mode::Overlay),
            ("srv/ srv/x=1", "srv/", Mode::Exact),
            ("lib/ lib/x=1", "srv/ lib->srv", Mode::Overlay),
        ] {
            let (mut base, mut implied) = (view(below), entries(here, 0));
            base.entries.get_mut(&b"srv"[..]).unwrap().mode = 0o711;
            implied.iter_mut().filter(|entry| entry.is_directory()).for_each(|entry| entry.implied = true);
            let contents = delta(implied, &base, mode, &Progress::default()).unwrap();
            let parent = contents.find(b"srv").unwrap();
            assert_eq!(
                (contents.entries[parent].mode, contents.is_stored[parent]),
                (0o711, false),
                "{here} on {below}"
            );
            assert!(contents.is_stored[contents.find(b"srv/x").unwrap()]);
        }
    }

    #[test]
    fn a_socket_takes_the_place_of_nothing() {
        let mut here = entries("s=1 t=1", 0);
        here[0].kind = Kind::Socket;
        let contents = delta(here, &view("s=1 t=1"), Mode::Exact, &Progress::default()).unwrap();
        assert_eq!(contents.whiteouts, [b"s"]);
    }
}
