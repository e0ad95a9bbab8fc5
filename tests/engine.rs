//! Builds images from directories and archives, and reads the layers back with a reader that shares no code with the writer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod layer_lines;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use image_oci_rs::Error;
use image_oci_rs::image::{BuildResult, ImageSpec, build};
use image_oci_rs::progress::Progress;
use layer_lines::{layer_lines, tar_archive};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Builds `sources` (path and target) into `x.oci` and gives back what was made.
fn build_sources(directory: &Path, sources: &[(&Path, &str)], changes: &Value) -> Result<BuildResult, Error> {
    let mut spec = json!({
        "sources": sources.iter().map(|(path, target)| json!({"path": path, "target": target})).collect::<Vec<_>>(),
        "name": "app",
        "platform": {"architecture": "amd64"},
        "created": 1_700_000_000,
        "output": {"layout": directory.join("x.oci"), "replace": true},
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    build(&ImageSpec::from_json(&spec.to_string())?, &Arc::new(Progress::default()))
}

fn lines_of(directory: &Path, result: &BuildResult) -> String {
    let digest = result.layers[0].blob.digest.hex();
    layer_lines(&directory.join("x.oci/blobs/sha256").join(digest))
}

fn message(result: Result<BuildResult, Error>) -> String {
    result.map(|result| result.name).unwrap_err().to_string()
}

fn sample_rootfs() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("etc/deep")).unwrap();
    fs::write(at("etc-file"), "between").unwrap();
    fs::write(at("etc/passwd"), "root").unwrap();
    fs::hard_link(at("etc/passwd"), at("a-link")).unwrap();
    symlink("../etc", at("etc/deep/up")).unwrap();
    for (name, mode) in [("", 0o711), ("etc", 0o1750), ("etc/deep", 0o755), ("etc/passwd", 0o644), ("etc-file", 0o4755)]
    {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    root
}

const SAMPLE_LINES: &str = "\
./ dir 711
a-link file 644 root
etc/ dir 1750
etc-file file 4755 between
etc/deep/ dir 755
etc/deep/up symlink 777 -> ../etc
etc/passwd link 644 -> a-link
";

#[test]
fn entries_are_sorted_and_a_hard_link_points_at_the_first_name() {
    let (root, out) = (sample_rootfs(), tempfile::tempdir().unwrap());
    let result = build_sources(out.path(), &[(root.path(), "/")], &json!({})).unwrap();
    assert_eq!(lines_of(out.path(), &result), SAMPLE_LINES);
    assert_eq!(result.counts.hard_links, 1);
    assert_eq!(result.content_bytes, "rootbetween".len() as u64);
}

#[test]
fn threads_and_compression_change_nothing_but_the_compressed_bytes() {
    let (root, out) = (sample_rootfs(), tempfile::tempdir().unwrap());
    let plain = build_sources(out.path(), &[(root.path(), "/")], &json!({})).unwrap().layers[0].diff_id.clone();
    for algorithm in ["gzip", "zstd", "none"] {
        let of_threads = |threads: u64| {
            let changes = json!({"threads": threads, "compression": {"algorithm": algorithm}});
            build_sources(out.path(), &[(root.path(), "/")], &changes).unwrap()
        };
        let (one, seven) = (of_threads(1), of_threads(7));
        assert_eq!(one.manifest.digest, seven.manifest.digest, "{algorithm}");
        assert_eq!(seven.layers[0].diff_id, plain, "{algorithm}");
        assert_eq!(lines_of(out.path(), &seven), SAMPLE_LINES, "{algorithm}");
    }
}

#[test]
fn an_archive_gives_the_layer_of_the_tree_it_was_made_from_however_it_is_compressed() {
    let (root, out) = (sample_rootfs(), tempfile::tempdir().unwrap());
    let tree = build_sources(out.path(), &[(root.path(), "/")], &json!({})).unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    // In an order of its own: the link's target stands behind its directory, and the root comes last.
    for name in ["etc", "etc/deep", "etc/deep/up", "etc-file", "etc/passwd"] {
        builder.append_path_with_name(root.path().join(name), name).unwrap();
    }
    let mut link = tar::Header::new_ustar();
    link.set_metadata(&fs::metadata(root.path().join("etc/passwd")).unwrap());
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    builder.append_link(&mut link, "./a-link", "etc/passwd").unwrap();
    builder.append_path_with_name(root.path(), ".").unwrap();
    let plain = builder.into_inner().unwrap();
    for (name, bytes) in layer_lines::compressed_in_every_way(&plain) {
        let archive = out.path().join(name);
        fs::write(&archive, bytes).unwrap();
        let result = build_sources(out.path(), &[(&archive, "/")], &json!({})).unwrap();
        assert_eq!(lines_of(out.path(), &result), SAMPLE_LINES, "{name}");
        assert_eq!(result.layers[0].diff_id, tree.layers[0].diff_id, "{name}");
    }
}

#[test]
fn several_sources_lie_over_one_another_each_below_its_target() {
    let (root, out) = (sample_rootfs(), tempfile::tempdir().unwrap());
    let archive = out.path().join("over.tar");
    fs::write(&archive, tar_archive("etc-file 600 over\nnew/file 644 content")).unwrap();
    let sources = [(root.path(), "/"), (archive.as_path(), "/"), (archive.as_path(), "/opt/app")];
    let result = build_sources(out.path(), &sources, &json!({})).unwrap();
    let expected = SAMPLE_LINES.replace("etc-file file 4755 between", "etc-file file 600 over")
        + "new/ dir 755\nnew/file file 644 content\n\
           opt/ dir 755\nopt/app/ dir 755\nopt/app/etc-file file 600 over\n\
           opt/app/new/ dir 755\nopt/app/new/file file 644 content\n";
    assert_eq!(lines_of(out.path(), &result), expected);
}

#[test]
fn a_broken_archive_is_refused_and_the_member_is_named() {
    let out = tempfile::tempdir().unwrap();
    let whole = tar_archive("etc/passwd 644 root");
    for (bytes, said) in [
        (tar_archive("../etc/passwd 644 x"), "member \"../etc/passwd\": its name climbs out with '..'"),
        (tar_archive("/etc/passwd 644 x"), "member \"/etc/passwd\": its name is absolute"),
        (tar_archive("a 644 -> nothing"), "member \"a\": it is a hard link to \"nothing\", which is no file before it"),
        (tar_archive("a 644 x\na/b 644 y"), "member \"a/b\": it lies below \"a\", which is no directory"),
        (tar_archive("a 644 SCHILY.acl.access=user::rwx"), "member \"a\": its ACL is stored as text"),
        (tar_archive("a 644 GNU.sparse.major=1"), "member \"a\": it is sparse"),
        (tar_archive("a 644 SCHILY.xattr.user.x=\u{1}y"), ""),
        (whole[..600].to_vec(), "it is no complete tar archive: it ends before its end is marked"),
        (whole[..1024].to_vec(), "it ends before its end is marked"),
        (whole[..300].to_vec(), "it is no complete tar archive"),
        (b"no archive at all".repeat(99), "at byte 0 there is no header"),
        (Vec::new(), "it is no complete tar archive"),
    ] {
        let archive = out.path().join("rootfs.tar");
        fs::write(&archive, bytes).unwrap();
        let result = build_sources(out.path(), &[(&archive, "/")], &json!({}));
        if said.is_empty() {
            assert_eq!(result.unwrap().counts.xattrs, 1);
            fs::remove_dir_all(out.path().join("x.oci")).unwrap();
            continue;
        }
        let error = result.map(|result| lines_of(out.path(), &result)).expect_err(said).to_string();
        assert!(error.contains("rootfs.tar") && error.contains(said), "{error}");
        let left: Vec<_> = fs::read_dir(out.path()).unwrap().map(|child| child.unwrap().file_name()).collect();
        assert_eq!(left, ["rootfs.tar"]);
    }
}

#[test]
fn names_that_would_delete_are_refused() {
    let (root, out) = (sample_rootfs(), tempfile::tempdir().unwrap());
    fs::write(root.path().join("etc/.wh.passwd"), "").unwrap();
    let error = message(build_sources(out.path(), &[(root.path(), "/")], &json!({})));
    assert!(error.contains("/etc/.wh.passwd") && error.contains("means a deletion"), "{error}");
}

/// Text that differs from file to file and does not compress to nothing.
fn content_of(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * place * (number + 7) / 13) as u8).collect()
}

