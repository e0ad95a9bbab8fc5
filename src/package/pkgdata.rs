//! `PKGDATA_DIR` of a Yocto build: what every package that was built has, installed or not.
//!
//! Source: openembedded-core, `meta/lib/oe/packagedata.py`: `runtime/NAME` has a line `VARIABLE:NAME: value` for each
//! variable of package NAME, its value escaped as by Python's codec `unicode_escape`. A file with only PKG in it is
//! another name of that package.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::claims::{Claims, Record};
use super::text::Text;
use super::tree::Tree;
use crate::error::{Error, Result};

/// What the pkgdata in `directory` says, of the packages that the file `installed` lists if there is one.
///
/// # Errors
/// [`Error::Io`] when it can't be read, [`Error::Packages`] naming the file and line that can't be understood.
pub fn read<'a>(directory: &Path, installed: Option<&Path>, tree: Tree<'a>) -> Result<Claims<'a>> {
    let runtime = directory.join("runtime");
    let installed = installed.map(listed).transpose()?;
    let mut claims = Claims::new(tree, installed.is_some());
    let (mut numbers, mut other_names) = (BTreeMap::new(), Vec::new());
    for original in names(&runtime)? {
        // A recipe that the image does not depend on may be built at the same time: its file goes and comes again.
        let Some(text) = Text::open_if_there(&runtime.join(&original))? else { continue };
        let variables = Variables::read(&text, &original)?;
        let name = variables.value("PKG")?.unwrap_or_else(|| original.clone());
        let Some(files) = variables.files()? else {
            other_names.push((name, original));
            continue;
        };
        if installed.as_ref().is_some_and(|installed| !installed.contains(&name)) {
            continue;
        }
        let package = claims.package(variables.record(name)?);
        files.0.iter().for_each(|(path, size)| claims.claim(package, path, Some(*size)));
        numbers.insert(original, package);
    }
    for (name, other) in other_names {
        if let Some(package) = numbers.get(&name) {
            claims.alias(*package, other);
        }
    }
    Ok(claims)
}

/// The first word of each line.
fn listed(file: &Path) -> Result<BTreeSet<String>> {
    let text = Text::open(file)?;
    let names = text.lines().map(|(number, line)| {
        let name = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        text.utf8(number, "package's name", name).map(str::to_owned)
    });
    names.collect()
}

/// The packages' names before they may have been changed, sorted.
fn names(runtime: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for child in fs::read_dir(runtime).map_err(Error::io("list", runtime))? {
        let name = child.map_err(Error::io("list", runtime))?.file_name();
        let name = name.to_str().ok_or_else(|| Error::packages(runtime.join(&name), "a package's name is UTF-8"))?;
        if !name.ends_with(".packaged") {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The variables of one package, as they stand in its file.
struct Variables<'a> {
    text: &'a Text,
    name: &'a str,
    lines: BTreeMap<&'a [u8], (usize, &'a [u8])>,
}

impl<'a> Variables<'a> {
    fn read(text: &'a Text, name: &'a str) -> Result<Self> {
        let mut lines = BTreeMap::new();
        for (number, line) in text.lines().filter(|(_, line)| !line.is_empty()) {
            let end = line.windows(2).position(|pair| pair[0] == b':' && pair[1].is_ascii_whitespace());
            let end = end.or_else(|| line.len().checked_sub(1).filter(|last| line[*last] == b':'));
            let end = end.ok_or_else(|| text.error(number, "a variable is written 'NAME: value', and this is not"))?;
            lines.insert(&line[..end], (number, line[end + 1..].trim_ascii()));
        }
        Ok(Self { text, name, lines })
    }

    /// The package's own value of `variable`, or the one that its recipe has for all of its packages.
    fn line(&self, variable: &str) -> Option<(usize, &'a [u8])> {
        let own = format!("{variable}:{}", self.name);
        self.lines.get(own.as_bytes()).or_else(|| self.lines.get(variable.as_bytes())).copied()
    }

    fn value(&self, variable: &str) -> Result<Option<String>> {
        let Some((number, value)) = self.line(variable) else { return Ok(None) };
        unescaped(self.text.utf8(number, variable, value)?).map(Some).ok_or_else(|| {
            self.text.error(number, format!("the value of {variable} has an escape that is no character"))
        })
    }

    fn files(&self) -> Result<Option<Files>> {
        let (Some((number, _)), Some(json)) = (self.line("FILES_INFO"), self.value("FILES_INFO")?) else {
            return Ok(None);
        };
        let files = serde_json::from_str(&json);
        files
            .map(Some)
            .map_err(|error| self.text.error(number, format!("FILES_INFO is no JSON of path and size: {error}")))
    }

    fn record(&self, name: String) -> Result<Record> {
        let value = |variable: &str| Ok(self.value(variable)?.unwrap_or_default());
        let (epoch, version, revision) = (value("PKGE")?, value("PKGV")?, value("PKGR")?);
        let epoch = if matches!(epoch.as_str(), "" | "0") { String::new() } else { format!("{epoch}:") };
        let revision = if revision.is_empty() { revision } else { format!("-{revision}") };
        Ok(Record {
            version: format!("{epoch}{version}{revision}"),
            recipe: self.value("PN")?.unwrap_or_else(|| name.clone()),
            aliases: if name == self.name { Vec::new() } else { vec![self.name.to_owned()] },
            provides: names_in(&value("RPROVIDES")?),
            needs: names_in(&value("RDEPENDS")?).into_iter().map(|name| vec![name]).collect(),
            name,
            ..Record::default()
        })
    }
}

/// The names in `a (>= 1.0) b, c(d)`: only parentheses that stand apart hold a version.
fn names_in(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_version = false;
    for word in text.split(|char: char| char.is_whitespace() || char == ',').filter(|word| !word.is_empty()) {
        is_version |= word.starts_with('(');
        if !is_version {
            names.push(word.to_owned());
        }
        is_version &= !word.ends_with(')');
    }
    names
}

/// Undoes `unicode_escape`; nothing where an escape is none that it writes, or no character.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('\\');
    let mut plain = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        let number = |digits| char::from_u32(u32::from_str_radix(part.get(1..=digits)?, 16).ok()?);
        let (char, rest) = match part.chars().next() {
            // Two backslashes stand for one, and what follows them is plain.
            None => ('\\', parts.next()?),
            Some('n') => ('\n', &part[1..]),
            Some('r') => ('\r', &part[1..]),
            Some('t') => ('\t', &part[1..]),
            Some('x') => (number(2)?, &part[3..]),
            Some('u') => (number(4)?, &part[5..]),
            Some('U') => (number(8)?, &part[9..]),
            Some(_) => return None,
        };
        plain.push(char);
        plain.push_str(rest);
    }
    Some(plain)
}

