use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::Error;
use crate::layout::sample::{NAME, Sample, bytes, descriptor, tar};
use crate::spec::{
    MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD, MEDIA_TYPE_MANIFEST,
};

/// A way to break the sample: the one code that must be found, what its message says, and what is done.
type Case = (&'static str, &'static str, Change);

type Change = fn(Sample) -> Sample;

const LAYOUT_CASES: &[Case] = &[
    ("oci-layout", "is not there", |sample| sample.without("oci-layout")),
    ("oci-layout", "can't be understood", |sample| sample.file("oci-layout", "1.0.0")),
    ("oci-layout", r#"says version "1.1.0", image-spec knows "1.0.0""#, |sample| {
        sample.file("oci-layout", r#"{"imageLayoutVersion":"1.1.0"}"#)
    }),
    ("stray-file", "its name is no digest", |sample| sample.file("blobs/sha256/.layer.partial", "")),
    ("stray-file", "its name is no digest", |sample| sample.file("blobs/readme", "")),
    ("unreferenced-blob", "no index or manifest refers to it", |sample| sample.blob(b"left over")),
    ("digest", "the unknown digest algorithm \"sha384\"", |sample| {
        let digest = format!("sha384:{}", "0".repeat(96));
        sample.index(|index| push_entry(index, json!({"mediaType": "text/plain", "digest": digest, "size": 1})))
    }),
    ("blob-missing", "is not there", |sample| {
        sample.index(|index| push_entry(index, descriptor("text/plain", b"somewhere else")))
    }),
    ("blob-size", "says 5 bytes, it has 4", |sample| {
        let mut entry = descriptor("text/plain", b"text");
        entry["size"] = json!(5);
        sample.blob(b"text").index(|index| push_entry(index, entry))
    }),
    ("blob-digest", "its bytes have sha256:", |sample| {
        let sample = sample.file(&crate::layout::location(&Digest::of(b"text")), "test");
        sample.index(|index| push_entry(index, descriptor("text/plain", b"text")))
    }),
];

