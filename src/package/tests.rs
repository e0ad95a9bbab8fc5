use super::sample::{error, listed, owners, tree};
use super::*;

/// Reads a manifest, the source that says nothing but who claims what.
fn read(manifest: &str, entries: &[Entry]) -> Packages {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manifest");
    std::fs::write(&path, manifest).unwrap();
    Packages::read(&Source::Manifest(path), entries).unwrap()
}

#[test]
fn claims_are_followed_through_the_directory_links_of_the_tree() {
    let entries = tree(
        "bin->usr/bin usr/bin/ls lib->/usr/lib usr/lib/x up->../.. loop->loop a->b b->a usr/lib/same->../lib \
         usr/share/far->../../lib/same/same usr/share/abs->/usr/lib gone->nowhere",
        &[],
    );
    for (claim, owned) in [
        ("/bin/ls", "/usr/bin/ls:p"),
        ("/bin", "/bin:p"),
        ("/lib/x", "/usr/lib/x:p"),
        ("/usr/lib/same/same/same/x", "/usr/lib/x:p"),
        ("/usr/share/far/x", "/usr/lib/x:p"),
        ("/usr/share/abs/x", "/usr/lib/x:p"),
        ("/up/up/lib/x", "/usr/lib/x:p"),
        ("/lib/../bin/ls", "/usr/bin/ls:p"),
        ("/./bin/./ls", "/usr/bin/ls:p"),
        ("/../../bin/ls", "/usr/bin/ls:p"),
        ("/lib/same", "/usr/lib/same:p"),
        ("/loop/x", ""),
        ("/a/x", ""),
        ("/gone/x", ""),
        ("/usr/bin/ls/x", ""),
        ("/nowhere", ""),
    ] {
        let packages = read(&format!("{claim} p\n"), &entries);
        assert_eq!(owners(&packages, &entries), owned, "{claim}");
        assert_eq!(packages.counts().missing, u64::from(owned.is_empty()), "{claim}");
    }
}

#[test]
fn what_several_packages_claim_has_one_owner_if_it_is_a_file_and_none_if_it_is_a_directory() {
    let entries = tree("bin->usr/bin usr/bin/ etc/b/ etc/file etc/link->file etc/free", &[]);
    let claims = ["/bin", "/etc", "/etc/file", "/etc/link", "/etc/nowhere"];
    let manifest: String = claims.map(|path| format!("{path} b\n{path} a\n{path} a\n")).concat() + "/etc/b b\n";
    let packages = read(&manifest, &entries);
    assert_eq!(owners(&packages, &entries), "/etc/b:b /etc/file:a /etc/link:a");
    let counts = Counts { packages: 2, without_files: 0, owned: 2, unowned: 2, claimed_twice: 2, missing: 3 };
    assert_eq!(packages.counts(), counts);
}

#[test]
fn a_name_that_stands_twice_is_one_package() {
    let entries = tree("x y", &[("lib/apk/db/installed", "P:a\nV:1\nF:\nR:x\n\nP:a\nV:2\nF:\nR:x\nR:y\n")]);
    let packages = Packages::read(&Source::Apk, &entries).unwrap();
    assert_eq!((listed(&packages).as_str(), packages.counts().claimed_twice), ("a 1 a:\n", 0));
    assert_eq!(owners(&packages, &entries), "/:a /x:a /y:a");
}

#[test]
fn a_package_without_a_file_in_the_tree_is_listed_and_counted() {
    let packages = read("/gone p\n", &tree("", &[]));
    assert_eq!(listed(&packages), "p  p:\n");
    assert_eq!(packages.counts(), Counts { packages: 1, without_files: 1, missing: 1, ..Counts::default() });
}

#[test]
fn a_name_that_is_not_utf8_finds_its_owner() {
    let mut entries = tree("", &[]);
    entries.push(Entry { kind: crate::rootfs::Kind::Fifo, ..Entry::implied_directory(b"caf\xe9".to_vec()) });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manifest");
    std::fs::write(&path, b"/caf\xe9 p\n").unwrap();
    let packages = Packages::read(&Source::Manifest(path), &entries).unwrap();
    assert_eq!(packages.owner(b"caf\xe9").unwrap().name, "p");
}

