//! However a root filesystem is split: all layers together are the single layer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tar::EntryType;

use super::built::{build_layers, rules};
use super::tree::{dpkg, tree};

/// Numbers that are the same in every run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What the tree has, by kind.
#[derive(Default)]
struct Paths {
    directories: Vec<String>,
    files: Vec<String>,
    all: Vec<String>,
}

/// A tree of files, links, further names and directories, its lines and its paths.
fn random_tree(numbers: &mut Numbers) -> (String, Paths) {
    let mut paths = Paths { directories: vec!["d".to_owned()], ..Paths::default() };
    let mut lines = "d/\n".to_owned();
    for number in 0..20 + numbers.below(40) {
        let inside = numbers.one(&paths.directories).clone();
        let path = format!("{inside}/{}{number}", numbers.one(&["a", "a-", "b", "Z"]));
        match numbers.below(8) {
            0 | 1 => {
                writeln!(lines, "{path}/").unwrap();
                paths.directories.push(path.clone());
            }
            2 => writeln!(lines, "{path} -> {}", numbers.one(&["a", "../b", "/d"])).unwrap(),
            3 | 4 if !paths.files.is_empty() => writeln!(lines, "{path} == {}", numbers.one(&paths.files)).unwrap(),
            _ => {
                writeln!(lines, "{path} = {}", "x".repeat(numbers.below(900))).unwrap();
                paths.files.push(path.clone());
            }
        }
        paths.all.push(path);
    }
    (lines, paths)
}

/// A few packages that claim some paths, some of them twice; they need one another.
fn random_packages(numbers: &mut Numbers, paths: &Paths) -> String {
    let names = ["p0", "p1", "p2", "p3", "p4"];
    let mut lines = String::new();
    for name in names {
        let needs = (0..numbers.below(3)).map(|_| *numbers.one(&names)).collect::<Vec<_>>().join(" ");
        let claims: Vec<_> = (0..numbers.below(9)).map(|_| format!("/{}", numbers.one(&paths.all))).collect();
        writeln!(lines, "{name} {} r{} | {needs} | {}", numbers.below(3), numbers.below(3), claims.join(" ")).unwrap();
    }
    lines
}

fn random_rules(numbers: &mut Numbers, paths: &Paths, host: &Path) -> Value {
    let mut words = String::new();
    for number in 0..1 + numbers.below(5) {
        let content = |numbers: &mut Numbers, of: &[String]| {
            (0..1 + numbers.below(3)).map(|_| format!("/{}", numbers.one(of))).collect::<Vec<_>>().join(",")
        };
        let packages = format!("p{},p{}", numbers.below(5), numbers.below(5));
        let rule = match numbers.below(5) {
            0 | 1 => format!("packages:{packages}"),
            2 => format!("directories:{}", content(numbers, &paths.directories)),
            3 if !paths.files.is_empty() => format!("files:{}", content(numbers, &paths.files)),
            _ => format!("host:{}:/d/brought{}", host.display(), numbers.below(2)),
        };
        write!(words, "layer{number}:{rule} ").unwrap();
    }
    rules(&words)
}

#[test]
fn all_layers_together_are_the_single_layer() {
    let host = tree("x = x\n y/z == x\n w ->  x");
    for seed in 1..=25_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (lines, paths) = random_tree(&mut numbers);
        let root = tree(&lines);
        let packages = random_packages(&mut numbers, &paths);
        dpkg(root.path(), &packages);
        let rules = random_rules(&mut numbers, &paths, host.path());
        let multi = json!({"mode": "multi", "rules": rules});
        let auto = json!({"mode": "auto", "max": 1 + numbers.below(7)});
        let single = build_layers(root.path(), &json!({})).unwrap();
        let said = format!("seed {seed}\n{lines}{packages}{multi}\n{auto}");
        for split in [multi, auto] {
            let built = build_layers(root.path(), &split).unwrap_or_else(|error| panic!("{said}\n{error}"));
            let mut merged = built.merged();
            // What was brought is not in the root filesystem.
            merged.retain(|path, _| !path.contains("/brought"));
            assert_eq!(merged, single.merged(), "{said}");
            let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
            for (path, record) in built.layers.iter().flatten() {
                *holders.entry(path).or_default() += usize::from(record.kind != EntryType::Directory);
            }
            assert!(holders.values().all(|count| *count <= 1), "{said}");
            let named: u64 = built.result.layers.iter().map(|layer| layer.entries).sum();
            assert_eq!(named, built.layers.iter().map(|layer| layer.len() as u64).sum::<u64>(), "{said}");
        }
    }
}

/// A file with many names, each of them claimed by another package and another rule.
#[test]
fn a_file_of_many_names_is_one_file() {
    let names: Vec<_> = (1..40).map(|number| format!("n{:02}/name", (number * 17) % 40)).collect();
    let lines: String =
        names.iter().fold("n00/name = content\n".to_owned(), |lines, name| lines + name + " == n00/name\n");
    let root = tree(&lines);
    let packages: String = (0..40).map(|number| format!("p{number} 1 r{number} | | /n{number:02}/name\n")).collect();
    dpkg(root.path(), &packages);
    let words: String = (0..40).rev().map(|number| format!("l{number}:packages:p{number} ")).collect();
    for split in [json!({"mode": "multi", "rules": rules(&words)}), json!({"mode": "auto"})] {
        let built = build_layers(root.path(), &split).unwrap();
        assert_eq!(built.merged(), build_layers(root.path(), &json!({})).unwrap().merged());
        assert_eq!(built.result.counts.hard_links, 39);
        let holders = built.layers.iter().filter(|layer| layer.iter().any(|(path, _)| path.ends_with("/name")));
        assert_eq!(holders.count(), 1);
    }
}
