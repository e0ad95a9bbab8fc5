use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::rootfs::{Content, Kind};

/// A tree out of words: `a/b` is an empty file, `a/` a directory, `a->b` a link, `a*5` a file of five bytes. `files` have
/// contents, as databases do. Directories on the way need no word.
fn tree(words: &str, files: &[(&str, &str)]) -> Vec<Entry> {
    let mut entries = BTreeMap::new();
    let mut add = |path: &[u8], kind: Kind| {
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            entries.entry(path[..end].to_vec()).or_insert_with(|| Entry::implied_directory(path[..end].to_vec()));
        }
        let mut entry = Entry::implied_directory(path.to_vec());
        entry.kind = kind;
        entries.insert(path.to_vec(), entry);
    };
    let contents: String = files.iter().map(|(_, content)| *content).collect();
    let file = Arc::new(file_of(&contents));
    let content = |offset| Content::Slice { file: Arc::clone(&file), name: "contents".into(), offset };
    add(b"", Kind::Directory);
    for word in words.split_whitespace() {
        let (path, kind) = if let Some((path, target)) = word.split_once("->") {
            (path, Kind::Symlink(target.into()))
        } else if let Some((path, size)) = word.split_once('*') {
            (path, Kind::File { size: size.parse().unwrap(), content: content(0) })
        } else if let Some(path) = word.strip_suffix('/') {
            (path, Kind::Directory)
        } else {
            (word, Kind::File { size: 0, content: content(0) })
        };
        add(path.as_bytes(), kind);
    }
    let mut offset = 0;
    for (path, text) in files {
        add(path.as_bytes(), Kind::File { size: text.len() as u64, content: content(offset) });
        offset += text.len() as u64;
    }
    entries.into_values().collect()
}

fn file_of(contents: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(contents.as_bytes()).unwrap();
    file
}

/// `path:owner` for each owned path but those of `files`.
fn owners(packages: &Packages, entries: &[Entry]) -> String {
    let owned = entries.iter().filter_map(|entry| {
        let owner = packages.owner(&entry.path)?;
        Some(format!("{}:{}", entry.display(), owner.name))
    });
    owned.collect::<Vec<_>>().join(" ")
}

/// `name version recipe: depends` for each package.
fn listed(packages: &Packages) -> String {
    let line = |package: &Package| {
        let Package { name, version, recipe, depends } = package;
        format!("{name} {version} {recipe}: {}", depends.join(" ")).trim_end().to_owned()
    };
    packages.iter().map(line).collect::<Vec<_>>().join("\n")
}

const DPKG_STATUS: &str = "\
Package: a
Status: install ok installed
Architecture: amd64
Source: source-of-a (1.0)
Version: 1.0-2
Depends: b (>= 1), missing | virtual:any, a
Pre-Depends: c
Description: first line
 Depends: not a field
Conffiles:
 /etc/a 00000000000000000000000000000000

Package: b
Status: install ok installed
Architecture: all
Version: 2

Package: c
Status: install ok unpacked
Architecture: amd64
Provides: other, virtual (= 3)
Version: 3

Package: gone
Status: deinstall ok not-installed
Architecture: amd64
";

#[test]
fn dpkg_says_what_is_installed_and_claimed() {
    let entries = tree(
        "bin->usr/bin usr/bin/a usr/bin/b.real usr/bin/b etc/a etc/hostname usr/lib/ usr/share/doc/b/",
        &[
            ("var/lib/dpkg/status", DPKG_STATUS),
            ("var/lib/dpkg/info/a:amd64.list", "/.\n/bin\n/bin/a\n/etc\n/etc/a\n/usr\n/usr/lib\n/bin/b\n"),
            ("var/lib/dpkg/info/b.list", "/.\n/bin\n/bin/b\n/usr/share/doc/b\n/usr/share/doc/b/gone\n/usr/lib\n"),
            ("var/lib/dpkg/diversions", "/bin/b\n/bin/b.real\nb\n"),
        ],
    );
    let packages = Packages::read(&Source::Dpkg, &entries).unwrap();
    assert_eq!(listed(&packages), "a 1.0-2 source-of-a: b c\nb 2 b:\nc 3 c:");
    let expected = "/etc:a /etc/a:a /usr:a /usr/bin/a:a /usr/bin/b:b /usr/bin/b.real:a /usr/share/doc/b:b";
    assert_eq!(owners(&packages, &entries), expected);
    let counts = Counts { packages: 3, without_files: 1, owned: 4, unowned: 6, claimed_twice: 0, missing: 1 };
    assert_eq!(packages.counts(), counts);
}
