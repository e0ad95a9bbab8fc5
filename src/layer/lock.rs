//! The lock file: which layer each recipe is in, from release to release.
//!
//! One line for each recipe, sorted, so that people can read and edit it and git can merge it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// The first lines of every lock file.
const HEADING: &str = "\
# Which layer each recipe's files are in: RECIPE LAYER VERSION CHANGES, the last being in how many builds the version
# was another than here. Written by image-oci-rs; keep it under version control. Recipes with the same LAYER share one,
# and LAYER may be edited.
";

/// Stands for a version that nobody knows.
const UNKNOWN: &str = "-";

/// What a lock file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// Recipes by their name.
    pub recipes: BTreeMap<String, Locked>,
}

/// What a lock file says of one recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The name of its layer.
    pub layer: String,
    /// The version that was packed last; empty when nobody knows it.
    pub version: String,
    /// How often another version followed.
    pub changes: u32,
}

impl Lock {
    /// Reads the lock file `path`; one that is not there locks nothing.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Spec`] naming the line that is none of a lock file.
    pub fn read(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut recipes = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let wrong = |reason: &str| {
                Error::spec("layers.lock", line, format!("{}, line {}: {reason}", path.display(), number + 1))
            };
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].iter().any(|mark| line.starts_with(mark)) {
                return Err(wrong("a conflict that git left is not resolved: keep one line for each recipe"));
            }
            let words: Vec<_> = line.split_whitespace().collect();
            let [recipe, layer, version, changes] = words[..] else {
                return Err(wrong("a line is RECIPE LAYER VERSION CHANGES"));
            };
            let changes = changes.parse().map_err(|_| wrong("CHANGES is a whole number"))?;
            let version = if version == UNKNOWN { String::new() } else { version.to_owned() };
            let locked = Locked { layer: layer.to_owned(), version, changes };
            if recipes.insert(recipe.to_owned(), locked).is_some() {
                return Err(wrong("this recipe stands in an earlier line already"));
            }
        }
        Ok(Self { recipes })
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEADING)?;
        self.recipes.iter().try_for_each(|(recipe, Locked { layer, version, changes })| {
            let version = if version.is_empty() { UNKNOWN } else { version };
            writeln!(formatter, "{recipe} {layer} {version} {changes}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Lock> {
        Lock::parse(text, Path::new("layers.lock"))
    }

    #[test]
    fn what_is_written_is_read_again_sorted() {
        let lock = parse("zlib tiny/2 - 0\n\n# a remark\nacl acl 2.3.1-3 4\n").unwrap();
        let text = lock.to_string();
        assert!(text.ends_with("\nacl acl 2.3.1-3 4\nzlib tiny/2 - 0\n"), "{text}");
        assert_eq!(parse(&text).unwrap(), lock);
        assert_eq!(lock.recipes["zlib"].version, "");
    }

    #[test]
    fn a_file_that_is_not_there_locks_nothing() {
        assert_eq!(Lock::read(Path::new("/no/such/layers.lock")).unwrap(), Lock::default());
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, reason) in [
            ("acl acl 1 0\nacl tiny/2 1 0\n", "line 2: this recipe stands in an earlier line"),
            ("acl acl 1\n", "line 1: a line is RECIPE LAYER VERSION CHANGES"),
            ("acl acl 1 x\n", "line 1: CHANGES is a whole number"),
            ("acl acl 1 0\n<<<<<<< HEAD\n", "line 2: a conflict that git left"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("layers.lock"), "{error}");
        }
    }
}
