//! A small correct layout for tests, which can be broken in one way at a time: whatever is edited, everything above it
//! gets the new sizes and digests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::{DOCKER_MANIFEST_FILE, INDEX_FILE, LAYOUT_FILE, location};
use crate::digest::Digest;
use crate::spec::{MEDIA_TYPE_CONFIG, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER, MEDIA_TYPE_MANIFEST};

/// The full name of the sample's image.
pub(crate) const NAME: &str = "docker.io/library/app:1.0";

/// The parts of a layout with one image.
#[derive(Clone)]
pub(crate) struct Sample {
    layers: Vec<Vec<u8>>,
    config: Value,
    manifest: Value,
    index: Value,
    docker: Value,
    extra: BTreeMap<String, Vec<u8>>,
    removed: Vec<String>,
}

impl Sample {
    /// Two plain layers: `etc/hostname` in the lower one, `bin/sh` with a second name in the upper one.
    pub fn new() -> Self {
        let layers = [
            tar(&[("./", '5', ""), ("etc/", '5', ""), ("etc/hostname", '0', "app")]),
            tar(&[("./", '5', ""), ("bin/", '5', ""), ("bin/sh", '0', "#!"), ("bin/ash", '1', "bin/sh")]),
        ];
        let history = json!({"created": "2024-01-01T00:00:00Z", "created_by": "test"});
        let empty = json!({"created": "2024-01-01T00:00:00Z", "empty_layer": true});
        let sample = Self {
            layers: Vec::new(),
            config: json!({
                "created": "2024-01-01T00:00:00Z", "author": "Ada", "architecture": "arm", "variant": "v7", "os": "linux",
                "config": {"Cmd": ["sh"], "Labels": {"k": "v"}, "ExposedPorts": {"80/tcp": {}}},
                "rootfs": {"type": "layers", "diff_ids": []},
                "history": [history, empty, history],
            }),
            manifest: json!({
                "schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "annotations": {"a": "b"},
                "config": {"mediaType": MEDIA_TYPE_CONFIG}, "layers": [],
            }),
            index: json!({
                "schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX,
                "manifests": [{
                    "mediaType": MEDIA_TYPE_MANIFEST,
                    "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
                    "annotations": {
                        "io.containerd.image.name": NAME, "org.opencontainers.image.ref.name": "1.0", "a": "b",
                    },
                }],
            }),
            docker: json!([{"RepoTags": [NAME], "Layers": []}]),
            extra: BTreeMap::from([(LAYOUT_FILE.to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())]),
            removed: Vec::new(),
        };
        let [lower, upper] = layers;
        sample.layer(0, &lower, lower.clone(), MEDIA_TYPE_LAYER).layer(1, &upper, upper.clone(), MEDIA_TYPE_LAYER)
    }

    /// Puts `blob`, which is `plain` compressed, in the place of a layer or behind the last one.
    pub fn layer(mut self, number: usize, plain: &[u8], blob: Vec<u8>, media_type: &str) -> Self {
        let diff_ids = self.config["rootfs"]["diff_ids"].as_array_mut().unwrap();
        let layers = self.manifest["layers"].as_array_mut().unwrap();
        let paths = self.docker[0]["Layers"].as_array_mut().unwrap();
        if number == layers.len() {
            diff_ids.push(Value::Null);
            layers.push(Value::Null);
            paths.push(Value::Null);
            self.layers.push(Vec::new());
        }
        diff_ids[number] = json!(Digest::of(plain));
        layers[number] = descriptor(media_type, &blob);
        paths[number] = json!(location(&Digest::of(&blob)));
        self.layers[number] = blob;
        self.sealed()
    }

    /// Puts a plain layer with these members in the place of the upper one.
    pub fn members(self, members: &[(&str, char, &str)]) -> Self {
        self.plain_layer(tar(members))
    }

