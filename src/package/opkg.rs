//! opkg's database: `/var/lib/opkg` in Yocto's images, `/usr/lib/opkg` in OpenWrt's.

use super::claims::{Claims, Record};
use super::control::{Stanza, stanzas};
use super::tree::Tree;
use crate::error::Result;

const DIRECTORIES: [&str; 2] = ["var/lib/opkg", "usr/lib/opkg"];

/// What opkg's database in `tree` says, or nothing if there is none.
///
/// # Errors
/// [`Error::Packages`](crate::Error::Packages) naming the file and line that can't be understood.
pub fn read(mut tree: Tree<'_>) -> Result<Option<Claims<'_>>> {
    for directory in DIRECTORIES {
        if let Some(status) = tree.read(&format!("{directory}/status"))? {
            let mut claims = Claims::new(tree, true);
            for stanza in stanzas(&status)?.iter() {
                if !stanza.required("Status")?.ends_with(" not-installed") {
                    add(&mut claims, directory, stanza)?;
                }
            }
            return Ok(Some(claims));
        }
    }
    Ok(None)
}

fn add(claims: &mut Claims<'_>, directory: &str, stanza: &Stanza<'_>) -> Result<()> {
    let name = stanza.required("Package")?;
    let recipe = recipe(&mut claims.tree, &format!("{directory}/info/{name}.control"))?;
    let package = claims.package(Record {
        version: stanza.value("Version")?,
        recipe: recipe.unwrap_or_else(|| name.clone()),
        provides: stanza.needs("Provides")?.concat(),
        needs: [stanza.needs("Pre-Depends")?, stanza.needs("Depends")?].concat(),
        name: name.clone(),
        ..Record::default()
    });
    if let Some(list) = claims.tree.read(&format!("{directory}/info/{name}.list"))? {
        for (_, line) in list.lines() {
            // Since opkg 0.4 the file's mode follows, and a link's target.
            let path = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
            claims.claim(package, path, None);
        }
    }
    Ok(())
}

/// The recipe: Yocto writes it into a field `OE`, OpenWrt into `SourceName`, and the list of packages has neither.
fn recipe(tree: &mut Tree<'_>, control: &str) -> Result<Option<String>> {
    let Some(control) = tree.read(control)? else { return Ok(None) };
    for stanza in stanzas(&control)? {
        for field in ["OE", "SourceName"] {
            let recipe = stanza.value(field)?;
            if !recipe.is_empty() {
                return Ok(Some(recipe));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{error, listed, owners, tree};
    use super::super::{Counts, Packages, Source};

    const STATUS: &str = "\
Package: busybox
Version: 1.36.1-r0
Depends: libc6 (>= 2.39), update-alternatives
Provides: virtual-base
Status: install user installed
Architecture: core2-64
Conffiles:
 /etc/busybox.conf 0123456789abcdef
Installed-Time: 1700000000

Package: libc6
Version: 2.39-r0
Provides: rtld(GNU_HASH)
Status: install hold,user installed
Auto-Installed: yes

Package: update-alternatives-opkg
Version: 0.7.0
Provides: update-alternatives
Status: install ok installed

Package: gone
Status: deinstall ok not-installed
";

    #[test]
    fn both_places_and_both_forms_of_a_list_are_read() {
        for directory in ["var/lib/opkg", "usr/lib/opkg"] {
            let file = |name: &str| format!("{directory}/{name}");
            let databases = [
                (file("status"), STATUS),
                (
                    file("info/busybox.list"),
                    "/bin/busybox.nosuid\t0100755\n/bin/sh\t0120777\tbusybox.nosuid\n/bin\t040755\n",
                ),
                (file("info/busybox.control"), "Package: busybox\nVersion: 1.36.1-r0\nOE: busybox-recipe\n"),
                (file("info/libc6.list"), "/lib/libc.so.6\n/lib/gone\n"),
                (file("info/libc6.control"), "Package: libc6\nSource: package/glibc\nSourceName: glibc\n"),
            ];
            let databases: Vec<_> = databases.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            let entries = tree(
                "bin->usr/bin lib->usr/lib usr/bin/busybox.nosuid usr/bin/sh->busybox.nosuid usr/lib/libc.so.6",
                &databases,
            );
            let packages = Packages::read(&Source::Auto, &entries).unwrap();
            assert_eq!(packages.source(), &Source::Opkg);
            let expected = "\
busybox 1.36.1-r0 busybox-recipe: libc6 update-alternatives-opkg
libc6 2.39-r0 glibc:
update-alternatives-opkg 0.7.0 update-alternatives-opkg:
";
            assert_eq!(listed(&packages), expected);
            let expected = "/bin:busybox /usr/bin/busybox.nosuid:busybox /usr/bin/sh:busybox /usr/lib/libc.so.6:libc6";
            assert_eq!(owners(&packages, &entries), expected);
            let counts = Counts { packages: 3, without_files: 1, owned: 4, unowned: 6, claimed_twice: 0, missing: 1 };
            assert_eq!(packages.counts(), counts);
        }
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        let found = error(&Source::Opkg, &[("usr/lib/opkg/status", "\nPackage: a\n")]);
        assert_eq!(found, "\"/usr/lib/opkg/status\": line 2: the package that begins here has no field \"Status\"");
        let status = "Package: a\nStatus: install ok installed\n";
        let found = error(&Source::Opkg, &[("var/lib/opkg/status", status), ("var/lib/opkg/info/a.control", "x")]);
        assert!(found.starts_with("\"/var/lib/opkg/info/a.control\": line 1: a field is written"), "{found}");
    }
}
