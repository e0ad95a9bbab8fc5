//! A text file that tells which package owns which path, for what has no database that is read here.

use std::collections::BTreeMap;
use std::path::Path;

use super::claims::{Claims, Record};
use super::text::Text;
use super::tree::Tree;
use crate::error::Result;

/// What the manifest `path` says: `/path name` on each line, parted by a tab or else by the last space.
pub fn read<'a>(path: &Path, tree: Tree<'a>) -> Result<Claims<'a>> {
    let text = Text::open(path)?;
    let mut claims = Claims::new(tree, true);
    let mut numbers = BTreeMap::new();
    for (number, line) in text.lines() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            continue;
        }
        if !line.starts_with(b"/") {
            return Err(text.error(number, "a path begins with '/', and this line does not"));
        }
        let (path, name) =
            part(line).ok_or_else(|| text.error(number, "a line has a path, a tab or space, and a package's name"))?;
        let name = text.utf8(number, "package's name", name)?;
        let package = *numbers.entry(name.to_owned()).or_insert_with(|| {
            claims.package(Record { name: name.to_owned(), recipe: name.to_owned(), ..Record::default() })
        });
        match path.strip_suffix(b"/") {
            Some(directory) => claims.claim_below(package, directory),
            None => claims.claim(package, path, None),
        }
    }
    Ok(claims)
}

/// Path and name. Where there is a tab the path may have spaces.
fn part(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let last = |wanted| line.iter().rposition(|byte| *byte == wanted);
    let end = last(b'\t').or_else(|| last(b' '))?;
    let (path, name) = (&line[..end], &line[end + 1..]);
    let path = if line[end] == b' ' { path.trim_ascii_end() } else { path };
    (!name.is_empty()).then_some((path, name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::sample::{owners, tree};
    use super::super::{Packages, Source};

    fn read(directory: &Path, manifest: &[u8], words: &str) -> String {
        let path = directory.join("manifest");
        std::fs::write(&path, manifest).unwrap();
        let entries = tree(words, &[]);
        match Packages::read(&Source::Manifest(path), &entries) {
            Ok(packages) => owners(&packages, &entries),
            Err(error) => error.to_string().replace(&format!("{}/", directory.display()), ""),
        }
    }

    #[test]
    fn a_line_has_a_path_and_a_name() {
        let directory = tempfile::tempdir().unwrap();
        for (manifest, expected) in [
            ("", ""),
            ("# comment\n\n  \n/a p\n", "/a:p"),
            ("/a p", "/a:p"),
            ("/a\tp\r\n", "/a:p"),
            ("/a    p\n", "/a:p"),
            ("/opt/ p\n", "/opt:p /opt/x:p /opt/y:p /opt/y/z:p"),
            ("/opt/ p\n/opt/y/ q\n/opt/x r\n", "/opt:p /opt/x:r /opt/y:q /opt/y/z:q"),
            ("/opt p\n", "/opt:p"),
            ("/link/ p\n", "/opt:p /opt/x:p /opt/y:p /opt/y/z:p"),
            ("/opt/y/ p\n/opt/y/ q\n", "/opt/y/z:p"),
            ("/ p\n/opt/ q\n", "/:p /a:p /link:p /opt:q /opt/x:q /opt/y:q /opt/y/z:q"),
        ] {
            let found = read(directory.path(), manifest.as_bytes(), "a opt/x opt/y/z link->opt");
            assert_eq!(found, expected, "{manifest:?}");
        }
    }

    #[test]
    fn a_tab_leaves_spaces_to_the_path() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path(), b"/with space\tp\n", ""), "");
        let mut entries = tree("", &[]);
        entries.push(crate::rootfs::Entry::implied_directory(b"with space".to_vec()));
        let packages = Packages::read(&Source::Manifest(directory.path().join("manifest")), &entries).unwrap();
        assert_eq!(owners(&packages, &entries), "/with space:p");
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        for (manifest, message) in [
            (&b"a p\n"[..], "line 1: a path begins with '/'"),
            (b"/a p\n/b\n", "line 2: a line has a path, a tab or space, and a package's name"),
            (b"/a p\n\n/b\t\n", "line 3: a line has a path"),
            (b"/a \xff\n", "line 1: the package's name \"\u{fffd}\" is not UTF-8"),
        ] {
            let found = read(directory.path(), manifest, "");
            assert!(found.starts_with(&format!("\"manifest\": {message}")), "{found}");
        }
    }
}
