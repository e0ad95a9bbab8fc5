//! The mode `multi`: who claims what, and what is wrong with rules.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use serde_json::{Value, json};

use super::built::{build_layers, message, rules};
use super::tree::{dpkg, grow, tree};

const PACKAGES: &str = "
    libc6 2.36 glibc | | /usr/lib/libc.so
    bash 5.2 bash | libc6 readline | /usr/bin/bash /etc/bash.bashrc
    readline 8.2 readline | libc6 | /usr/lib/readline.so
    acl 2.3 acl | libc6 | /usr/bin/getfacl /usr/share/acl/ /etc/
    empty 1 empty | | ";

const TREE: &str = "
    bin -> usr/bin
    lib -> usr/lib
    usr/bin/bash = bash
    usr/bin/getfacl = getfacl
    usr/lib/libc.so = libc
    usr/lib/readline.so = readline
    usr/lib/own.so = own
    usr/share/acl/
    etc/bash.bashrc = alias
    etc/motd = hello
    srv/www/deep/page = page
    srv/www/index = index
    srv/log/";

fn sample() -> tempfile::TempDir {
    let root = tree(TREE);
    dpkg(root.path(), PACKAGES);
    root
}

fn multi(words: &str) -> Value {
    json!({"mode": "multi", "rules": rules(words)})
}

fn lines(root: &Path, words: &str) -> String {
    build_layers(root, &multi(words)).unwrap().lines()
}

#[test]
fn the_more_exact_claim_wins_and_the_rest_is_last() {
    let root = sample();
    for (words, expected) in [
        (
            "shell:packages:bash",
            "shell: etc/bash.bashrc usr/bin/bash usr/lib/libc.so usr/lib/readline.so\n\
             rest: bin->usr/bin etc/motd lib->usr/lib srv/log/ srv/www/deep/page srv/www/index usr/bin/getfacl \
             usr/lib/own.so usr/share/acl/ dpkg\n",
        ),
        // What a lower layer has already is not in a higher one, whoever names it.
        (
            "acl:packages:acl shell:packages:bash,libc6",
            "acl: usr/bin/getfacl usr/lib/libc.so usr/share/acl/\n\
             shell: etc/bash.bashrc usr/bin/bash usr/lib/readline.so\n\
             rest: bin->usr/bin etc/motd lib->usr/lib srv/log/ srv/www/deep/page srv/www/index usr/lib/own.so dpkg\n",
        ),
        (
            "all:directories:/ www:directories:/srv/www deep:directories:/srv/www/deep/",
            "all: bin->usr/bin etc/bash.bashrc etc/motd lib->usr/lib srv/log/ usr/bin/bash usr/bin/getfacl \
             usr/lib/libc.so usr/lib/own.so usr/lib/readline.so usr/share/acl/ dpkg\n\
             www: srv/www/index\n\
             deep: srv/www/deep/page\n",
        ),
        // The innermost, whichever comes first; and the first of the same.
        (
            "deep:directories:/srv/www/deep srv:directories:/srv,/etc again:directories:/etc,/var",
            "deep: srv/www/deep/page\n\
             srv: etc/bash.bashrc etc/motd srv/log/ srv/www/index\n\
             again: dpkg\n\
             rest: bin->usr/bin lib->usr/lib usr/bin/bash usr/bin/getfacl usr/lib/libc.so usr/lib/own.so \
             usr/lib/readline.so usr/share/acl/\n",
        ),
        (
            "shell:packages:bash usr:directories:/usr,/etc,/var,/srv some:files:/etc/motd,/usr/bin/bash,/lib",
            "usr: etc/bash.bashrc srv/log/ srv/www/deep/page srv/www/index usr/bin/getfacl usr/lib/libc.so \
             usr/lib/own.so usr/lib/readline.so usr/share/acl/ dpkg\n\
             some: etc/motd lib->usr/lib usr/bin/bash\n\
             rest: bin->usr/bin\n",
        ),
        // By a link to a directory, as people write it with a merged /usr.
        (
            "own:files:/lib/own.so,/bin/../bin/getfacl bin:directories:/bin/ var:directories:/var,/srv,/etc",
            "own: usr/bin/getfacl usr/lib/own.so\n\
             bin: usr/bin/bash\n\
             var: etc/bash.bashrc etc/motd srv/log/ srv/www/deep/page srv/www/index dpkg\n\
             rest: bin->usr/bin lib->usr/lib usr/lib/libc.so usr/lib/readline.so usr/share/acl/\n",
        ),
    ] {
        assert_eq!(lines(root.path(), words), expected, "{words}");
    }
}