/// The files of a package with their sizes, out of a JSON object.
struct Files(Vec<(Vec<u8>, u64)>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Files;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of paths and sizes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let mut files = Vec::new();
                while let Some((FilePath(path), size)) = map.next_entry()? {
                    files.push((path, size));
                }
                Ok(Files(files))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A path as Python writes it to JSON: a byte that is not UTF-8 is a lone surrogate, U+DC80 to U+DCFF.
struct FilePath(Vec<u8>);

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = FilePath;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<FilePath, E> {
                Ok(FilePath(with_raw_bytes(bytes)))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Puts the byte back for which a lone surrogate stands. As three bytes, U+DC80 is ED B2 80 and U+DCFF is ED B3 BF; no
/// other character begins like that.
fn with_raw_bytes(mut text: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(text.len());
    while let Some(start) = text.windows(3).position(|three| three[0] == 0xed && matches!(three[1], 0xb2 | 0xb3)) {
        raw.extend_from_slice(&text[..start]);
        raw.push((text[start + 1] & 1) << 6 | text[start + 2] & 0x3f | 0x80);
        text = &text[start + 3..];
    }
    raw.extend_from_slice(text);
    raw
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::sample::{listed, owners, tree};
    use super::super::{Counts, Packages, Source};
    use super::*;

    /// A directory with these files in `runtime`.
    fn pkgdata(files: &[(&str, &str)]) -> (TempDir, Source) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("runtime")).unwrap();
        files.iter().for_each(|(name, text)| fs::write(directory.path().join("runtime").join(name), text).unwrap());
        let source = Source::Pkgdata { directory: directory.path().to_owned(), installed: None };
        (directory, source)
    }

    /// A package with these files, in the words that `tree` takes.
    fn claiming(name: &str, words: &str, more: &str) -> (String, String) {
        let pairs = words.split_whitespace().map(|word| word.split_once('*').unwrap_or((word, "0")));
        let files = pairs.map(|(path, size)| format!("\"/{path}\": {size}")).collect::<Vec<_>>().join(", ");
        (name.to_owned(), format!("PN: recipe\nFILES_INFO:{name}: {{{files}}}\n{more}"))
    }

    /// The packages and the owners, of a tree of `words`.
    fn read(packages: &[(String, String)], words: &str) -> (Packages, String) {
        let packages: Vec<_> = packages.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let (_directory, source) = pkgdata(&packages);
        let entries = tree(words, &[]);
        let packages = Packages::read(&source, &entries).unwrap();
        let owners = owners(&packages, &entries);
        (packages, owners)
    }

    #[test]
    fn what_is_not_installed_owns_nothing() {
        let files = [
            claiming("app", "etc/app.conf usr/bin/app", ""),
            claiming("app-other", "etc/app.conf etc/other.conf", "PKG:app-other: renamed\n"),
            claiming("group", "", ""),
        ];
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let (directory, _) = pkgdata(&files);
        let entries = tree("etc/app.conf etc/other.conf usr/bin/app", &[]);
        let owners_with = |lines: &str| {
            let manifest = directory.path().join("image.manifest");
            fs::write(&manifest, lines).unwrap();
            let source = Source::Pkgdata { directory: directory.path().to_owned(), installed: Some(manifest) };
            let packages = Packages::read(&source, &entries).unwrap();
            (packages.counts().packages, owners(&packages, &entries))
        };
        // Without the list, app-other is taken for installed: it alone claims a file that is there.
        let guessed = Source::Pkgdata { directory: directory.path().to_owned(), installed: None };
        let guessed = Packages::read(&guessed, &entries).unwrap();
        assert!(owners(&guessed, &entries).contains("/etc/other.conf:renamed"));
        let app = "/etc/app.conf:app /usr/bin/app:app";
        assert_eq!(owners_with("app core2-64 1.0-r0\ngroup core2-64 1.0-r0\nno-data all 1\n").1, app);
        assert_eq!(owners_with("app core2-64 1.0-r0\ngroup core2-64 1.0-r0\n").0, 2);
        let both = "/etc/app.conf:app /etc/other.conf:renamed /usr/bin/app:app";
        assert_eq!(owners_with("app core2-64 1.0-r0\nrenamed core2-64 1.0-r0").1, both);
    }

    #[test]
    fn a_renamed_package_is_known_by_its_names() {
        let glibc = "\
PN: glibc
PV: 2.39
PKGE:glibc: 0
PKGV: 2.39+git0+ce65d944e3
PKGR: r1
DESCRIPTION: with \\u20ac, a tab\\t and a line\\nFILES_INFO:glibc: no JSON
RDEPENDS:glibc: nobody (>= 13.2.0), virtual-thing (= 1)
RPROVIDES:glibc: glibc-rtld rtld(GNU_HASH) (= 2.39)
PKG:glibc: libc6
FILES_INFO:glibc: {\"/lib/libc.so.6\": 5}
PKGSIZE:glibc: 5
";
        let gcc = "\
PN: gcc-runtime
PKGE: 1
PKGV:libgcc: 13.2.0
PKGV: 0
PKGR: r0
RDEPENDS:libgcc: rtld(GNU_HASH) (>= 2.0)
RPROVIDES:libgcc: virtual-thing
FILES_INFO:libgcc: {\"/lib/libgcc_s.so.1\": 3}
";
        let files =
            [("glibc", glibc), ("glibc.packaged", ""), ("libgcc", gcc), ("lib32-glibc", "PKG:lib32-glibc: glibc")];
        let packages = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let (packages, owners) = read(&packages, "lib->usr/lib usr/lib/libc.so.6*5 usr/lib/libgcc_s.so.1*3");
        assert_eq!(
            listed(&packages),
            "libc6 2.39+git0+ce65d944e3-r1 glibc: libgcc\nlibgcc 1:13.2.0-r0 gcc-runtime: libc6\n"
        );
        assert_eq!(owners, "/usr/lib/libc.so.6:libc6 /usr/lib/libgcc_s.so.1:libgcc");
        for name in ["libc6", "glibc", "lib32-glibc"] {
            assert_eq!(packages.get(name).map(|package| package.name.as_str()), Some("libc6"), "{name}");
        }
        assert!(packages.get("glibc-rtld").is_none());
    }

    #[test]
    fn a_need_means_the_name_from_before_a_renaming() {
        let packages = [
            claiming("one", "a", "PKG:one: two\n"),
            claiming("two", "b", "PKG:two: three\n"),
            claiming("user", "c", "RDEPENDS:user: two\n"),
        ];
        let (packages, _) = read(&packages, "a b c");
        assert_eq!(packages.get("user").unwrap().depends, ["three"]);
        assert_eq!(packages.get("two").unwrap().name, "two");
    }

    #[test]
    fn files_tell_which_packages_are_installed() {
        for (packages, words, expected) in [
            ("one=a two=b", "a", "/a:one"),
            // Some of its files were removed; the other package only has what is shared.
            ("one=a,b,c two=b,c,d", "a b", "/a:one /b:one"),
            // Neither has a file of its own, and only one is complete.
            ("one=a,b two=a,c three=b,c", "a b", "/a:one /b:one"),
            // Both are complete: the one that is certain has the shared file, whatever its name.
            ("one=a two=a,b", "a b", "/a:two /b:two"),
            ("one=a two=a", "a", "/a:one"),
            ("one=a,b two=a,b", "a", ""),
            // The recorded size tells which of two it is.
            ("one=a*5,b two=a*7,c", "a*7 b c", "/a:two /b:one /c:two"),
            ("one=a*5,b two=a*5,c", "a*7 b c", "/a:one /b:one /c:two"),
            ("one=l*3,b two=l*4,c", "l->four b c", "/b:one /c:two /l:two"),
        ] {
            let packages: Vec<_> = packages
                .split(' ')
                .map(|package| package.split_once('=').unwrap())
                .map(|(name, files)| claiming(name, &files.replace(',', " "), ""))
                .collect();
            let (_, owners) = read(&packages, words);
            assert_eq!(owners, expected, "{words}");
        }
    }

    #[test]
    fn a_package_without_files_is_there_when_all_that_it_needs_is() {
        let packages = [
            claiming("group", "", "RDEPENDS:group: inner one\n"),
            claiming("inner", "", "RDEPENDS:inner: one (>= 1)\n"),
            claiming("one", "a b", ""),
            claiming("absent", "c", ""),
            claiming("group-of-more", "", "RDEPENDS:group-of-more: one absent\n"),
            claiming("empty", "", ""),
            claiming("circle", "", "RDEPENDS:circle: circle\n"),
        ];
        let (packages, _) = read(&packages, "a free");
        assert_eq!(listed(&packages), "one  recipe:\n");
        assert_eq!(packages.get("group").unwrap().depends, ["inner", "one"]);
        for name in ["absent", "group-of-more", "empty", "circle"] {
            assert!(packages.get(name).is_none(), "{name}");
        }
        let counts = Counts { packages: 1, without_files: 0, owned: 1, unowned: 1, claimed_twice: 0, missing: 1 };
        assert_eq!(packages.counts(), counts);
    }

    #[test]
    fn a_path_survives_the_two_codecs_it_was_written_with() {
        for (escaped, raw) in [
            ("/plain", &b"/plain"[..]),
            // What json.dumps makes of it, and unicode_escape of that.
            ("/caf\\\\u00e9", "/caf\u{e9}".as_bytes()),
            ("/\\\\udce9\\\\udcff\\\\udc80", b"/\xe9\xff\x80"),
            ("/\\\\ud83d\\\\ude00", "/\u{1f600}".as_bytes()),
            ("/a\\\\\"b\\\\\\\\c", b"/a\"b\\c"),
            ("/a\\\\nb", b"/a\nb"),
            ("/\\\\ud7ff", "/\u{d7ff}".as_bytes()),
        ] {
            let json = unescaped(&format!("{{\"{escaped}\": 1}}")).unwrap();
            let files: Files = serde_json::from_str(&json).unwrap();
            assert_eq!(files.0, [(raw.to_vec(), 1)], "{escaped}");
        }
    }

    #[test]
    fn escapes_are_undone_or_refused() {
        for (text, plain) in [
            ("plain", Some("plain")),
            ("\\n\\t\\r\\\\n\\\\\\\\", Some("\n\t\r\\n\\\\")),
            ("\\xe9\\u20ac\\U0001f600x", Some("\u{e9}\u{20ac}\u{1f600}x")),
            ("\\", None),
            ("\\xe", None),
            ("\\x\u{e9}", None),
            ("\\udcff", None),
            ("\\Uffffffff", None),
            ("\\q", None),
        ] {
            assert_eq!(unescaped(text).as_deref(), plain, "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        for (text, message) in [
            ("PN: a\nno variable\n", "line 2: a variable is written 'NAME: value'"),
            ("FILES_INFO:p: {\"/a\": -1}\n", "line 1: FILES_INFO is no JSON of path and size: invalid value"),
            ("FILES_INFO:p: [1]\n", "line 1: FILES_INFO is no JSON of path and size: invalid type"),
            ("\nFILES_INFO:p: {\"/a\"\n", "line 2: FILES_INFO is no JSON of path and size: EOF"),
            ("PKG:p: \\xq\n", "line 1: the value of PKG has an escape that is no character"),
        ] {
            let (directory, source) = pkgdata(&[("p", text)]);
            let found =
                Packages::read(&source, &tree("a", &[])).map(|packages| listed(&packages)).unwrap_err().to_string();
            let path = directory.path().join("runtime/p");
            assert!(found.starts_with(&format!("{path:?}: {message}")), "{found}");
        }
    }
}
