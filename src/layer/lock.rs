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
            let words = line.split_whitespace().map(name_of).collect::<Option<Vec<_>>>();
            let words = words.ok_or_else(|| wrong("two hexadecimal digits follow a percent sign"))?;
            let Ok([recipe, layer, version, changes]) = <[String; 4]>::try_from(words) else {
                return Err(wrong("a line is RECIPE LAYER VERSION CHANGES"));
            };
            let changes = changes.parse().map_err(|_| wrong("CHANGES is a whole number"))?;
            let version = if version == UNKNOWN { String::new() } else { version };
            if recipes.insert(recipe, Locked { layer, version, changes }).is_some() {
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
            let [recipe, layer, version] = [recipe, layer, version].map(word_of);
            writeln!(formatter, "{recipe} {layer} {version} {changes}")
        })
    }
}

/// A name as a word of a line: what would part it or make a line another thing stands as `%` and the byte in hexadecimal.
fn word_of(name: &str) -> String {
    let mut word = String::new();
    for (place, letter) in name.char_indices() {
        let is_plain = !letter.is_whitespace() && !letter.is_control() && letter != '%';
        if is_plain && !(place == 0 && "#<=>|".contains(letter)) {
            word.push(letter);
        } else {
            word.extend(letter.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02x}")));
        }
    }
    word
}

/// The name that stands as `word`.
fn name_of(word: &str) -> Option<String> {
    let (plain, escaped) = word.split_once('%').map_or((word, None), |(plain, rest)| (plain, Some(rest)));
    let mut name = plain.as_bytes().to_vec();
    for part in escaped.into_iter().flat_map(|rest| rest.split('%')) {
        name.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        name.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(name).ok()
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
    fn any_name_is_one_word() {
        for (name, word) in [
            ("srv/a b", "srv/a%20b"),
            ("100%", "100%25"),
            ("#a#", "%23a#"),
            ("======= x", "%3d======%20x"),
            ("a\u{3000}\u{1}b", "a%e3%80%80%01b"),
            ("\u{e9}", "\u{e9}"),
        ] {
            assert_eq!((word_of(name).as_str(), name_of(word).as_deref()), (word, Some(name)));
        }
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
            ("a%2 acl 1 0\n", "line 1: two hexadecimal digits follow a percent sign"),
            ("a% acl 1 0\n", "line 1: two hexadecimal digits"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("layers.lock"), "{error}");
        }
    }
}
