//! Lays several root filesystems over one another without holding any of them in memory.

use std::iter::Peekable;

use super::Entries;
use super::entry::{Entry, Kind};
use crate::error::{Error, Result};

/// The same entries below the directory `target`, with the directories that lead there.
pub fn under(entries: Entries, target: &[u8]) -> Entries {
    if target.is_empty() {
        return entries;
    }
    let target = target.to_vec();
    let parents: Vec<_> = parents_of(&target).map(|path| Ok(Entry::implied_directory(path.to_vec()))).collect();
    let moved = entries.map(move |entry| {
        entry.map(|mut entry| {
            entry.path = match entry.path.is_empty() {
                true => target.clone(),
                false => [&target[..], b"/", &entry.path].concat(),
            };
            entry
        })
    });
    Box::new(parents.into_iter().chain(moved))
}

/// The directories that lead to `path`, from the root on, without `path` itself.
pub fn parents_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let root = (!path.is_empty()).then_some(&path[..0]);
    let others = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end]);
    root.into_iter().chain(others)
}

/// All entries of `sources` in order. Where several have the same path the last one counts, but a directory that is only
/// implied never hides one that somebody described.
pub fn merge(mut sources: Vec<Entries>) -> Entries {
    match sources.len() {
        1 => sources.remove(0),
        _ => Box::new(Merge { sources: sources.into_iter().map(Iterator::peekable).collect() }),
    }
}

struct Merge {
    sources: Vec<Peekable<Entries>>,
}

impl Merge {
    fn lowest_path(&mut self) -> Option<Result<Vec<u8>, usize>> {
        let mut lowest: Option<&Vec<u8>> = None;
        for (number, source) in self.sources.iter_mut().enumerate() {
            match source.peek() {
                Some(Err(_)) => return Some(Err(number)),
                Some(Ok(entry)) if lowest.is_none_or(|path| entry.path < *path) => lowest = Some(&entry.path),
                _ => {}
            }
        }
        lowest.map(|path| Ok(path.clone()))
    }
}

impl Iterator for Merge {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = match self.lowest_path()? {
            Ok(path) => path,
            Err(number) => return self.sources[number].next(),
        };
        let mut winner: Option<Entry> = None;
        for source in &mut self.sources {
            let Some(Ok(entry)) = source.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.path == path)) else {
                continue;
            };
            winner = Some(match winner {
                None => entry,
                Some(below) => match lay_over(below, entry) {
                    Ok(entry) => entry,
                    Err(error) => return Some(Err(error)),
                },
            });
        }
        winner.map(Ok)
    }
}

fn lay_over(below: Entry, above: Entry) -> Result<Entry> {
    let is_directory = |entry: &Entry| matches!(entry.kind, Kind::Directory);
    if is_directory(&below) != is_directory(&above) {
        // Taking either one would silently lose the other and, with a link such as /lib, break what relies on it.
        return Err(Error::rootfs(above.display(), "one source has a directory here and another has something else"));
    }
    Ok(if above.implied { below } else { above })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path per word; `/` at the end is a directory, `~` at the end an implied one; the mode tells the source.
    fn source(mode: u32, words: &str) -> Entries {
        let entries: Vec<_> = words
            .split_whitespace()
            .map(|word| {
                let mut entry = Entry::implied_directory(word.trim_end_matches(['/', '~']).into());
                entry.implied = word.ends_with('~');
                if !word.ends_with(['/', '~']) {
                    entry.kind = Kind::Fifo;
                }
                entry.mode = mode;
                Ok(entry)
            })
            .collect();
        Box::new(entries.into_iter())
    }

    fn shown(entries: Entries) -> String {
        let words: Vec<_> = entries
            .map(|entry| match entry {
                Ok(entry) => format!("{}:{:o}", entry.display(), entry.mode),
                Err(error) => error.to_string(),
            })
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_later_source_lies_over_the_earlier_one() {
        let merged = merge(vec![source(1, "/ a b/ b/x c"), source(2, "~ b~ b/x b/y d")]);
        assert_eq!(shown(merged), "/:1 /a:1 /b:1 /b/x:2 /b/y:2 /c:1 /d:2");
    }

    #[test]
    fn a_target_brings_the_directories_that_lead_to_it() {
        assert_eq!(shown(under(source(7, "/ x"), b"opt/app")), "/:755 /opt:755 /opt/app:7 /opt/app/x:7");
    }

    #[test]
    fn a_directory_over_something_else_is_an_error_that_names_it() {
        for sources in [["/ lib", "~ lib~ lib/x"], ["/ lib/ lib/x", "/ lib"]] {
            let merged = shown(merge(vec![source(1, sources[0]), source(2, sources[1])]));
            assert!(merged.contains("\"/lib\": one source has a directory here"), "{merged}");
        }
    }
}
