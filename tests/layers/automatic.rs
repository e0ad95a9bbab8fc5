//! The mode `auto`: recipes, the rest and databases.

use std::fs;

use serde_json::{Value, json};

use super::built::build_layers;
use super::tree::{dpkg, grow, tree};

const PACKAGES: &str = "
    libc6 2.36 glibc | | /usr/lib/libc.so
    libc-bin 2.36 glibc | libc6 | /usr/bin/ldd /etc/ld.so.conf
    bash 5.2 bash | libc6 | /usr/bin/bash /etc/bash/bashrc
    python 3.11 python | libc6 | /usr/lib/python/os.py /var/lib/python/state
    debhelper 1 debhelper | bash | /usr/share/debhelper/";

const TREE: &str = "
    usr/bin/bash = bash
    usr/bin/ldd = ldd
    usr/bin/own = own
    usr/lib/libc.so = libc
    usr/lib/python/os.py = os
    usr/lib/python/__pycache__/os.cpython-311.pyc = compiled
    usr/share/debhelper/
    etc/ld.so.conf = conf
    etc/bash/bashrc = alias
    etc/bash/own = own
    etc/motd = hello
    var/cache/ldconfig/aux-cache = cache
    var/cache/empty/
    var/lib/python/state = state
    var/lib/python/own = own
    srv/index = index";

fn sample() -> tempfile::TempDir {
    let root = tree(TREE);
    dpkg(root.path(), PACKAGES);
    root
}

fn auto(max: usize) -> Value {
    json!({"mode": "auto", "max": max})
}

#[test]
fn each_recipe_has_a_layer_while_there_is_one_left() {
    let root = sample();
    let built = build_layers(root.path(), &auto(64)).unwrap();
    let expected = "\
        bash: etc/bash/bashrc etc/bash/own usr/bin/bash\n\
        glibc: etc/ld.so.conf usr/bin/ldd usr/lib/libc.so\n\
        python: usr/lib/python/__pycache__/os.cpython-311.pyc usr/lib/python/os.py var/lib/python/state\n\
        rest: etc/motd srv/index usr/bin/own usr/share/debhelper/ var/lib/python/own\n\
        database: var/cache/empty/ var/cache/ldconfig/aux-cache dpkg\n";
    assert_eq!(built.lines(), expected);
    let layers = built.manifest["layers"].as_array().unwrap().iter();
    let of = |key: &str, layer: &Value| {
        let key = format!("io.github.image-oci-rs.layer.{key}");
        layer["annotations"][&key].as_str().unwrap_or("none").to_owned()
    };
    let said: Vec<_> = layers.map(|layer| [of("packages", layer), of("why", layer)].join("; ")).collect();
    assert_eq!(
        said,
        [
            "bash 5.2; recipe bash",
            "libc-bin 2.36, libc6 2.36; recipe glibc",
            "python 3.11; recipe python",
            "none; what no package owns",
            "none; databases and caches, which change with every update",
        ]
    );
    assert_eq!(built.result.packages.unwrap().counts.packages, 5);
}

#[test]
fn there_are_never_more_layers_than_allowed() {
    let root = sample();
    for (max, count) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (6, 5)] {
        let built = build_layers(root.path(), &auto(max)).unwrap();
        assert_eq!(built.layers.len(), count, "{max}: {:?}", built.names());
        assert_eq!(built.names().last(), Some(&"database"));
        built.merged();
    }
}

#[test]
fn without_packages_there_is_the_rest_alone() {
    let root = tree("etc/motd = hello");
    let built = build_layers(root.path(), &auto(64)).unwrap();
    assert_eq!(built.lines(), "rest: etc/motd\ndatabase:\n");
    let claimed = json!({"mode": "auto", "packages": "dpkg"});
    let error = build_layers(root.path(), &claimed).map(|built| built.lines()).unwrap_err().to_string();
    assert!(error.contains("no database of dpkg"), "{error}");
}

#[test]
fn a_large_file_of_nobody_is_like_a_recipe_of_its_own() {
    let root = sample();
    for (path, size) in [("srv/model", 1 << 20), ("srv/small", (1 << 20) - 1), ("srv/with space", 1 << 20)] {
        fs::write(root.path().join(path), vec![b'x'; size]).unwrap();
    }
    grow(root.path(), "srv/another-name == srv/model");
    let lines = build_layers(root.path(), &auto(64)).unwrap().lines();
    assert!(lines.contains("\nsrv/another-name: srv/another-name srv/model==srv/another-name\n"), "{lines}");
    assert!(lines.contains("\nsrv/with space: srv/with space\n"), "{lines}");
    assert!(lines.contains("\nrest: etc/motd srv/index srv/small usr/bin/own "), "{lines}");
}

#[test]
fn a_new_version_changes_its_layer_and_the_last() {
    let root = sample();
    let before = build_layers(root.path(), &auto(64)).unwrap().digests();
    dpkg(root.path(), &PACKAGES.replace("5.2", "5.3"));
    fs::write(root.path().join("usr/bin/bash"), "newer bash").unwrap();
    let after = build_layers(root.path(), &auto(64)).unwrap().digests();
    let changed: Vec<_> =
        after.iter().filter(|(name, digest)| before[*name] != **digest).map(|(name, _)| name).collect();
    assert_eq!(changed, ["bash", "database"]);
}

#[test]
fn a_recipe_may_be_called_like_the_layers_of_what_has_none() {
    let root = tree("usr/a = a\n usr/b = b\n usr/c = c\n srv/own = own");
    let packages = "a 1 rest | | /usr/a\n b 1 database | | /usr/b\n c 1 shared/1 | | /usr/c";
    dpkg(root.path(), packages);
    let built = build_layers(root.path(), &auto(64)).unwrap();
    assert_eq!(built.lines(), "shared/1: usr/c\nrest: srv/own usr/a\ndatabase: usr/b dpkg\n");
}
