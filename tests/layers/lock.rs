//! The lock file: when it is written, and what it decides.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_oci_rs::Error;
use image_oci_rs::image::{ImageSpec, build};
use image_oci_rs::progress::Progress;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::built::{build_layers, build_with, message};
use super::tree::{dpkg, grow, tree};

const PACKAGES: &str = "
    acl 2.3 acl | | /usr/bin/getfacl
    bash 5.2 bash | | /usr/bin/bash
    zlib 1.2 zlib | | /usr/lib/libz.so";

fn sample() -> (TempDir, TempDir) {
    let root = tree("usr/bin/getfacl = getfacl\n usr/bin/bash = bash, the largest of all\n usr/lib/libz.so = z");
    dpkg(root.path(), PACKAGES);
    (root, tempfile::tempdir().unwrap())
}

fn locked(lock: &Path) -> Value {
    json!({"mode": "auto", "max": 5, "lock": lock})
}

/// The lines of a lock file that say something.
fn lock_lines(lock: &Path) -> Vec<String> {
    let text = fs::read_to_string(lock).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn names_in(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|child| child.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn it_is_written_once_and_then_only_for_something_new() {
    let (root, out) = sample();
    let lock = out.path().join("layers.lock");
    let first = build_layers(root.path(), &locked(&lock)).unwrap();
    assert_eq!(first.result.lock.as_ref(), Some(&lock));
    assert_eq!(lock_lines(&lock), ["acl acl 2.3 0", "bash bash 5.2 0", "zlib zlib 1.2 0"]);
    assert_eq!(names_in(out.path()), ["layers.lock"]);
    let identity = || fs::metadata(&lock).map(|found| (found.ino(), found.mtime_nsec())).unwrap();
    let before = identity();
    let again = build_layers(root.path(), &locked(&lock)).unwrap();
    assert_eq!((again.result.lock, identity()), (None, before));
    assert_eq!(names_in(out.path()), ["layers.lock"]);
    // A new version, and a new recipe for which there is no layer left: it joins the cheapest one.
    dpkg(root.path(), &(PACKAGES.replace("5.2", "5.3") + "\n new 1 new | | /srv/new"));
    grow(root.path(), "srv/new = new");
    let extended = build_layers(root.path(), &locked(&lock)).unwrap();
    assert_eq!(extended.result.lock.as_ref(), Some(&lock));
    let joined = lock_lines(&lock);
    assert_eq!(joined, ["acl acl 2.3 0", "bash bash 5.3 1", "new zlib 1 0", "zlib zlib 1.2 0"]);
    assert_eq!(extended.names(), ["acl", "bash", "zlib", "database"]);
}

#[test]
fn what_people_wrote_decides_and_stays() {
    let (root, out) = sample();
    let lock = out.path().join("layers.lock");
    fs::write(&lock, "zlib together 1.2 0\nacl together 2.3 7\ngone alone - 3\n").unwrap();
    let built = build_layers(root.path(), &locked(&lock)).unwrap();
    let expected = "bash: usr/bin/bash\ntogether: usr/bin/getfacl usr/lib/libz.so\ndatabase: dpkg\n";
    assert_eq!(built.lines(), expected);
    let annotations = &built.manifest["layers"][1]["annotations"];
    assert_eq!(annotations["io.github.image-oci-rs.layer.why"], "2 recipes that share a layer");
    let lines = ["acl together 2.3 7", "bash bash 5.2 0", "gone alone - 3", "zlib together 1.2 0"];
    assert_eq!(lock_lines(&lock), lines);
}

#[test]
fn recipes_may_be_put_with_what_has_none() {
    let (root, out) = sample();
    let lock = out.path().join("layers.lock");
    fs::write(&lock, "zlib rest 1.2 0\nacl database 2.3 7\n").unwrap();
    let built = build_layers(root.path(), &json!({"mode": "auto", "max": 3, "lock": lock})).unwrap();
    assert_eq!(built.lines(), "bash: usr/bin/bash\nrest: usr/lib/libz.so\ndatabase: usr/bin/getfacl dpkg\n");
    fs::write(&lock, "zlib rest 1.2 0\nacl database 2.3 7\n").unwrap();
    let built = build_layers(root.path(), &json!({"mode": "auto", "max": 2, "lock": lock})).unwrap();
    assert_eq!(built.lines(), "rest: usr/bin/bash usr/lib/libz.so\ndatabase: usr/bin/getfacl dpkg\n");
    fs::remove_file(&lock).unwrap();
    let built = build_layers(root.path(), &json!({"mode": "auto", "max": 2, "lock": lock})).unwrap();
    assert_eq!((built.result.lock.as_ref(), names_in(out.path()).len()), (None, 0));
}

#[test]
fn without_one_the_next_build_does_not_know_of_this_one() {
    let (root, out) = sample();
    assert_eq!(build_layers(root.path(), &json!({"mode": "auto"})).unwrap().result.lock, None);
    assert!(names_in(out.path()).is_empty());
}

#[test]
fn what_is_new_goes_where_it_is_wanted() {
    let (root, out) = sample();
    let [lock, new] = ["old.lock", "new.lock"].map(|name| out.path().join(name));
    fs::write(&lock, "acl together 2.3 0\nbash together 5.2 0\n").unwrap();
    let before = fs::read_to_string(&lock).unwrap();
    let to_new = json!({"mode": "auto", "lock": lock, "lock_output": new});
    assert_eq!(build_layers(root.path(), &to_new).unwrap().result.lock.as_ref(), Some(&new));
    assert_eq!(fs::read_to_string(&lock).unwrap(), before);
    let lines = ["acl together 2.3 0", "bash together 5.2 0", "zlib zlib 1.2 0"];
    assert_eq!(lock_lines(&new), lines);
    // Nothing is new any more, so nothing is written.
    fs::rename(&new, &lock).unwrap();
    assert_eq!(build_layers(root.path(), &to_new).unwrap().result.lock, None);
    assert_eq!(names_in(out.path()), ["old.lock"]);
    // The first time there is nothing to read.
    let first = json!({"mode": "auto", "lock_output": new});
    build_layers(root.path(), &first).unwrap();
    assert_eq!(lock_lines(&new), ["acl acl 2.3 0", "bash bash 5.2 0", "zlib zlib 1.2 0"]);
}

/// What a failed build leaves of the lock file, which was `before`, or not there.
fn left_by_a_failure(before: Option<&str>, fail: impl FnOnce(&Path, &Path) -> Error) -> (Option<String>, usize) {
    let (root, out) = sample();
    let lock = out.path().join("layers.lock");
    if let Some(text) = before {
        fs::write(&lock, text).unwrap();
    }
    fail(root.path(), &lock);
    (fs::read_to_string(&lock).ok(), names_in(out.path()).len())
}

#[test]
fn a_build_that_fails_leaves_it_as_it_was() {
    let interrupted = |root: &Path, lock: &Path| {
        let progress = Arc::new(Progress::default());
        progress.interrupt();
        let spec = json!({
            "sources": [{"path": root}], "name": "app", "platform": {"architecture": "amd64"},
            "layers": locked(lock), "output": {"layout": root.join("x.oci")},
        });
        build(&ImageSpec::from_json(&spec.to_string()).unwrap(), &progress).unwrap_err()
    };
    // Late: when all is planned and most is written.
    let broken = |root: &Path, lock: &Path| {
        grow(root, "var/cache/.wh.x = x");
        build_layers(root, &locked(lock)).map(|built| built.lines()).unwrap_err()
    };
    let before = "acl together 2.3 0\n";
    assert_eq!(left_by_a_failure(None, interrupted), (None, 0));
    assert_eq!(left_by_a_failure(None, broken), (None, 0));
    assert_eq!(left_by_a_failure(Some(before), interrupted), (Some(before.to_owned()), 1));
    assert_eq!(left_by_a_failure(Some(before), broken), (Some(before.to_owned()), 1));
}

#[test]
fn what_is_wrong_with_it_is_named() {
    let (root, out) = sample();
    let lock: PathBuf = out.path().join("layers.lock");
    for (text, found) in [
        ("acl acl 2.3\n", "line 1: a line is RECIPE LAYER VERSION CHANGES (got \"acl acl 2.3\")"),
        ("acl a 1 0\nacl b 1 0\n", "line 2: this recipe stands in an earlier line already"),
        ("<<<<<<< ours\n", "line 1: a conflict that git left is not resolved"),
    ] {
        fs::write(&lock, text).unwrap();
        let error = message(root.path(), &locked(&lock));
        assert!(error.starts_with("layers.lock: ") && error.contains(found), "{error}");
        assert!(error.contains(&lock.display().to_string()), "{error}");
    }
    fs::write(&lock, "acl a 2.3 0\nbash b 5.2 0\nzlib c 1.2 0\n").unwrap();
    for max in 2..=4 {
        let error = message(root.path(), &json!({"mode": "auto", "max": max, "lock": lock}));
        let reason = "the lock file has the recipes in 3 layers, and there are 2 more: rest and database";
        assert_eq!(error, format!("layers.max: {reason} (got \"{max}\")"));
    }
    let not_auto = json!({"mode": "single", "lock": lock});
    assert!(message(root.path(), &not_auto).starts_with("layers.lock: "));
}

/// Whatever a file or package is called, its line is read again.
#[test]
fn a_second_build_reads_what_the_first_one_wrote() {
    let names = [
        "srv/plain",
        "#beginning",
        "srv/\u{3000}wide",
        "srv/vertical\u{b}tab",
        "<<<<<<<",
        "=======x",
        "srv/next\u{85}",
    ];
    for name in names {
        let (root, out) = sample();
        let lock = out.path().join("layers.lock");
        fs::create_dir_all(root.path().join("srv")).unwrap();
        fs::write(root.path().join(name), vec![b'x'; 1 << 20]).unwrap();
        let names = ["a name", "#beginning-of-package", "=======", "wide\u{3000}name", "rest", "database"];
        let packages: String = names.map(|package| format!("/usr/lib/{}\t{package}\n", package.len())).concat();
        names.iter().for_each(|name| grow(root.path(), &format!("usr/lib/{} = {name}", name.len())));
        let manifest = out.path().join("manifest");
        fs::write(&manifest, packages).unwrap();
        let layers = json!({"mode": "auto", "lock": lock, "packages": format!("manifest:{}", manifest.display())});
        let first = build_with(root.path(), &json!({"layers": layers})).unwrap();
        let text = fs::read_to_string(&lock).unwrap();
        let second =
            build_with(root.path(), &json!({"layers": layers})).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(second.result.manifest.digest, first.result.manifest.digest, "{name:?}");
        assert_eq!((second.result.lock, fs::read_to_string(&lock).unwrap()), (None, text), "{name:?}");
    }
}
