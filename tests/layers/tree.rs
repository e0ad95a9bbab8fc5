//! Root filesystems out of lines of text.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

/// A tree out of lines: `PATH/` is a directory, `PATH = CONTENT` a file, `PATH -> TARGET` a link, `PATH == NAME` one more
/// name of a file. Directories on the way need no line.
pub fn tree(lines: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    grow(root.path(), lines);
    root
}

/// Adds to a tree.
pub fn grow(root: &Path, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let at = |name: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        match line.split_once(' ').map(|(path, rest)| (path, rest.split_once(' ').unwrap_or((rest, "")))) {
            Some((path, ("=", content))) => fs::write(at(path), content).unwrap(),
            Some((path, ("->", target))) => symlink(target, at(path)).unwrap(),
            Some((path, ("==", name))) => fs::hard_link(root.join(name), at(path)).unwrap(),
            None if line.ends_with('/') => fs::create_dir_all(at(line)).unwrap(),
            _ => panic!("{line}"),
        }
    }
}

/// Gives a tree the database of dpkg. A line is `NAME VERSION RECIPE | DEPENDS | PATHS`; as dpkg does, the package lists
/// the directories that lead to its paths too.
pub fn dpkg(root: &Path, lines: &str) {
    let mut status = String::new();
    let info = root.join("var/lib/dpkg/info");
    fs::create_dir_all(&info).unwrap();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [package, depends, paths] = line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap();
        let [name, version, recipe] = package.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let depends = depends.replace(' ', ", ");
        writeln!(status, "Package: {name}\nStatus: install ok installed\nVersion: {version}\nSource: {recipe}")
            .unwrap();
        writeln!(status, "Architecture: all\nDepends: {depends}\n").unwrap();
        let mut listed = BTreeSet::from(["/.".to_owned()]);
        for path in paths.split_whitespace() {
            listed.extend(path.match_indices('/').skip(1).map(|(end, _)| path[..end].to_owned()));
            listed.insert(path.trim_end_matches('/').to_owned());
        }
        let listed: Vec<_> = listed.into_iter().collect();
        fs::write(info.join(format!("{name}.list")), listed.join("\n") + "\n").unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), status).unwrap();
}
