//! Small root filesystems for the tests, and what is known of them as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use super::{Package, Packages, Source};
use crate::rootfs::{Content, Entry, Kind};

/// A tree out of words: `a/b` is an empty file, `a/` a directory, `a->b` a link, `a*5` a file of five bytes.
/// Directories on the way need no word. `databases` are files with contents.
pub fn tree(words: &str, databases: &[(&str, &str)]) -> Vec<Entry> {
    let mut file = tempfile::tempfile().unwrap();
    databases.iter().for_each(|(_, content)| file.write_all(content.as_bytes()).unwrap());
    let file = Arc::new(file);
    let file_of = |offset, size| {
        let content = Content::Slice { file: Arc::clone(&file), name: "contents".into(), offset };
        Kind::File { size, content }
    };
    let mut kinds = BTreeMap::from([(&b""[..], Kind::Directory)]);
    for word in words.split_whitespace() {
        let (path, kind) = match (word.split_once("->"), word.split_once('*'), word.strip_suffix('/')) {
            (Some((path, target)), _, _) => (path, Kind::Symlink(target.into())),
            (_, Some((path, size)), _) => (path, file_of(0, size.parse().unwrap())),
            (_, _, Some(path)) => (path, Kind::Directory),
            _ => (word, file_of(0, 0)),
        };
        kinds.insert(path.as_bytes(), kind);
    }
    let mut offset = 0;
    for (path, content) in databases {
        kinds.insert(path.as_bytes(), file_of(offset, content.len() as u64));
        offset += content.len() as u64;
    }
    for path in kinds.keys().copied().collect::<Vec<_>>() {
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            kinds.entry(&path[..end]).or_insert(Kind::Directory);
        }
    }
    let entry = |(path, kind): (&[u8], Kind)| Entry { kind, ..Entry::implied_directory(path.to_vec()) };
    kinds.into_iter().map(entry).collect()
}

/// `/path:owner` for each path that has an owner.
pub fn owners(packages: &Packages, entries: &[Entry]) -> String {
    let owned =
        entries.iter().filter_map(|entry| Some(format!("{}:{}", entry.display(), packages.owner(&entry.path)?.name)));
    owned.collect::<Vec<_>>().join(" ")
}

/// `name version recipe: depends` for each package, a line each.
pub fn listed(packages: &Packages) -> String {
    packages.iter().fold(String::new(), |mut lines, Package { name, version, recipe, depends }| {
        writeln!(lines, "{}", format!("{name} {version} {recipe}: {}", depends.join(" ")).trim_end()).unwrap();
        lines
    })
}

/// What is wrong with `databases`.
pub fn error(source: &Source, databases: &[(&str, &str)]) -> String {
    Packages::read(source, &tree("", databases)).map(|packages| listed(&packages)).unwrap_err().to_string()
}