#[test]
fn a_changed_file_changes_only_members_near_it_and_the_cache_changes_no_byte() {
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for number in 0..300 {
        fs::write(root.path().join(format!("file-{number:03}")), content_of(number, 20_000)).unwrap();
    }
    fs::write(root.path().join("large"), content_of(0, 2_500_000)).unwrap();
    for algorithm in ["gzip", "zstd"] {
        let cached = json!({
            "compression": {"algorithm": algorithm},
            "cache": {"directory": out.path().join("cache").join(algorithm)},
        });
        let without = json!({"compression": {"algorithm": algorithm}});
        let build_with = |changes: &Value| build_sources(out.path(), &[(root.path(), "/")], changes).unwrap();
        let first = build_with(&cached).cache.unwrap();
        assert!(first.hits == 0 && first.misses > 5, "{first:?}");
        let again = build_with(&cached);
        assert_eq!((again.cache.unwrap().hits, again.cache.unwrap().misses), (first.misses, 0));
        assert_eq!(again.manifest.digest, build_with(&without).manifest.digest);
        fs::write(root.path().join("file-010"), content_of(10, 25_000)).unwrap();
        let changed = build_with(&cached);
        let counts = changed.cache.unwrap();
        assert!((1..=4).contains(&counts.misses), "{counts:?} of {first:?}");
        assert_eq!(changed.manifest.digest, build_with(&without).manifest.digest);
        fs::write(root.path().join("file-010"), content_of(10, 20_000)).unwrap();
    }
}

