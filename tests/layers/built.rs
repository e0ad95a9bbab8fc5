//! Images of several layers, and what is in each layer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use image_oci_rs::Result;
use image_oci_rs::image::{BuildResult, ImageSpec, LayerSummary, build};
use image_oci_rs::progress::Progress;
use serde_json::{Value, json};
use tar::EntryType;

/// Built images say they were made then, so that trees made one after the other are of the same time.
pub const CREATED: i64 = 1_700_000_000;

/// What a layer says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: EntryType,
    pub mode: u32,
    pub owner: (u64, u64),
    pub mtime: u64,
    pub content: String,
    pub target: String,
}

/// An image's layers, lowest first, each with its entries in order.
pub struct Built {
    pub result: BuildResult,
    pub manifest: Value,
    pub config: Value,
    pub layers: Vec<Vec<(String, Record)>>,
}

/// Builds an image of `root` whose description has `layers`.
pub fn build_layers(root: &Path, layers: &Value) -> Result<Built> {
    build_with(root, &json!({"layers": layers}))
}

/// Builds an image of `root` with these changes to the least description.
pub fn build_with(root: &Path, changes: &Value) -> Result<Built> {
    let out = tempfile::tempdir().unwrap();
    let layout = out.path().join("x.oci");
    let mut spec = json!({
        "sources": [{"path": root}], "name": "app", "platform": {"architecture": "amd64"}, "created": CREATED,
        "compression": {"algorithm": "none"}, "output": {"layout": layout},
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let result = build(&ImageSpec::from_json(&spec.to_string())?, &Arc::new(Progress::default()))?;
    let blob = |digest: &str| fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let document = |digest: &str| serde_json::from_slice::<Value>(&blob(digest)).unwrap();
    let is_plain = spec["compression"]["algorithm"] == "none";
    let plain = result.layers.iter().filter(|_| is_plain);
    let layers = plain.map(|layer| entries(&blob(&layer.blob.digest.to_string()))).collect();
    let (manifest, config) =
        (document(&result.manifest.digest.to_string()), document(&result.config.digest.to_string()));
    Ok(Built { result, manifest, config, layers })
}

/// What is wrong with building an image of `root` whose description has `layers`.
pub fn message(root: &Path, layers: &Value) -> String {
    build_layers(root, layers).map(|built| built.lines()).expect_err("an error").to_string()
}

/// The rules of `NAME:TYPE:CONTENT` words, as the command line has them.
pub fn rules(words: &str) -> Value {
    let rule = |word: &str| {
        let [name, kind, content] = word.splitn(3, ':').collect::<Vec<_>>().try_into().unwrap();
        json!({"name": name, "type": kind, "content": content.split(',').collect::<Vec<_>>()})
    };
    words.split_whitespace().map(rule).collect()
}

fn entries(layer: &[u8]) -> Vec<(String, Record)> {
    let mut archive = tar::Archive::new(layer);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        let target = entry.link_name_bytes().unwrap_or_default().to_vec();
        let record = Record {
            kind: header.entry_type(),
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            mtime: header.mtime().unwrap(),
            content,
            target: String::from_utf8(target).unwrap(),
        };
        (String::from_utf8(entry.path_bytes().to_vec()).unwrap().trim_end_matches('/').to_owned(), record)
    };
    archive.entries().unwrap().map(read).collect()
}

impl Built {
    /// The layers' names, and in each what no lower layer has, but directories only where nothing is in them: a line for
    /// each layer. The database of dpkg is one word.
    pub fn lines(&self) -> String {
        let mut seen = BTreeSet::new();
        let mut lines = String::new();
        for (summary, layer) in self.result.layers.iter().zip(&self.layers) {
            let is_way = |path: &str| layer.iter().any(|(other, _)| other.starts_with(&format!("{path}/")));
            let mut words = vec![format!("{}:", summary.name.as_deref().unwrap_or("-"))];
            for (path, record) in layer {
                let word = match record.kind {
                    kind if path.starts_with("var/lib/dpkg/") && !kind.is_dir() => "dpkg".to_owned(),
                    EntryType::Directory if seen.contains(path) || path == "." || is_way(path) => continue,
                    EntryType::Directory => format!("{path}/"),
                    EntryType::Symlink => format!("{path}->{}", record.target),
                    EntryType::Link => format!("{path}=={}", record.target),
                    _ => path.clone(),
                };
                if words.last() != Some(&word) {
                    words.push(word);
                }
            }
            seen.extend(layer.iter().map(|(path, _)| path.clone()));
            lines += &(words.join(" ") + "\n");
        }
        lines
    }

    /// What `path` is in the layer `number`.
    pub fn record(&self, number: usize, path: &str) -> Option<&Record> {
        self.layers[number].iter().find(|(other, _)| other == path).map(|(_, record)| record)
    }

    /// The names of the layers.
    pub fn names(&self) -> Vec<&str> {
        self.result.layers.iter().map(|layer| layer.name.as_deref().unwrap_or("-")).collect()
    }

    /// The digests of the layers by their names.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let digest = |layer: &LayerSummary| layer.blob.digest.to_string();
        self.result.layers.iter().map(|layer| (layer.name.clone().unwrap_or_default(), digest(layer))).collect()
    }

    /// What the layers make over one another: every path, what it is, and the names of its file.
    ///
    /// A layer may repeat directories and nothing else, and the names of a file are together in one layer.
    pub fn merged(&self) -> BTreeMap<String, (Record, BTreeSet<String>)> {
        let mut merged: BTreeMap<String, (Record, BTreeSet<String>)> = BTreeMap::new();
        let last = self.layers.len() - 1;
        for (number, layer) in self.layers.iter().enumerate() {
            let mut files: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
            let mut links = Vec::new();
            for (path, record) in layer {
                let is_directory = record.kind == EntryType::Directory;
                assert!(!is_directory || number == last || record.mtime == 0, "{path}: its time is in layer {number}");
                if let Some((below, _)) = merged.get(path) {
                    assert!(is_directory && below.kind == record.kind, "{path} is in two layers");
                    assert_eq!((below.mode, below.owner), (record.mode, record.owner), "{path}");
                }
                let first = if record.kind == EntryType::Link { &record.target } else { path };
                assert!(first <= path, "{path} points at {first}");
                files.entry(first).or_default().insert(path.clone());
                if first == path {
                    merged.insert(path.clone(), (record.clone(), BTreeSet::new()));
                } else {
                    links.push((path, first));
                }
            }
            for (path, first) in links {
                let own = layer.iter().find(|(other, _)| other == first);
                let (_, own) = own.unwrap_or_else(|| panic!("{path} points at {first} of another layer"));
                merged.insert(path.clone(), (own.clone(), BTreeSet::new()));
            }
            for names in files.values() {
                for name in names {
                    merged.get_mut(name).unwrap().1.clone_from(names);
                }
            }
        }
        merged
    }
}
