//! dpkg's database: `/var/lib/dpkg`.
//!
//! Source: deb-control(5), dpkg(1), dpkg-query(1), dpkg-divert(1). Images without a package manager, as those of the
//! distroless project, have a file for each package in `status.d` instead of `status`.

use std::collections::BTreeMap;

use super::claims::{Claims, Record};
use super::control::{Stanza, stanzas};
use super::tree::Tree;
use crate::error::Result;

const DIRECTORY: &str = "var/lib/dpkg";
const CHECKSUMS: &str = ".md5sums";

/// What dpkg's database in `tree` says, or nothing if there is none.
///
/// # Errors
/// [`Error::Packages`](crate::Error::Packages) naming the file and line that can't be understood.
pub fn read(mut tree: Tree<'_>) -> Result<Option<Claims<'_>>> {
    let status = tree.read(&format!("{DIRECTORY}/status"))?;
    let separate = tree.children(&format!("{DIRECTORY}/status.d"));
    if status.is_none() && separate.is_empty() {
        return Ok(None);
    }
    let diversions = Diversions::read(&mut tree)?;
    let mut claims = Claims::new(tree, true);
    if let Some(status) = status {
        let stanzas = stanzas(&status)?;
        let native = native_architecture(&stanzas)?;
        for stanza in &stanzas {
            add(&mut claims, stanza, &native, &diversions)?;
        }
    }
    for file in separate.iter().filter(|file| !file.ends_with(CHECKSUMS)) {
        add_separate(&mut claims, &format!("{DIRECTORY}/status.d/{file}"))?;
    }
    Ok(Some(claims))
}

/// Adds a package of the list of all packages, if it is installed.
fn add(claims: &mut Claims<'_>, stanza: &Stanza<'_>, native: &str, diversions: &Diversions) -> Result<()> {
    let (status, name) = (stanza.required("Status")?, stanza.required("Package")?);
    if status.ends_with(" not-installed") {
        return Ok(());
    }
    let mut record = record(stanza, native)?;
    if status.ends_with(" config-files") {
        record = Record { needs: Vec::new(), is_removed: true, ..record };
    }
    let package = claims.package(record);
    // The list of a package that may be there for several architectures has the architecture in its name.
    for list in [format!("{name}:{}.list", stanza.value("Architecture")?), format!("{name}.list")] {
        if let Some(list) = claims.tree.read(&format!("{DIRECTORY}/info/{list}"))? {
            list.lines().for_each(|(_, path)| claims.claim(package, diversions.real(&name, path), None));
            break;
        }
    }
    Ok(())
}

/// Adds a package that has a file of its own. Beside it are the checksums of its files, the only list of them.
fn add_separate(claims: &mut Claims<'_>, file: &str) -> Result<()> {
    let Some(status) = claims.tree.read(file)? else { return Ok(()) };
    for stanza in &stanzas(&status)? {
        let package = claims.package(record(stanza, "")?);
        let Some(checksums) = claims.tree.read(&format!("{file}{CHECKSUMS}"))? else { continue };
        for (number, line) in checksums.lines().filter(|(_, line)| !line.is_empty()) {
            let space = line.iter().position(|byte| *byte == b' ');
            let space = space.ok_or_else(|| checksums.error(number, "a line is a checksum, two spaces and a path"))?;
            claims.claim(package, line[space..].trim_ascii_start(), None);
        }
    }
    Ok(())
}

/// The architecture of dpkg itself: packages of others have it in their names.
fn native_architecture(stanzas: &[Stanza<'_>]) -> Result<String> {
    for stanza in stanzas {
        if stanza.value("Package")? == "dpkg" {
            return stanza.value("Architecture");
        }
    }
    Ok(String::new())
}

fn record(stanza: &Stanza<'_>, native: &str) -> Result<Record> {
    let (name, architecture) = (stanza.required("Package")?, stanza.value("Architecture")?);
    let source = stanza.value("Source")?;
    let recipe = source.split_whitespace().next().unwrap_or(&name).to_owned();
    let mut needs = stanza.needs("Pre-Depends")?;
    needs.extend(stanza.needs("Depends")?);
    let mut provides = stanza.needs("Provides")?.concat();
    let full_name = format!("{name}:{architecture}");
    let is_foreign = !native.is_empty() && architecture != native && architecture != "all";
    if is_foreign {
        // It needs what is of its own architecture, if that is there.
        let own = |name: &String| [format!("{name}:{architecture}"), name.clone()];
        needs = needs.iter().map(|need| need.iter().flat_map(own).collect()).collect();
        provides = provides.iter().map(|name| format!("{name}:{architecture}")).collect();
    }
    let (name, aliases) = if is_foreign { (full_name, Vec::new()) } else { (name, vec![full_name]) };
    Ok(Record { name, version: stanza.value("Version")?, recipe, aliases, provides, needs, is_removed: false })
}

/// Paths from which a package has moved other packages' files away, to make room for its own.
#[derive(Default)]
struct Diversions(BTreeMap<Vec<u8>, Diversion>);

struct Diversion {
    /// Where others' files are.
    elsewhere: Vec<u8>,
    /// The package whose files stay; `:` if the administrator has made it.
    package: Vec<u8>,
}

impl Diversions {
    /// The file has three lines for each diversion: the path, where it goes, and the package.
    fn read(tree: &mut Tree<'_>) -> Result<Self> {
        let mut diversions = Self::default();
        let Some(text) = tree.read(&format!("{DIRECTORY}/diversions"))? else { return Ok(diversions) };
        for lines in text.lines().collect::<Vec<_>>().chunks(3) {
            let [(_, path), (_, elsewhere), (_, package)] = lines else {
                return Err(
                    text.error(lines[0].0, "a diversion has three lines, and the last one begins here and has fewer")
                );
            };
            let diversion = Diversion { elsewhere: elsewhere.to_vec(), package: package.to_vec() };
            diversions.0.insert(path.to_vec(), diversion);
        }
        Ok(diversions)
    }

    /// Where the file is that `package` calls `path`.
    fn real<'a>(&'a self, package: &str, path: &'a [u8]) -> &'a [u8] {
        match self.0.get(path) {
            Some(diversion) if diversion.package != package.as_bytes() => &diversion.elsewhere,
            _ => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{error, listed, owners, tree};
    use super::super::{Counts, Packages, Source};

    const STATUS: &str = "\
Package: dpkg
Status: install ok installed
Architecture: amd64
Pre-Depends: virtual:any
Version: 1.21

Package: a
Status: install ok installed
Architecture: amd64
Source: source-of-a (1.0)
Version: 1:1.0-2
Depends: b (>= 1), nobody | virtual:any | both, a
Pre-Depends: both:i386
Description: first line
 Depends: this is no field
 .
Conffiles:
 /etc/a 00000000000000000000000000000000

Package: b
Status: install ok installed
Architecture: all
Depends: old | other
Version: 2

Package: both
Status: hold ok half-configured
Architecture: amd64
Version: 3

Package: both
Status: install ok installed
Architecture: i386
Depends: provider, b
Version: 3

Package: provider-of-i386
Status: install ok installed
Architecture: i386
Provides: provider

Package: provider
Status: deinstall ok not-installed
Architecture: amd64

Package: provider-of-others
status: install ok unpacked
Architecture: amd64
Provides: other, virtual (= 3), provider

Package: old
Status: deinstall ok config-files
Architecture: amd64
Depends: a
Provides: virtual
Version: 4
";

    #[test]
    fn the_list_of_packages_tells_versions_sources_and_needs() {
        let entries =
            tree("etc/old", &[("var/lib/dpkg/status", STATUS), ("var/lib/dpkg/info/old.list", "/etc/old\n/etc\n")]);
        let packages = Packages::read(&Source::Dpkg, &entries).unwrap();
        let expected = "\
a 1:1.0-2 source-of-a: b both both:i386
b 2 b: provider-of-others
both 3 both:
both:i386 3 both: b provider-of-i386:i386
dpkg 1.21 dpkg: provider-of-others
old 4 old:
provider-of-i386:i386  provider-of-i386:
provider-of-others  provider-of-others:
";
        assert_eq!(listed(&packages), expected);
        for (name, found) in [("a:amd64", Some("a")), ("both:i386", Some("both:i386")), ("provider", None)] {
            assert_eq!(packages.get(name).map(|package| package.name.as_str()), found);
        }
    }

    #[test]
    fn a_list_of_files_is_found_by_name_and_architecture_and_follows_diversions() {
        let entries = tree(
            "bin->usr/bin usr/bin/a usr/bin/c.real usr/bin/c usr/bin/local.distrib usr/share/doc/both usr/share/c",
            &[
                ("var/lib/dpkg/status", STATUS),
                ("var/lib/dpkg/info/a.list", "/.\n/bin\n/bin/a\n/bin/c\n/usr\n/usr/bin\n/usr/bin/local\n/usr/share\n"),
                ("var/lib/dpkg/info/b.list", "/.\n/bin\n/bin/c\n/usr/share/c\n/usr/share/gone\n/usr/share\n"),
                ("var/lib/dpkg/info/both:i386.list", "/usr/share/doc/both\n/usr\n"),
                ("var/lib/dpkg/info/both:amd64.list", "/usr/share/doc/both\n/usr/share/doc\n"),
                ("var/lib/dpkg/diversions", "/bin/c\n/bin/c.real\nb\n/usr/bin/local\n/usr/bin/local.distrib\n:\n"),
            ],
        );
        let packages = Packages::read(&Source::Dpkg, &entries).unwrap();
        let expected = "/usr/bin:a /usr/bin/a:a /usr/bin/c:b /usr/bin/c.real:a /usr/bin/local.distrib:a /usr/share/c:b \
                        /usr/share/doc:both /usr/share/doc/both:both";
        assert_eq!(owners(&packages, &entries), expected);
        let counts = Counts { packages: 7, without_files: 4, owned: 6, unowned: 7, claimed_twice: 1, missing: 1 };
        assert_eq!(packages.counts(), counts);
    }

    #[test]
    fn an_image_without_dpkg_has_a_file_for_each_package() {
        let entries = tree(
            "usr/bin/a usr/lib/b",
            &[
                ("var/lib/dpkg/status.d/a", "Package: a\nVersion: 1\nArchitecture: amd64\nDepends: libb\n"),
                ("var/lib/dpkg/status.d/a.md5sums", "00000000000000000000000000000000  usr/bin/a\n"),
                ("var/lib/dpkg/status.d/libb", "Package: libb\nVersion: 2\nSource: b\n"),
                ("var/lib/dpkg/status.d/libb.md5sums", "00000000000000000000000000000000  ./usr/lib/b\n"),
            ],
        );
        let packages = Packages::read(&Source::Auto, &entries).unwrap();
        assert_eq!(listed(&packages), "a 1 a: libb\nlibb 2 b:\n");
        assert_eq!(owners(&packages, &entries), "/usr/bin/a:a /usr/lib/b:libb");
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        let fine = "Package: a\nStatus: install ok installed\n\n";
        for (files, message) in [
            (&[("status", "Package a\n")][..], "status\": line 1: a field is written 'Name: value'"),
            (&[("status", "Package: a\n: x\n")], "status\": line 2: a field is written"),
            (&[("status", " Package: a\n")], "status\": line 1: it continues a field, but there is none"),
            (&[("status", "Package: a\n\n\tx\n")], "status\": line 3: it continues a field"),
            (
                &[("status", "Package: a\nVersion: 1\n")],
                "status\": line 1: the package that begins here has no field \"Status\"",
            ),
            (
                &[("status", "\n\nStatus: install ok installed\n")],
                "status\": line 3: the package that begins here has no",
            ),
            (
                &[("status", fine), ("diversions", "/a\n/b\nc\n/d\n")],
                "diversions\": line 4: a diversion has three lines",
            ),
            (&[("status", fine), ("status.d/b", "Version: 1\n")], "status.d/b\": line 1: the package that begins here"),
            (
                &[("status.d/b", "Package: b\n"), ("status.d/b.md5sums", "\nx\n")],
                "status.d/b.md5sums\": line 2: a line is a checksum",
            ),
        ] {
            let files: Vec<_> = files.iter().map(|(name, text)| (format!("var/lib/dpkg/{name}"), *text)).collect();
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            let found = error(&Source::Dpkg, &files);
            assert!(found.starts_with(&format!("\"/var/lib/dpkg/{message}")), "{found}");
        }
    }

    #[test]
    fn a_list_that_ends_anywhere_is_read_or_refused() {
        for end in 0..STATUS.len() {
            let _ = Packages::read(&Source::Dpkg, &tree("", &[("var/lib/dpkg/status", &STATUS[..end])]));
        }
    }
}
