use std::collections::BTreeMap;
use std::io::Write;

use serde_json::Value;
use tempfile::TempDir;

use super::sample::Sample;
use super::*;
use crate::digest::Digest;
use crate::spec::{ImageConfiguration, ImageManifest, MEDIA_TYPE_INDEX};

fn open(path: &Path) -> Result<LayoutReader> {
    LayoutReader::open(path, &Progress::default())
}

/// `archive` as the only file of a directory.
fn archived(archive: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    fs::write(&path, archive).unwrap();
    (directory, path)
}

/// All that the layout has, by name.
fn contents(layout: &LayoutReader) -> BTreeMap<String, Vec<u8>> {
    let top = [LAYOUT_FILE, INDEX_FILE, DOCKER_MANIFEST_FILE].map(str::to_owned);
    let names = layout.stored().unwrap().into_iter().chain(top);
    names
        .map(|name| {
            let mut content = Vec::new();
            layout.file(&name).unwrap().unwrap().read_to_end(&mut content).unwrap();
            (name, content)
        })
        .collect()
}

fn compressed(format: &str, plain: &[u8]) -> Vec<u8> {
    match format {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(plain, 1).unwrap(),
        _ => plain.to_vec(),
    }
}

#[test]
fn a_directory_and_every_kind_of_archive_hold_the_same_files() {
    let sample = Sample::new();
    let directory = tempfile::tempdir().unwrap();
    sample.write(directory.path());
    assert_eq!(contents(&open(directory.path()).unwrap()), sample.files());
    for (prefix, format) in [
        ("", "plain"),
        ("./", "plain"),
        ("app.oci/", "plain"),
        ("./", "gz"),
        ("./", "zst"),
        ("a/b/", "bz2"),
        ("", "xz"),
    ] {
        let (_directory, path) = archived(&compressed(format, &sample.archive(prefix)));
        let layout = open(&path).unwrap();
        assert_eq!((layout.damage(), contents(&layout)), (None, sample.files()), "{prefix}, {format}");
    }
}

#[test]
fn documents_are_found_by_digest_and_parsed() {
    let sample = Sample::new();
    let (_directory, path) = archived(&sample.archive(""));
    let layout = open(&path).unwrap();
    let index = layout.index().unwrap();
    let manifest: ImageManifest = layout.read_document(&index.manifests()[0]).unwrap();
    let config: ImageConfiguration = layout.read_document(manifest.config()).unwrap();
    assert_eq!(config.author().as_deref(), Some("Ada"));
    let digests: BTreeSet<_> = ["manifest", "config", "0", "1"].map(|blob| sample.digest(blob)).into();
    assert_eq!(layout.blobs().unwrap(), digests);
    assert_eq!(layout.blob(&sample.digest("0")).unwrap().size(), manifest.layers()[0].size());
}

