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