#[test]
fn a_layer_without_a_file_is_left_out_with_a_note() {
    let root = sample();
    let built = build_layers(root.path(), &multi("acl:packages:acl libc:packages:libc6 none:packages:empty")).unwrap();
    assert_eq!(built.names(), ["acl", "rest"]);
    assert_eq!(
        built.result.notes,
        ["no layer libc: there would be no file in it", "no layer none: there would be no file in it"]
    );
}

#[test]
fn directories_that_are_left_over_are_in_the_last_named_layer() {
    let root = sample();
    grow(root.path(), "mnt/\n proc/\n run/empty/");
    let words = "usr:directories:/usr all:directories:/etc,/srv,/var links:files:/bin,/lib";
    let built = build_layers(root.path(), &multi(words)).unwrap();
    assert_eq!(built.names(), ["usr", "all", "links"]);
    assert!(built.lines().ends_with("links: bin->usr/bin lib->usr/lib mnt/ proc/ run/empty/\n"), "{}", built.lines());
    assert!(built.result.notes.is_empty(), "{:?}", built.result.notes);
    // Also the real times of all directories, as one layer has them.
    built.merged();

    let bare = tree("etc/\n opt/");
    let built = build_layers(bare.path(), &multi("all:directories:/etc other:directories:/opt")).unwrap();
    assert_eq!(built.names(), ["all", "other"]);
}

#[test]
fn what_is_missing_can_be_a_warning() {
    let root = sample();
    let tolerant = |words: &str| {
        let mut layers = multi(words);
        layers["missing"] = json!("warn");
        layers
    };
    let words = "shell:packages:bash,bish www:directories:/opt,/srv/www none:files:/etc/issue dirs:directories:/no";
    let built = build_layers(root.path(), &tolerant(words)).unwrap();
    assert_eq!(built.names(), ["shell", "www", "rest"]);
    assert_eq!(
        built.result.warnings,
        [
            "layer shell: bish: no such package is in the root filesystem: install it, or leave it out here",
            "layer www: /opt: no such path in the root filesystem",
            "layer none: /etc/issue: no such path in the root filesystem",
            "layer dirs: /no: no such path in the root filesystem",
        ]
    );
    // What is there and wrong stays an error, and so does what nobody can know.
    assert!(message(root.path(), &tolerant("a:files:/etc")).contains("its type is `directories`"));
    assert!(message(root.path(), &tolerant("a:host:/no/such:/x")).contains("/no/such"));
    let nothing = tree("etc/motd = hello");
    assert!(message(nothing.path(), &tolerant("a:packages:bash")).contains("no database of packages"));
    let error = message(root.path(), &json!({"mode": "auto", "missing": "warn"}));
    assert!(error.starts_with("layers.missing: "), "{error}");
}