const DOCUMENT_CASES: &[Case] = &[
    ("index-schema", "schemaVersion is 1, it must be 2", |sample| {
        sample.index(|index| index["schemaVersion"] = json!(1))
    }),
    ("index-media-type", "its descriptor's is application/vnd.oci.image.index.v1+json", |sample| {
        sample.index(|index| index["mediaType"] = json!(MEDIA_TYPE_MANIFEST))
    }),
    ("index-missing", "is not there", |sample| {
        sample.index(|index| push_entry(index, descriptor(MEDIA_TYPE_INDEX, &nested())))
    }),
    ("index-size", "says 1 bytes, it has", |sample| {
        let mut entry = descriptor(MEDIA_TYPE_INDEX, &nested());
        entry["size"] = json!(1);
        sample.blob(&nested()).index(|index| push_entry(index, entry))
    }),
    ("index-digest", "its bytes have sha256:", |sample| {
        let padded = String::from_utf8(nested()).unwrap().replace("[]", "[ ]");
        let mut entry = descriptor(MEDIA_TYPE_INDEX, &nested());
        entry["size"] = json!(padded.len());
        let location = crate::layout::location(&Digest::of(&nested()));
        sample.file(&location, padded).index(|index| push_entry(index, entry))
    }),
    ("manifest-schema", "schemaVersion is 3, it must be 2", |sample| {
        sample.manifest(|manifest| manifest["schemaVersion"] = json!(3))
    }),
    ("manifest-schema", "can't be understood: invalid type: integer", |sample| {
        // It can't be read on from here, so what it refers to is taken away, and what refers to it.
        let gone = ["config", "0", "1"].map(|blob| sample.location(blob));
        let sample = gone.iter().fold(sample, |sample, location| sample.without(location));
        sample.manifest(|manifest| manifest["annotations"]["a"] = json!(1)).without("manifest.json")
    }),
    ("manifest-media-type", "its mediaType is application/vnd.oci.image.index.v1+json", |sample| {
        sample.manifest(|manifest| manifest["mediaType"] = json!(MEDIA_TYPE_INDEX))
    }),
    ("manifest-missing", "is not there", |sample| {
        sample.index(|index| push_entry(index, descriptor(MEDIA_TYPE_MANIFEST, b"somewhere else")))
    }),
    ("manifest-size", "says 7 bytes, it has", |sample| sample.index(|index| index["manifests"][0]["size"] = json!(7))),
    ("manifest-digest", "its bytes have sha256:", |sample| {
        let location = sample.location("manifest");
        let other = String::from_utf8(sample.files()[&location].clone()).unwrap().replace(r#""a":"b""#, r#""a":"c""#);
        sample.file(&location, other)
    }),
    ("config-schema", "the type of its rootfs is \"layer\"", |sample| {
        sample.config(|config| config["rootfs"]["type"] = json!("layer"))
    }),
    ("config-schema", "can't be understood: invalid type: integer", |sample| {
        sample.config(|config| config["config"]["Labels"]["k"] = json!(1))
    }),
    ("config-media-type", "should be application/vnd.oci.image.config.v1+json", |sample| {
        sample.manifest(|manifest| manifest["config"]["mediaType"] = json!("text/plain")).without("manifest.json")
    }),
    ("config-missing", "is not there", |sample| {
        let location = sample.location("config");
        sample.without(&location)
    }),
    ("config-size", "says 3 bytes, it has", |sample| sample.manifest(|manifest| manifest["config"]["size"] = json!(3))),
    ("config-digest", "its bytes have sha256:", |sample| {
        let location = sample.location("config");
        let other = String::from_utf8(sample.files()[&location].clone()).unwrap().replace("Ada", "Eve");
        sample.file(&location, other)
    }),
];

const IMAGE_CASES: &[Case] = &[
    ("created", "created is \"2024-01-01\"", |sample| sample.config(|config| config["created"] = json!("2024-01-01"))),
    ("created", "created of history entry 1 is \"now\"", |sample| {
        sample.config(|config| config["history"][1]["created"] = json!("now"))
    }),
    ("created", "org.opencontainers.image.created is \"\"", |sample| {
        sample.manifest(|manifest| manifest["annotations"]["org.opencontainers.image.created"] = json!(""))
    }),
    ("platform", "its index entry says linux/arm/v6, its configuration sha256:", |sample| {
        sample.index(|index| index["manifests"][0]["platform"]["variant"] = json!("v6"))
    }),
    ("platform", "its architecture is empty", |sample| {
        sample
            .config(|config| config["architecture"] = json!(""))
            .index(|index| index["manifests"][0]["platform"] = Value::Null)
    }),
    ("history", "has 1 entries that made a layer, its manifest sha256:", |sample| {
        sample.config(|config| config["history"][0]["empty_layer"] = json!(true))
    }),
    ("diff-id-count", "it has 1 diff_ids, its manifest sha256:", |sample| {
        sample.config(|config| {
            config["rootfs"]["diff_ids"].as_array_mut().unwrap().pop();
        })
    }),
    ("diff-id", "the configuration says sha256:0000", |sample| {
        let other = format!("sha256:{}", "0".repeat(64));
        sample.config(|config| config["rootfs"]["diff_ids"][1] = json!(other))
    }),
    ("docker-manifest", "can't be understood", |sample| sample.docker(|docker| *docker = json!({}))),
    ("docker-manifest", "lists no image, index.json has 1", |sample| sample.docker(|docker| *docker = json!([]))),
    ("docker-manifest-config", "Config is \"x.json\", the manifests have {\"blobs/sha256/", |sample| {
        sample.docker(|docker| docker[0]["Config"] = json!("x.json"))
    }),
    ("docker-manifest-layers", "Layers is [], the manifest sha256:", |sample| {
        sample.docker(|docker| docker[0]["Layers"] = json!([]))
    }),
    ("docker-manifest-tags", "the index entries have {\"docker.io/library/app:1.0\"}", |sample| {
        sample.docker(|docker| docker[0]["RepoTags"] = json!(["app:1.1"]))
    }),
];

const LAYER_CASES: &[Case] = &[
    ("layer-missing", "is not there", |sample| {
        let location = sample.location("0");
        sample.without(&location)
    }),
    ("layer-size", "says 10 bytes, it has", |sample| {
        sample.manifest(|manifest| manifest["layers"][1]["size"] = json!(10))
    }),
    ("layer-digest", "its bytes have sha256:", |sample| {
        let sample = gzipped(sample, |blob| blob);
        let location = sample.location("1");
        let mut other = sample.files()[&location].clone();
        // The time in a gzip header changes nothing else.
        other[4] ^= 1;
        sample.file(&location, other)
    }),
    ("layer-media-type", "tar+zstd says zstd, its bytes are uncompressed", |sample| {
        sample.manifest(|manifest| manifest["layers"][1]["mediaType"] = json!(MEDIA_TYPE_LAYER_ZSTD))
    }),
    ("layer-media-type", "its media type is text/plain, which is no layer's", |sample| {
        sample.manifest(|manifest| manifest["layers"][1]["mediaType"] = json!("text/plain"))
    }),
    ("layer-compression", "it is gzip and breaks off after", |sample| {
        gzipped(sample, |mut blob| {
            blob.pop();
            blob
        })
    }),
    ("layer-compression", "it is gzip and breaks off after", |sample| {
        gzipped(sample, |blob| [&blob[..], b"trailing"].concat())
    }),
    ("layer-tar", "no tar stream of complete members", |sample| sample.plain_layer(b"some text".to_vec())),
    ("layer-tar", "no tar stream of complete members", |sample| {
        let whole = tar(&[("a", '0', "content")]);
        sample.plain_layer(whole[..600].to_vec())
    }),
    ("layer-tar", "at byte 0 there is no header", |sample| {
        let mut other = tar(&[("a", '0', "content")]);
        other[0] = b'b';
        sample.plain_layer(other)
    }),
    ("layer-tar", "no tar stream of complete members", |sample| {
        sample.members(&[("PaxHeader", 'x', "29 size=18446744073709551615\n"), ("a", '0', "")])
    }),
    ("layer-end", "stops after 1024 bytes without", |sample| {
        sample.plain_layer(tar(&[("a", '0', "content")])[..1024].to_vec())
    }),
    ("layer-end", "stops after 0 bytes without", |sample| sample.plain_layer(Vec::new())),
    ("layer-end", "ends with 512 zeros, two or more blocks", |sample| {
        sample.plain_layer(tar(&[("a", '0', "content")])[..1536].to_vec())
    }),
    ("layer-trailing-bytes", "the one at 2050 is not", |sample| {
        sample.plain_layer([tar(&[("a", '0', "content")]), b"\0\0x".repeat(512)].concat())
    }),
    ("duplicate-path", "\"./a\" is there a second time", |sample| sample.members(&[("a", '0', ""), ("./a", '5', "")])),
    ("absolute-path", "\"/a\" is absolute", |sample| sample.members(&[("/a", '0', "")])),
    ("climbing-path", "\"a/../../b\" has \"..\" in it", |sample| sample.members(&[("a/../../b", '0', "")])),
    ("entry-type", "\"a\" has type 'V'", |sample| sample.members(&[("a", 'V', "content"), ("b", '0', "")])),
    ("entry-type", "\"a\" is sparse", |sample| {
        sample.members(&[("PaxHeader", 'x', "22 GNU.sparse.major=1\n"), ("a", '0', "")])
    }),
    ("hard-link", "\"b\" is a hard link to \"a\"", |sample| sample.members(&[("b", '1', "a"), ("a", '0', "")])),
    ("hard-link", "\"b\" is a hard link to \"etc\"", |sample| sample.members(&[("b", '1', "etc")])),
    ("hard-link", "\"b\" is a hard link to \"etc/hostname\"", |sample| {
        sample.members(&[("etc/.wh.hostname", '0', ""), ("b", '1', "etc/hostname")])
    }),
    ("hard-link", "\"b\" is a hard link to \"etc/hostname\"", |sample| {
        sample.members(&[("etc/.wh..wh..opq", '0', ""), ("b", '1', "etc/hostname")])
    }),
    ("hard-link", "\"b\" is a hard link to \"etc/hostname\"", |sample| {
        sample.members(&[("etc", '2', "usr/etc"), ("b", '1', "etc/hostname")])
    }),
];

/// An index without entries.
fn nested() -> Vec<u8> {
    bytes(&json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": []}))
}

fn push_entry(index: &mut Value, entry: Value) {
    index["manifests"].as_array_mut().unwrap().push(entry);
}

/// The upper layer as gzip, with `change` made to it after that.
fn gzipped(sample: Sample, change: fn(Vec<u8>) -> Vec<u8>) -> Sample {
    let plain = tar(&[("bin/", '5', ""), ("bin/sh", '0', "#!")]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &plain).unwrap();
    sample.layer(1, &plain, change(encoder.finish().unwrap()), MEDIA_TYPE_LAYER_GZIP)
}

fn report(sample: &Sample) -> Report {
    let directory = tempfile::tempdir().unwrap();
    sample.write(directory.path());
    validate(directory.path(), &Progress::default()).unwrap()
}

fn all_cases() -> impl Iterator<Item = &'static Case> {
    [LAYOUT_CASES, DOCUMENT_CASES, IMAGE_CASES, LAYER_CASES].into_iter().flatten()
}

#[test]
fn each_defect_is_found_and_nothing_but_it() {
    for (code, says, break_it) in all_cases() {
        let findings = report(&break_it(Sample::new())).findings;
        let found: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(found, [*code], "{says}: {findings:#?}");
        assert!(findings[0].message.contains(says), "{code}, {says}: {}", findings[0].message);
    }
}

#[test]
fn every_code_is_listed_and_seen() {
    let listed: Vec<_> = CODES.map(|(code, _)| code).into();
    assert!(listed.is_sorted());
    // The archive's own damage needs an archive, and has a test of its own.
    let seen: BTreeSet<_> = all_cases().map(|(code, ..)| *code).chain(["archive"]).collect();
    assert_eq!(listed, seen.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_correct_layout_has_no_findings() {
    let report = report(&Sample::new());
    assert_eq!(report.findings, []);
    let files = Sample::new().files();
    let size: usize = files.iter().filter(|(name, _)| name.starts_with("blobs/")).map(|(_, blob)| blob.len()).sum();
    assert_eq!((report.images, report.blobs, report.bytes), (1, 4, size as u64));
}

#[test]
fn what_image_spec_leaves_open_is_no_finding() {
    let correct: [(&str, Change); 14] = [
        ("no manifest.json", |sample| sample.without("manifest.json")),
        ("no history", |sample| sample.config(|config| config["history"] = Value::Null)),
        ("no platform", |sample| sample.index(|index| index["manifests"][0]["platform"] = Value::Null)),
        ("no names", |sample| sample.index(|index| index["manifests"][0]["annotations"] = Value::Null)),
        ("a short name for docker", |sample| sample.docker(|docker| docker[0]["RepoTags"] = json!(["app:1.0"]))),
        ("further names for docker", |sample| {
            sample.docker(|docker| docker[0]["RepoTags"] = json!([NAME, "app:latest", "localhost/app:1"]))
        }),
        ("several members of gzip", |sample| {
            let halves = tar(&[("a", '0', "content")]);
            let (one, other) = halves.split_at(700);
            let blob = [one, other].map(|half| {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                std::io::Write::write_all(&mut encoder, half).unwrap();
                encoder.finish().unwrap()
            });
            sample.layer(1, &halves, blob.concat(), MEDIA_TYPE_LAYER_GZIP)
        }),
        ("more zeros than needed", |sample| {
            sample.plain_layer([tar(&[("a", '0', "content")]), vec![0; 10240 - 2048]].concat())
        }),
        ("a hard link into a lower layer", |sample| sample.members(&[("b", '1', "etc/hostname")])),
        ("a nested index", |sample| {
            let entry = descriptor(MEDIA_TYPE_MANIFEST, &sample.files()[&sample.location("manifest")]);
            let inner = bytes(&json!({"schemaVersion": 2, "manifests": [entry]}));
            sample.blob(&inner).index(|index| index["manifests"] = json!([descriptor(MEDIA_TYPE_INDEX, &inner)]))
        }),
        ("one image with two entries", |sample| {
            sample
                .index(|index| {
                    let mut second = index["manifests"][0].clone();
                    second["annotations"]["io.containerd.image.name"] = json!("docker.io/library/app:latest");
                    push_entry(index, second);
                })
                .docker(|docker| docker[0]["RepoTags"] = json!([NAME, "app:latest"]))
        }),
        ("a blob under its SHA-512", |sample| {
            let mut hasher = Hasher::new(Algorithm::Sha512);
            hasher.update(b"text");
            let digest = hasher.finish();
            let entry = json!({"mediaType": "text/plain", "digest": digest, "size": 4});
            sample.file(&crate::layout::location(&digest), "text").index(|index| push_entry(index, entry))
        }),
        ("an artifact", |sample| {
            let manifest = bytes(&json!({
                "schemaVersion": 2, "artifactType": "text/plain", "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
                "layers": [descriptor(MEDIA_TYPE_LAYER, b"no tar")],
            }));
            let sample = sample.blob(&manifest).blob(b"{}").blob(b"no tar");
            sample.index(|index| push_entry(index, descriptor(MEDIA_TYPE_MANIFEST, &manifest)))
        }),
        ("a layer that is fetched from elsewhere", |sample| {
            let location = sample.location("0");
            sample
                .without(&location)
                .manifest(|manifest| manifest["layers"][0]["urls"] = json!(["https://example.com"]))
        }),
    ];
    for (what, change) in correct {
        let report = report(&change(Sample::new()));
        assert_eq!(report.findings, [], "{what}");
        assert_eq!(report.images, 1, "{what}");
    }
}

#[test]
fn nothing_hides_anything_else() {
    let sample = Sample::new()
        .members(&[("/a", '0', ""), ("a", '0', ""), ("../b", '1', "none"), ("a", 'V', "")])
        .config(|config| config["created"] = json!("yesterday"))
        .manifest(|manifest| manifest["config"]["size"] = json!(1))
        .without("oci-layout")
        .blob(b"left over");
    let found: Vec<_> = report(&sample).findings.into_iter().map(|finding| finding.code).collect();
    let expected = [
        "absolute-path",
        "climbing-path",
        "config-size",
        "created",
        "duplicate-path",
        "entry-type",
        "hard-link",
        "oci-layout",
        "unreferenced-blob",
    ];
    assert_eq!(found, expected);
}

#[test]
fn layers_are_looked_into_though_the_configuration_is_gone() {
    let sample = Sample::new().members(&[("/a", '0', "")]);
    let config = sample.location("config");
    let found: Vec<_> = report(&sample.without(&config)).findings.into_iter().map(|finding| finding.code).collect();
    assert_eq!(found, ["absolute-path", "config-missing"]);
}

#[test]
fn without_an_index_every_blob_is_unreferenced() {
    let report = report(&Sample::new().without("index.json").without("manifest.json"));
    let found: Vec<_> =
        report.findings.iter().map(|finding| (finding.code.as_str(), finding.subject.as_str())).collect();
    assert_eq!(found[0], ("index-missing", "index.json"));
    assert_eq!(found[1..].iter().filter(|(code, _)| *code == "unreferenced-blob").count(), 4);
}

#[test]
fn indexes_that_refer_to_each_other_come_to_an_end() {
    // No digest can be right in a circle, so these are not.
    let [one, other] = [Digest::of(b"one"), Digest::of(b"other")];
    let entry = |digest: &Digest| json!({"mediaType": MEDIA_TYPE_INDEX, "digest": digest, "size": 1});
    let index = |digest| bytes(&json!({"schemaVersion": 2, "manifests": [entry(digest)]}));
    let sample = Sample::new()
        .file(&crate::layout::location(&one), index(&other))
        .file(&crate::layout::location(&other), index(&one))
        .index(|index| push_entry(index, entry(&one)));
    let found: Vec<_> = report(&sample).findings.into_iter().map(|finding| finding.code).collect();
    assert_eq!(found, ["index-digest", "index-digest", "index-size", "index-size"]);
}

#[test]
fn a_damaged_archive_is_a_finding_and_no_archive_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let whole = Sample::new().archive("app.oci/");
    fs::write(&path, &whole).unwrap();
    assert_eq!(validate(&path, &Progress::default()).unwrap().findings, []);
    // In the middle of oci-layout, the last file.
    fs::write(&path, &whole[..whole.len() - 1024 - 500]).unwrap();
    let codes: Vec<_> =
        validate(&path, &Progress::default()).unwrap().findings.into_iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["archive", "oci-layout"]);
    fs::write(&path, "text").unwrap();
    assert!(matches!(validate(&path, &Progress::default()), Err(Error::Layout { .. })));
}

#[test]
fn checking_can_be_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    Sample::new().write(directory.path());
    let progress = Progress::default();
    progress.interrupt();
    assert!(matches!(validate(directory.path(), &progress), Err(Error::Interrupted)));
}

#[test]
fn a_report_is_json_with_sorted_findings() {
    let sample = Sample::new().without("oci-layout").file("blobs/x", "");
    let json = serde_json::to_value(report(&sample)).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["blobs", "bytes", "findings", "images", "path"]);
    assert_eq!(
        json["findings"][0],
        json!({
            "code": "oci-layout", "subject": "oci-layout", "message": "it is not there, and is what marks a layout",
        })
    );
    assert_eq!(json["findings"][1]["subject"], "blobs/x");
}