#[test]
fn a_package_managers_own_files_are_known_where_they_really_are() {
    let packages = Packages::read(&Source::None, &tree("lib->usr/lib var/lib->../data data/dpkg/status", &[])).unwrap();
    for path in ["var/lib/dpkg", "data/dpkg/info/a.list", "usr/lib/apk/db/installed", "lib/apk/db", "var/lib/rpm/x"] {
        assert!(packages.in_database(path.as_bytes()), "{path}");
    }
    for path in ["var/lib", "data/dpkgs", "usr/lib/apk", "etc/apt/sources.list", ""] {
        assert!(!packages.in_database(path.as_bytes()), "{path}");
    }
}

const DPKG: (&str, &str) = ("var/lib/dpkg/status", "Package: debian\nStatus: install ok installed\n");
const OPKG: (&str, &str) = ("var/lib/opkg/status", "Package: yocto\nStatus: install user installed\n");
const APK: (&str, &str) = ("lib/apk/db/installed", "P:alpine\n\nP:busybox\n");

#[test]
fn auto_takes_the_database_with_the_most_packages() {
    for (databases, source, names) in [
        (&[][..], Source::None, ""),
        (&[DPKG], Source::Dpkg, "debian  debian:\n"),
        (&[("var/lib/dpkg/status", ""), OPKG], Source::Opkg, "yocto  yocto:\n"),
        (&[OPKG, DPKG], Source::Dpkg, "debian  debian:\n"),
        (&[OPKG, DPKG, APK], Source::Apk, "alpine  alpine:\nbusybox  busybox:\n"),
        (&[OPKG, ("var/lib/rpm/Packages", "")], Source::Opkg, "yocto  yocto:\n"),
    ] {
        let packages = Packages::read(&Source::Auto, &tree("", databases)).unwrap();
        assert_eq!((packages.source(), listed(&packages).as_str()), (&source, names));
    }
}

#[test]
fn a_database_that_is_not_read_or_not_there_is_an_error() {
    for (source, database, message) in [
        (Source::Auto, "var/lib/rpm/rpmdb.sqlite", "\"/var/lib/rpm\": rpm's database is not read"),
        (Source::Auto, "usr/lib/sysimage/rpm/Packages.db", "\"/usr/lib/sysimage/rpm\": rpm's database is not read"),
        (Source::Dpkg, "etc/x", "\"/\": the root filesystem has no database of dpkg"),
        (Source::Opkg, "etc/x", "\"/\": the root filesystem has no database of opkg"),
        (Source::Apk, "etc/x", "\"/\": the root filesystem has no database of apk"),
        (Source::Auto, "var/lib/dpkg/status/x", "\"/var/lib/dpkg/status\": a package database's file stands here"),
        (
            Source::Pkgdata { directory: "/no/such".into(), installed: None },
            "etc/x",
            "can't list \"/no/such/runtime\": No such file",
        ),
        (Source::Manifest("/no/such".into()), "etc/x", "can't open \"/no/such\": No such file"),
        (Source::Manifest("/".into()), "etc/x", "can't read \"/\": Is a directory"),
    ] {
        let found = error(&source, &[(database, "")]);
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn a_source_is_written_as_it_is_read() {
    for text in ["auto", "dpkg", "opkg", "apk", "none", "pkgdata:/p k", "manifest:a:b"] {
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }
    for text in ["", "rpm", "Auto", "pkgdata", "pkgdata:", "manifest:", "dpkg:/x", "other:/x"] {
        let found = text.parse::<Source>().unwrap_err().to_string();
        let expected =
            "packages: package data comes from auto, dpkg, opkg, apk, none, pkgdata:DIRECTORY or manifest:FILE";
        assert_eq!(found, format!("{expected} (got {text:?})"));
    }
}
