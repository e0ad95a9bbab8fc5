//! Holds the code to the order in which its modules may use one another, and the core to the crates it may stand on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The order, lowest first. A module uses only those in front of it.
const ORDER: [&str; 21] = [
    "error",
    "epoch",
    "digest",
    "kernel",
    "spec",
    "progress",
    "parallel",
    "compress",
    "decompress",
    "untar",
    "rootfs",
    "package",
    "layout",
    "layer",
    "image",
    "validate",
    "inspect",
    "unpacked",
    "explain",
    "difference",
    "python",
];

fn sources_of(module: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let single = root.join(format!("{module}.rs"));
    if single.exists() {
        return vec![single];
    }
    let mut found = Vec::new();
    let mut pending = vec![root.join(module)];
    while let Some(directory) = pending.pop() {
        for child in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let path = child.unwrap().path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found
}

/// The modules that `text` names behind `crate::`, one by one or in braces.
fn uses(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect::<String>();
    text.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').map(|item| word(item.trim())).collect(),
            None => vec![word(rest)],
        })
        .collect()
}

#[test]
fn each_module_uses_only_those_in_front_of_it() {
    for (position, module) in ORDER.iter().enumerate() {
        for file in sources_of(module) {
            let text = fs::read_to_string(&file).unwrap();
            for used in uses(&text).iter().filter(|used| ORDER.contains(&used.as_str())) {
                let place = ORDER.iter().position(|name| name == used).unwrap();
                assert!(place <= position, "{} uses {used}, which comes after {module}", file.display());
            }
        }
    }
}

#[test]
fn the_order_names_every_module() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let modules: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(modules, ORDER);
}

#[test]
fn the_architecture_page_lists_them_in_this_order() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap();
    let core = page.split("\n## ").find(|section| section.starts_with("The core")).unwrap();
    let listed: Vec<_> = core.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed, ORDER);
}

/// Crates that make system calls of their own, or trust the type that a directory listing gives: under pseudo, which only
/// sees what goes through libc, they report the build user as owner and an empty file in place of a device.
#[test]
fn no_crate_of_the_core_goes_round_libc() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--all-features", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let listed = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("tar"), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    for banned in ["rustix", "linux-raw-sys", "cap-std", "xattr", "walkdir", "jwalk", "ignore"] {
        assert!(!crates.contains(banned), "{banned} is among what the core stands on");
    }
}
