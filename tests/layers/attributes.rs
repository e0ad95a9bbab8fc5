//! Which attributes entries have in which layer, and what a change changes.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::built::{Built, CREATED, build_layers, build_with, rules};
use super::tree::{dpkg, grow, tree};

const TREE: &str = "
    opt/app/bin/app = app
    opt/app/data/empty/
    opt/tool/tool = tool
    srv/www/index = index
    etc/motd = hello";

fn multi() -> Value {
    json!({"mode": "multi", "rules": rules("app:directories:/opt/app tool:directories:/opt/tool srv:directories:/srv")})
}

/// With times of its own for every directory, and rights that are not the usual ones.
fn sample() -> tempfile::TempDir {
    let root = tree(TREE);
    for (path, mode, time) in [
        ("opt/app/bin", 0o711, 1001),
        ("opt/app/data/empty", 0o1777, 1002),
        ("opt/app/data", 0o2755, 1003),
        ("opt/app", 0o750, 1004),
        ("opt/tool", 0o755, 1005),
        ("opt", 0o710, 1006),
        ("srv/www", 0o755, 1007),
        ("srv", 0o555, 1008),
        ("etc", 0o755, 1009),
        ("", 0o705, 1010),
    ] {
        let path = root.path().join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        set_time(&path, time);
    }
    root
}

fn set_time(path: &Path, seconds: u64) {
    File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

/// `PATH MODE TIME` of the directories in a layer.
fn directories(built: &Built, layer: usize) -> String {
    let directories = built.layers[layer].iter().filter(|(_, record)| record.kind.is_dir());
    let shown = directories.map(|(path, record)| format!("{path} {:o} {}", record.mode, record.mtime));
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn directories_have_their_rights_in_every_layer_and_their_time_in_the_last() {
    let root = sample();
    let built = build_layers(root.path(), &multi()).unwrap();
    assert_eq!(built.names(), ["app", "tool", "srv", "rest"]);
    let of_app = "opt/app 750 0, opt/app/bin 711 0, opt/app/data 2755 0, opt/app/data/empty 1777 0";
    assert_eq!(directories(&built, 0), format!(". 705 0, opt 710 0, {of_app}"));
    assert_eq!(directories(&built, 1), ". 705 0, opt 710 0, opt/tool 755 0");
    assert_eq!(directories(&built, 2), ". 705 0, srv 555 0, srv/www 755 0");
    assert_eq!(
        directories(&built, 3),
        ". 705 1010, etc 755 1009, opt 710 1006, opt/app 750 1004, opt/app/bin 711 1001, opt/app/data 2755 1003, \
         opt/app/data/empty 1777 1002, opt/tool 755 1005, srv 555 1008, srv/www 755 1007"
    );
}

#[test]
fn directories_that_are_repeated_are_counted_once() {
    let root = sample();
    let single = build_layers(root.path(), &json!({})).unwrap().result;
    let multi = build_layers(root.path(), &multi()).unwrap().result;
    assert_eq!(multi.counts, single.counts);
    assert_eq!(multi.content_bytes, single.content_bytes);
    let entries: Vec<_> = multi.layers.iter().map(|layer| layer.entries).collect();
    assert_eq!(entries, [7, 4, 4, 11]);
}

#[test]
fn a_changed_file_changes_its_layer_and_a_new_one_the_last_layer_too() {
    let root = sample();
    let changed = |before: &Built, after: &Built| -> Vec<String> {
        let before = before.digests();
        after.digests().into_iter().filter(|(name, digest)| before[name] != *digest).map(|(name, _)| name).collect()
    };
    let first = build_layers(root.path(), &multi()).unwrap();
    fs::write(root.path().join("opt/tool/tool"), "another").unwrap();
    let second = build_layers(root.path(), &multi()).unwrap();
    assert_eq!(changed(&first, &second), ["tool"]);
    grow(root.path(), "srv/www/page = page");
    let third = build_layers(root.path(), &multi()).unwrap();
    assert_eq!(changed(&second, &third), ["rest", "srv"]);
    // The rights of a directory are in each layer that has something in it.
    fs::set_permissions(root.path().join("opt"), fs::Permissions::from_mode(0o700)).unwrap();
    let fourth = build_layers(root.path(), &multi()).unwrap();
    assert_eq!(changed(&third, &fourth), ["app", "rest", "tool"]);
}

#[test]
fn threads_change_no_byte() {
    let root = sample();
    for number in 0..40 {
        let letters = (0..200_000_u32).map(|place| char::from(32 + (place % 1000 * place % 9973 * number % 91) as u8));
        let content: String = letters.collect();
        grow(root.path(), &format!("opt/p{number}/file = {content}"));
    }
    let packages: String =
        (0..40).map(|number| format!("p{number} 1 r{} | | /opt/p{number}/file\n", number / 2)).collect();
    dpkg(root.path(), &packages);
    for algorithm in ["gzip", "zstd", "none"] {
        for layers in [json!({"mode": "auto", "max": 9}), multi()] {
            let of_threads = |threads: u32| {
                let changes = json!({"layers": layers, "threads": threads, "compression": {"algorithm": algorithm}});
                build_with(root.path(), &changes).unwrap().result.manifest.digest
            };
            let one = of_threads(1);
            assert_eq!([of_threads(2), of_threads(4)], [one.clone(), one], "{algorithm}, {layers}");
        }
    }
}

#[test]
fn nothing_is_newer_than_the_image() {
    let root = sample();
    set_time(&root.path().join("srv"), u64::try_from(CREATED).unwrap() + 1);
    let built = build_layers(root.path(), &multi()).unwrap();
    assert_eq!(built.record(3, "srv").unwrap().mtime, u64::try_from(CREATED).unwrap());
    assert_eq!(built.result.created, "2023-11-14T22:13:20Z");
}