    /// Puts these bytes, as a plain layer, in the place of the upper one.
    pub fn plain_layer(self, bytes: Vec<u8>) -> Self {
        self.layer(1, &bytes, bytes.clone(), MEDIA_TYPE_LAYER)
    }

    /// Changes the configuration.
    pub fn config(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.config);
        self.sealed()
    }

    /// Changes the manifest.
    pub fn manifest(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.manifest);
        let manifest = bytes(&self.manifest);
        seal(&mut self.index["manifests"][0], &manifest);
        self
    }

    /// Changes `index.json`.
    pub fn index(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.index);
        self
    }

    /// Changes `manifest.json`.
    pub fn docker(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.docker);
        self
    }

    /// Puts a file there, over another one or besides.
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.extra.insert(name.to_owned(), content.into());
        self
    }

    /// Puts a blob there.
    pub fn blob(self, content: &[u8]) -> Self {
        self.file(&location(&Digest::of(content)), content)
    }

    /// Takes a file away.
    pub fn without(mut self, name: &str) -> Self {
        self.removed.push(name.to_owned());
        self
    }

    /// Where the blob is that the manifest calls so: `manifest`, `config`, or a layer's number.
    pub fn location(&self, blob: &str) -> String {
        location(&self.digest(blob))
    }

    /// The digest of the blob that the manifest calls so.
    pub fn digest(&self, blob: &str) -> Digest {
        match blob {
            "manifest" => Digest::of(&bytes(&self.manifest)),
            "config" => Digest::of(&bytes(&self.config)),
            number => Digest::of(&self.layers[number.parse::<usize>().unwrap()]),
        }
    }

    /// All files of the layout by name.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let documents = [bytes(&self.manifest), bytes(&self.config)];
        let blobs = self.layers.iter().chain(&documents).map(|blob| (location(&Digest::of(blob)), blob.clone()));
        let top = [(INDEX_FILE, &self.index), (DOCKER_MANIFEST_FILE, &self.docker)];
        let mut files: BTreeMap<_, _> =
            blobs.chain(top.map(|(name, document)| (name.to_owned(), bytes(document)))).collect();
        files.extend(self.extra.clone());
        files.retain(|name, _| !self.removed.contains(name));
        files
    }

    /// Writes the layout to `directory`.
    pub fn write(&self, directory: &Path) {
        for (name, content) in self.files() {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// The layout as a tar archive, every name beginning with `prefix`.
    pub fn archive(&self, prefix: &str) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, content) in self.files() {
            append(&mut builder, &format!("{prefix}{name}"), '0', &content, "");
        }
        builder.into_inner().unwrap()
    }

    fn sealed(mut self) -> Self {
        let config = bytes(&self.config);
        seal(&mut self.manifest["config"], &config);
        self.docker[0]["Config"] = json!(location(&Digest::of(&config)));
        self.manifest(|_| {})
    }
}

/// A tar archive of these members: name, type flag, and content or the target of a link.
pub(crate) fn tar(members: &[(&str, char, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, flag, text) in members {
        let (content, target) = if matches!(flag, '1' | '2') { ("", *text) } else { (*text, "") };
        append(&mut builder, name, *flag, content.as_bytes(), target);
    }
    builder.into_inner().unwrap()
}

fn append(builder: &mut Builder<Vec<u8>>, name: &str, flag: char, content: &[u8], target: &str) {
    let mut header = Header::new_ustar();
    // Not set_path: that refuses the names that are to be found.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(EntryType::new(flag as u8));
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

/// A descriptor of `blob`.
pub(crate) fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(blob), "size": blob.len()})
}

/// `document` as it is stored.
pub(crate) fn bytes(document: &Value) -> Vec<u8> {
    serde_json::to_vec(document).unwrap()
}

fn seal(descriptor: &mut Value, blob: &[u8]) {
    descriptor["digest"] = json!(Digest::of(blob));
    descriptor["size"] = json!(blob.len());
}