#[test]
fn a_document_that_is_not_what_its_descriptor_says_is_refused() {
    let whole = Sample::new();
    let config = whole.location("config");
    let mut other = whole.files()[&config].clone();
    other[2] ^= 1;
    for (sample, reason) in [
        (whole.clone().file(&config, other), "the digest of its bytes is sha256:"),
        (whole.clone().file(&config, "{}"), "it has 2 bytes, its descriptor says"),
        (whole.clone().without(&config), "it is not there"),
        (whole.clone().config(|config| config["created"] = Value::from(5)), "it can't be understood"),
        (
            whole.clone().manifest(|manifest| manifest["config"]["digest"] = Value::from("md5:00")),
            "unknown digest algorithm",
        ),
    ] {
        let (_directory, path) = archived(&sample.archive(""));
        let layout = open(&path).unwrap();
        let manifest: ImageManifest = layout.read_document(&layout.index().unwrap().manifests()[0]).unwrap();
        let error = layout.read_document::<ImageConfiguration>(manifest.config()).unwrap_err();
        assert!(matches!(&error, Error::Layout { path: named, .. } if *named == path), "{error}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn the_index_is_read_only_from_a_layout_of_known_version() {
    for (sample, reason) in [
        (Sample::new().without(LAYOUT_FILE), "oci-layout: it is not there"),
        (Sample::new().without(INDEX_FILE), "index.json: it is not there"),
        (
            Sample::new().file(LAYOUT_FILE, r#"{"imageLayoutVersion":"2.0.0"}"#),
            r#"oci-layout: its version is "2.0.0", "1.0.0" is known"#,
        ),
        (Sample::new().file(INDEX_FILE, "[]"), "index.json: it can't be understood"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        sample.write(directory.path());
        let error = open(directory.path()).unwrap().index().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_is_no_layout_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    let error = open(empty.path()).unwrap_err();
    assert!(matches!(error, Error::Layout { .. }), "{error}");
    assert!(matches!(open(&empty.path().join("none")), Err(Error::Io { .. })));
    assert!(matches!(open(Path::new("/dev/null")), Err(Error::Layout { .. })));
    for (bytes, reason) in [
        (&b""[..], "neither oci-layout nor index.json"),
        (b"some text", "it is no complete tar archive"),
        (&compressed("gz", b"some text"), "it is no complete tar archive"),
        (&sample::tar(&[("etc/hostname", '0', "app")]), "neither oci-layout nor index.json"),
    ] {
        let (_directory, path) = archived(bytes);
        let error = open(&path).unwrap_err();
        assert!(matches!(error, Error::Layout { .. }) && error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn an_archive_that_is_cut_off_gives_what_is_left_and_says_so() {
    let sample = Sample::new();
    let whole = sample.archive("");
    // The last file is oci-layout: what is kept of it is one byte.
    let cut = whole.len() - 1024 - 512 + 1;
    let (_directory, path) = archived(&whole[..cut]);
    let layout = open(&path).unwrap();
    assert!(layout.damage().unwrap().contains(&format!("cut off: it has {cut} bytes")), "{:?}", layout.damage());
    assert_eq!(layout.file(LAYOUT_FILE).unwrap().unwrap().size(), 1);
    assert_eq!(layout.stored().unwrap().len(), 4);

    let packed = compressed("gz", &whole);
    let (_directory, path) = archived(&packed[..packed.len() - 1]);
    assert!(open(&path).unwrap().damage().unwrap().contains("can't be decompressed (gzip)"));
}

#[test]
fn opening_can_be_interrupted() {
    let progress = Progress::default();
    progress.interrupt();
    let (_directory, path) = archived(&compressed("zst", &Sample::new().archive("")));
    assert!(matches!(LayoutReader::open(&path, &progress), Err(Error::Interrupted)));
}

#[test]
fn readers_of_one_archive_do_not_disturb_each_other() {
    let sample = Sample::new();
    let (_directory, path) = archived(&sample.archive(""));
    let layout = open(&path).unwrap();
    let mut blobs = ["0", "1"].map(|number| layout.blob(&sample.digest(number)).unwrap());
    let mut contents = [Vec::new(), Vec::new()];
    for _ in 0..8 {
        for (blob, content) in blobs.iter_mut().zip(&mut contents) {
            blob.take(512).read_to_end(content).unwrap();
        }
    }
    for (number, content) in ["0", "1"].into_iter().zip(contents) {
        assert_eq!(content, sample.files()[&sample.location(number)]);
    }
}

#[test]
fn indexes_that_list_each_other_twice_are_read_once() {
    let sample = Sample::new();
    let manifest = sample.digest("manifest");
    let mut inner = serde_json::json!([{
        "mediaType": crate::spec::MEDIA_TYPE_MANIFEST,
        "digest": manifest, "size": sample.files()[&location(&manifest)].len(),
    }]);
    let mut sample = sample;
    for _ in 0..40 {
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": inner});
        let bytes = serde_json::to_vec(&index).unwrap();
        let entry = serde_json::json!({
            "mediaType": MEDIA_TYPE_INDEX, "digest": Digest::of(&bytes), "size": bytes.len(),
        });
        sample = sample.blob(&bytes);
        inner = serde_json::json!([entry, entry]);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    sample.index(|index| index["manifests"] = inner).write(&path);
    assert_eq!(open(&path).unwrap().manifests().unwrap().len(), 1);
}
