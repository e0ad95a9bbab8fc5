//! Where package managers keep their own books.

use super::tree::Tree;

/// Directories and files that change with every update, whatever is updated.
const PLACES: [&str; 17] = [
    "etc/apk/world",
    "lib/apk/db",
    "usr/lib/apk/db",
    "usr/lib/opkg",
    "usr/lib/sysimage/rpm",
    "usr/share/rpm",
    "var/cache/apk",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/opkg",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/opkg",
    "var/lib/rpm",
    "var/log/alternatives.log",
    "var/log/apt",
    "var/log/dpkg.log",
];

/// Where rpm's database is, and what it is called.
const RPM: [&str; 3] = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];
const RPM_FILES: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];

/// rpm's database in `tree`, if it has one.
pub fn of_rpm(tree: &Tree<'_>) -> Option<String> {
    let directory = RPM
        .into_iter()
        .find(|directory| tree.children(directory).iter().any(|name| RPM_FILES.contains(&name.as_str())))?;
    Some(format!("/{directory}"))
}

/// The places where they really are in `tree`, and as they are called.
pub fn real_paths(tree: &Tree<'_>) -> Vec<Vec<u8>> {
    let real = PLACES.iter().filter_map(|place| tree.directory(place.as_bytes()));
    real.chain(PLACES.iter().map(|place| place.as_bytes().to_vec())).collect()
}

/// Whether `path` is one of `places` or below one.
pub fn is_in(places: &[Vec<u8>], path: &[u8]) -> bool {
    places.iter().any(|place| path.strip_prefix(place.as_slice()).is_some_and(|rest| matches!(rest, [] | [b'/', ..])))
}
