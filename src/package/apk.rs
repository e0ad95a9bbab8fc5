//! apk's database: `/lib/apk/db/installed`, and `/usr/lib/apk/db/installed` since apk 3.
//!
//! Source: the wiki of Alpine Linux, "Apk spec". A line is a letter, a colon and a value; an empty line ends a package.

use super::claims::{Claims, Record};
use super::text::Text;
use super::tree::Tree;
use crate::error::Result;

const FILES: [&str; 2] = ["usr/lib/apk/db/installed", "lib/apk/db/installed"];

/// What apk's database in `tree` says, or nothing if there is none.
///
/// # Errors
/// [`Error::Packages`](crate::Error::Packages) naming the line that can't be understood.
pub fn read(mut tree: Tree<'_>) -> Result<Option<Claims<'_>>> {
    for file in FILES {
        if let Some(text) = tree.read(file)? {
            let mut claims = Claims::new(tree, true);
            let lines: Vec<_> = text.lines().collect();
            for package in lines.split(|(_, line)| line.is_empty()).filter(|lines| !lines.is_empty()) {
                add(&mut claims, &text, package)?;
            }
            return Ok(Some(claims));
        }
    }
    Ok(None)
}

/// Adds the package that these lines describe.
fn add(claims: &mut Claims<'_>, text: &Text, lines: &[(usize, &[u8])]) -> Result<()> {
    let package = claims.package(record(text, lines)?);
    let mut directory: Option<&[u8]> = None;
    for (number, line) in lines {
        match line {
            [b'F', b':', path @ ..] => {
                claims.claim(package, path, None);
                directory = Some(path);
            }
            [b'R', b':', name @ ..] => match directory {
                Some(directory) => claims.claim(package, &[directory, b"/", name].concat(), None),
                None => {
                    return Err(text.error(*number, "a file (R:) stands below its directory (F:), and there is none"));
                }
            },
            _ => {}
        }
    }
    Ok(())
}

fn record(text: &Text, lines: &[(usize, &[u8])]) -> Result<Record> {
    let mut record = Record::default();
    for (number, line) in lines {
        let [letter, b':', value @ ..] = line else {
            return Err(text.error(*number, "a line is a letter, a colon and a value, and this is not"));
        };
        let value = |what| text.utf8(*number, what, value);
        match letter {
            b'P' => record.name = value("package's name")?.to_owned(),
            b'V' => record.version = value("version")?.to_owned(),
            b'o' => record.recipe = value("origin")?.to_owned(),
            b'p' => record.provides.extend(value("list of what it provides")?.split_whitespace().map(bare_name)),
            // What must not be there begins with '!', as no name does.
            b'D' => {
                let needs = value("list of dependencies")?.split_whitespace();
                record.needs.extend(needs.map(|need| vec![bare_name(need)]));
            }
            _ => {}
        }
    }
    if record.name.is_empty() {
        return Err(text.error(lines[0].0, "the package that begins here has no name (P:)"));
    }
    if record.recipe.is_empty() {
        record.recipe.clone_from(&record.name);
    }
    Ok(record)
}

/// The name in `so:libc.so=1`, `name>=2`, `name~3`, `name@tag`.
fn bare_name(text: &str) -> String {
    text.split(['<', '>', '=', '~', '@']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{error, listed, owners, tree};
    use super::super::{Counts, Packages, Source};

    const INSTALLED: &str = "\
C:Q1+8xzRZyD+sbFv4yPbCkUEEcWTg=
P:musl
V:1.2.5-r0
A:x86_64
T:the musl c library (libc) implementation
o:musl
p:so:libc.musl-x86_64.so.1=1
F:
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1+8xzRZyD+sbFv4yPbCkUEEcWTg=
R:libc.musl-x86_64.so.1
a:0:0:777

P:busybox-binsh
V:1.36.1-r29
o:busybox
D:busybox=1.36.1-r29 !other-shell
p:/bin/sh cmd:sh=1.36.1-r29
F:bin
R:sh

P:busybox
V:1.36.1-r29
D:so:libc.musl-x86_64.so.1 missing~1 tagged@edge>2
F:
F:bin
M:0:0:755
R:busybox
R:gone
F:etc/busybox

P:.empty
D:/bin/sh cmd:sh>1
";

    #[test]
    fn packages_files_and_needs_are_read() {
        let words = "bin/sh->busybox bin/busybox etc/busybox/ etc/motd lib/ld-musl-x86_64.so.1 \
                     lib/libc.musl-x86_64.so.1";
        let entries = tree(words, &[("lib/apk/db/installed", INSTALLED)]);
        let packages = Packages::read(&Source::Apk, &entries).unwrap();
        let expected = "\
.empty  .empty: busybox-binsh
busybox 1.36.1-r29 busybox: musl
busybox-binsh 1.36.1-r29 busybox: busybox
musl 1.2.5-r0 musl:
";
        assert_eq!(listed(&packages), expected);
        let expected = "/bin/busybox:busybox /bin/sh:busybox-binsh /etc/busybox:busybox /lib:musl \
                        /lib/ld-musl-x86_64.so.1:musl /lib/libc.musl-x86_64.so.1:musl";
        assert_eq!(owners(&packages, &entries), expected);
        let counts = Counts { packages: 4, without_files: 1, owned: 4, unowned: 2, claimed_twice: 0, missing: 1 };
        assert_eq!(packages.counts(), counts);
    }

    #[test]
    fn the_database_of_apk_3_is_found_too() {
        let entries = tree("lib->usr/lib usr/lib/libc.musl-x86_64.so.1", &[("usr/lib/apk/db/installed", INSTALLED)]);
        let packages = Packages::read(&Source::Auto, &entries).unwrap();
        assert_eq!(packages.source(), &Source::Apk);
        assert_eq!(owners(&packages, &entries), "/lib:musl /usr/lib/libc.musl-x86_64.so.1:musl");
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        for (text, message) in [
            ("P:a\nV\n", "line 2: a line is a letter, a colon and a value"),
            ("P:a\nVersion: 1\n", "line 2: a line is a letter"),
            ("V:1\n", "line 1: the package that begins here has no name (P:)"),
            ("P:a\n\n\nV:1\n", "line 4: the package that begins here has no name (P:)"),
            ("P:a\nR:x\n", "line 2: a file (R:) stands below its directory (F:)"),
        ] {
            let found = error(&Source::Apk, &[("lib/apk/db/installed", text)]);
            assert!(found.starts_with(&format!("\"/lib/apk/db/installed\": {message}")), "{found}");
        }
    }

    #[test]
    fn a_list_that_ends_anywhere_is_read_or_refused() {
        for end in 0..INSTALLED.len() {
            let _ = Packages::read(&Source::Apk, &tree("", &[("lib/apk/db/installed", &INSTALLED[..end])]));
        }
    }
}