#[test]
fn a_layer_says_what_is_in_it() {
    let root = sample();
    let built = build_layers(root.path(), &multi("shell:packages:bash www:directories:/srv/www,/usr/share")).unwrap();
    let of = |key: &str| -> Vec<&str> {
        let key = format!("io.github.image-oci-rs.layer.{key}");
        let layers = built.manifest["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["annotations"][&key].as_str().unwrap_or("none")).collect()
    };
    assert_eq!(of("name"), ["shell", "www", "rest"]);
    let shell = "bash 5.2, libc6 2.36, readline 8.2";
    assert_eq!(of("packages"), [shell, "none", "acl 2.3"]);
    let why = ["packages bash with what they depend on", "directories /srv/www, /usr/share", "what no rule claims"];
    assert_eq!(of("why"), why);
    let history = built.config["history"].as_array().unwrap().iter();
    assert_eq!(
        history.map(|entry| entry["comment"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        [format!("shell: {}: {shell}", why[0]), format!("www: {}", why[1]), format!("rest: {}: acl 2.3", why[2])]
    );
}

#[test]
fn all_names_of_a_file_are_where_the_first_one_goes() {
    let root = sample();
    let more = "usr/bin/rbash == usr/bin/bash\n etc/a == usr/bin/getfacl\n usr/lib/z == usr/lib/libc.so\n
                usr/bin/a-link == usr/lib/libc.so\n usr/share/acl/own == usr/lib/own.so";
    grow(root.path(), more);
    let built = build_layers(root.path(), &multi("libc:packages:libc6 acl:packages:acl bin:directories:/usr/bin"));
    let built = built.unwrap();
    let expected = "\
        acl: usr/share/acl/\n\
        bin: usr/bin/a-link usr/bin/bash usr/bin/rbash==usr/bin/bash usr/lib/libc.so==usr/bin/a-link \
        usr/lib/z==usr/bin/a-link\n\
        rest: bin->usr/bin etc/a etc/bash.bashrc etc/motd lib->usr/lib srv/log/ srv/www/deep/page srv/www/index \
        usr/bin/getfacl==etc/a usr/lib/own.so usr/lib/readline.so usr/share/acl/own==usr/lib/own.so dpkg\n";
    assert_eq!(built.lines(), expected);
    built.merged();
}

#[test]
fn a_rule_that_fits_nothing_is_named_with_what_would() {
    let root = sample();
    let nothing = tree("etc/motd = hello");
    let rules_of = "layers.rules: ";
    for (root, words, message_of) in [
        (
            &root,
            "a:packages:bish",
            "no such package is in the root filesystem: install it, or leave it out here (got \"bish\")",
        ),
        (&root, "a:packages:bash5", "no such package is in the root filesystem; there is bash (got \"bash5\")"),
        (&root, "a:packages:libc", "no such package is in the root filesystem; there is libc6 (got \"libc\")"),
        (&root, "a:packages:l", "no such package is in the root filesystem; there is acl, libc6, readline (got \"l\")"),
        (
            &nothing,
            "a:packages:bash",
            "the root filesystem has no database of packages, and no source of them was named",
        ),
        (&root, "a:files:/etc/issue", "no such path in the root filesystem (got \"/etc/issue\")"),
        (&root, "a:directories:/opt", "no such path in the root filesystem (got \"/opt\")"),
        (&root, "a:files:/etc", "a directory in the root filesystem; its type is `directories` (got \"/etc\")"),
        (
            &root,
            "a:directories:/etc/motd",
            "not a directory in the root filesystem; the type of single files is `files` (got \"/etc/motd\")",
        ),
        (&root, "a:host:/no/such:/x", "can't read the attributes of \"/no/such\": No such file"),
        (
            &root,
            "a:host:/etc:x",
            "files of the build machine are SOURCE:TARGET, both absolute and TARGET without '..' (got \"/etc:x\")",
        ),
    ] {
        let found = message(root.path(), &multi(words));
        assert!(found.strip_prefix(rules_of).unwrap_or(&found).starts_with(message_of), "{words}: {found}");
    }
    assert!(message(root.path(), &json!({"mode": "multi"})).starts_with(rules_of));
    assert!(message(root.path(), &json!({"rules": rules("a:files:/etc/motd")})).starts_with(rules_of));
}

#[test]
fn what_is_brought_from_the_build_machine_belongs_to_root_and_lies_over_the_root_filesystem() {
    let root = sample();
    let host = tree("pki/ca.pem = ca\n pki/deep/key = key\n pki/link -> ca.pem\n motd = new\n same == motd");
    let at = |name: &str| host.path().join(name);
    // Without being root the owner is somebody already.
    let _ = chown(at("pki/deep/key"), Some(1234), Some(1234));
    fs::set_permissions(at("pki/deep/key"), fs::Permissions::from_mode(0o4640)).unwrap();
    fs::set_permissions(at("pki"), fs::Permissions::from_mode(0o2750)).unwrap();
    let from = host.path().display();
    let words = format!("shell:packages:bash host:host:{from}/pki:/etc/pki,{from}/motd:/etc/motd etc:directories:/etc");
    let built = build_layers(root.path(), &multi(&words)).unwrap();
    let lines = built.lines();
    assert!(lines.contains("\nhost: etc/motd etc/pki/ca.pem etc/pki/deep/key etc/pki/link->ca.pem\n"), "{lines}");
    assert!(lines.contains("\netc: etc/bash.bashrc\n"), "{lines}");
    let shown = |path: &str| {
        let record = built.record(1, path).unwrap();
        (record.mode, record.owner, record.content.as_str())
    };
    assert_eq!(shown("etc/pki"), (0o2750, (0, 0), ""));
    assert_eq!(shown("etc/pki/deep/key"), (0o4640, (0, 0), "key"));
    assert_eq!(shown("etc/motd").2, "new");
    built.merged();
}

#[test]
fn what_is_brought_goes_into_a_target_with_a_slash() {
    let root = sample();
    let host = tree("ca.pem = ca\n a:b.pem = colon\n pki/key = key");
    let from = host.path().display();
    let words = format!(
        "host:host:{from}/ca.pem:/etc/ssl/certs/,{from}/a:b.pem:/etc/ssl/certs/,{from}/pki:/etc/,{from}/pki:/srv/www/,\
         {from}/pki:/srv/log,{from}/ca.pem:/"
    );
    let built = build_layers(root.path(), &multi(&words)).unwrap();
    let brought = "host: ca.pem etc/pki/key etc/ssl/certs/a:b.pem etc/ssl/certs/ca.pem srv/log/key srv/www/pki/key\n";
    assert!(built.lines().starts_with(brought), "{}", built.lines());
    built.merged();
}