#[test]
fn a_source_that_is_not_there_or_is_neither_tree_nor_archive_is_named() {
    let out = tempfile::tempdir().unwrap();
    let error = message(build_sources(out.path(), &[(Path::new("/no/such/rootfs"), "/")], &json!({})));
    assert!(error.contains("/no/such/rootfs") && error.contains("No such file or directory"), "{error}");
    let error = message(build_sources(out.path(), &[(Path::new("/dev/null"), "/")], &json!({})));
    assert!(error.contains("/dev/null") && error.contains("a directory or a tar archive"), "{error}");
}

#[test]
fn a_file_that_changes_after_it_was_listed_fails_the_build() {
    let other = |root: &Path, text: &str| {
        fs::write(root.join("other"), text).unwrap();
        fs::rename(root.join("other"), root.join("d/f")).unwrap();
    };
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
    type Change<'a> = &'a dyn Fn(&Path);
    let changes: [(Change<'_>, &str); 7] = [
        (&|root| fs::write(root.join("d/f"), "12345").unwrap(), "it grew beyond 4 bytes"),
        (&|root| fs::write(root.join("d/f"), "123").unwrap(), "it shrank below 4 bytes"),
        (&|root| fs::write(root.join("d/f"), "5678").unwrap(), "it was written to"),
        (&|root| File::open(root.join("d/f")).unwrap().set_modified(later).unwrap(), "it was written to"),
        (&|root| other(root, "1234"), "it was replaced by another file"),
        (&|root| fs::remove_file(root.join("d/f")).unwrap(), "No such file or directory"),
        (
            &|root| {
                fs::rename(root.join("d"), root.join("e")).unwrap();
                symlink("e", root.join("d")).unwrap();
            },
            "it was replaced by something else",
        ),
    ];
    for (change, said) in changes {
        let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(root.path().join("d")).unwrap();
        fs::write(root.path().join("d/f"), "1234").unwrap();
        let error = layer_lines::layer_of_a_changing_tree(root.path(), out.path(), || change(root.path())).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("d/f") && error.contains(said), "{error}");
    }
}

/// Other image tasks hard-link the root filesystem while this one reads it.
#[test]
fn a_new_name_for_a_file_is_no_change() {
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(root.path().join("f"), "1234").unwrap();
    let link = || fs::hard_link(root.path().join("f"), out.path().join("link")).unwrap();
    let layer = layer_lines::layer_of_a_changing_tree(root.path(), out.path(), link).unwrap();
    assert_eq!((layer.counts.files, layer.content_bytes), (1, 4));
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing() {
    let (root, out) = (sample_rootfs(), tempfile::tempdir().unwrap());
    let progress = Arc::new(Progress::default());
    progress.interrupt();
    let spec = json!({
        "sources": [{"path": root.path()}], "name": "app", "platform": {"architecture": "amd64"},
        "output": {"layout": out.path().join("x.oci"), "archives": [{"path": out.path().join("x.tar")}]},
    });
    let error = build(&ImageSpec::from_json(&spec.to_string()).unwrap(), &progress).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn an_archive_alone_leaves_no_layout_and_a_prefix_moves_the_layout_below_it() {
    let (root, out) = (sample_rootfs(), tempfile::tempdir().unwrap());
    let (flat, below) = (out.path().join("flat.tar"), out.path().join("below.tar"));
    let archives = json!([{"path": flat}, {"path": below, "prefix": "app-oci"}]);
    build_sources(out.path(), &[(root.path(), "/")], &json!({"output": {"archives": archives}})).unwrap();
    let names = |archive: &Path| -> Vec<String> {
        let mut archive = tar::Archive::new(File::open(archive).unwrap());
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    };
    let flat_names = names(&flat);
    assert!(flat_names.iter().any(|name| name == "index.json") && flat_names.iter().any(|name| name == "oci-layout"));
    let moved: Vec<_> = flat_names.iter().map(|name| format!("app-oci/{name}")).collect();
    assert_eq!(names(&below)[1..], moved);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 2);
    File::create(out.path().join("flat.tar")).unwrap().write_all(b"kept").unwrap();
    let error =
        message(build_sources(out.path(), &[(root.path(), "/")], &json!({"output": {"archives": [{"path": flat}]}})));
    assert!(error.contains("flat.tar") && error.contains("exists already"), "{error}");
    assert_eq!(fs::read(&flat).unwrap(), b"kept");
}
