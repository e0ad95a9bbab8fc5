//! Reads a docker-archive as the layout that it could have been: the same configuration and layers as blobs, and a manifest
//! and an index made for them.
//!
//! Source: docker's image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::archive::{Members, nameless_file};
use super::{DOCKER_MANIFEST_FILE, INDEX_FILE, LARGEST_DOCUMENT, LAYOUT_FILE, LayoutFile, location};
use crate::decompress::Format;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::spec::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, LAYOUT_VERSION, MEDIA_TYPE_CONFIG, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER,
    MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD, MEDIA_TYPE_MANIFEST, Reference, canonical_json,
};

/// How many links are followed to one file.
const MOST_LINKS: usize = 8;

/// An image as `manifest.json` has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// Where its configuration is.
    pub config: String,
    /// Its names with their tags, the docker hub's in short.
    pub repo_tags: Option<Vec<String>>,
    /// Where its layers are, lowest first.
    pub layers: Vec<String>,
}

impl DockerImage {
    /// Its names, each written out if it is a name.
    pub fn names(&self) -> impl Iterator<Item = (&String, Option<Reference>)> {
        let full = |tag: &str| tag.rsplit_once(':').and_then(|(name, tag)| Reference::new(name, tag).ok());
        self.repo_tags.iter().flatten().map(move |tag| (tag, full(tag)))
    }
}

/// The files of a layout with the images of the archive `path`.
pub fn layout_of(path: &Path, members: &Members, progress: &Progress) -> Result<BTreeMap<String, LayoutFile>> {
    let archive = Archive { path, members };
    let images: Vec<DockerImage> = parse(&archive, DOCKER_MANIFEST_FILE, &archive.document(DOCKER_MANIFEST_FILE)?)?;
    let mut layout = Layout { path, files: BTreeMap::new(), documents: Vec::new() };
    let mut entries = Vec::new();
    for image in &images {
        entries.extend(layout.add_image(&archive, image, progress)?);
    }
    let index = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries});
    layout.documents.push((INDEX_FILE.to_owned(), canonical_json(&index)?));
    let version = json!({"imageLayoutVersion": LAYOUT_VERSION});
    layout.documents.push((LAYOUT_FILE.to_owned(), canonical_json(&version)?));
    layout.finish()
}

/// A docker-archive.
struct Archive<'a> {
    path: &'a Path,
    members: &'a Members,
}

impl Archive<'_> {
    /// The file of this name, through links: archives have each layer once.
    fn file(&self, name: &str) -> Result<LayoutFile> {
        let mut place = name;
        for _ in 0..MOST_LINKS {
            match (self.members.files.get(place), self.members.links.get(place)) {
                (Some(file), _) => return Ok(file.clone()),
                (None, Some(target)) => place = target,
                (None, None) => break,
            }
        }
        Err(self.broken(name, "it is not there"))
    }

    fn document(&self, name: &str) -> Result<Vec<u8>> {
        let mut file = self.file(name)?;
        if file.size() > LARGEST_DOCUMENT {
            return Err(
                self.broken(name, format!("it has {} bytes, a document may have {LARGEST_DOCUMENT}", file.size()))
            );
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", self.path))?;
        Ok(bytes)
    }

    fn broken(&self, name: &str, reason: impl AsRef<str>) -> Error {
        Error::layout(self.path, format!("{name}: {}", reason.as_ref()))
    }
}

/// The layout being made.
struct Layout<'a> {
    path: &'a Path,
    files: BTreeMap<String, LayoutFile>,
    /// What no archive has.
    documents: Vec<(String, Vec<u8>)>,
}

impl Layout<'_> {
    /// Adds the blobs of `image` and gives its entries of the index: one for each name, or one without.
    fn add_image(&mut self, archive: &Archive<'_>, image: &DockerImage, progress: &Progress) -> Result<Vec<Value>> {
        let config = archive.document(&image.config)?;
        let platform = platform(&parse(archive, &image.config, &config)?);
        let config_descriptor = self.add_blob(MEDIA_TYPE_CONFIG, archive.file(&image.config)?, progress)?;
        let layers = image.layers.iter().map(|name| {
            let file = archive.file(name)?;
            let media_type = media_type(archive, name, &file)?;
            self.add_blob(media_type, file, progress)
        });
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let manifest = canonical_json(&json!({
            "schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": config_descriptor, "layers": layers,
        }))?;
        let digest = Digest::of(&manifest);
        let entry = json!({
            "mediaType": MEDIA_TYPE_MANIFEST, "digest": digest, "size": manifest.len(), "platform": platform,
        });
        self.documents.push((location(&digest), manifest));
        let named = image.names().map(|(tag, full)| {
            let mut entry = entry.clone();
            entry["annotations"] = match full {
                Some(name) => json!({ANNOTATION_REF_NAME: name.tag(), ANNOTATION_IMAGE_NAME: name.to_string()}),
                None => json!({ANNOTATION_REF_NAME: tag}),
            };
            entry
        });
        let named: Vec<_> = named.collect();
        Ok(if named.is_empty() { vec![entry] } else { named })
    }

    /// Adds `file` under its digest and gives its descriptor.
    fn add_blob(&mut self, media_type: &str, file: LayoutFile, progress: &Progress) -> Result<Value> {
        let mut reader = file.clone();
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; 1 << 18];
        loop {
            progress.check()?;
            match reader.read(&mut buffer).map_err(Error::io("read", self.path))? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        let digest = hasher.finish();
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": file.size()});
        self.files.insert(location(&digest), file);
        Ok(descriptor)
    }

    /// Writes the documents into a file without a name, so that they are read like the archive's own.
    fn finish(mut self) -> Result<BTreeMap<String, LayoutFile>> {
        let directory = std::env::temp_dir();
        let failed = || Error::io("write a temporary file in", &directory);
        let file = Arc::new(nameless_file(&directory).map_err(failed())?);
        let mut offset = 0;
        for (name, bytes) in self.documents {
            (&*file).write_all(&bytes).map_err(failed())?;
            let size = bytes.len() as u64;
            self.files.insert(name, LayoutFile { file: Arc::clone(&file), offset, size, position: 0 });
            offset += size;
        }
        Ok(self.files)
    }
}

fn parse<T: serde::de::DeserializeOwned>(archive: &Archive<'_>, name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| archive.broken(name, format!("it can't be understood: {error}")))
}

/// What an index entry says of where the image runs, as its configuration has it.
fn platform(config: &Map<String, Value>) -> Value {
    let keys = ["architecture", "os", "os.version", "os.features", "variant"];
    let known = keys.into_iter().filter_map(|key| Some((key.to_owned(), config.get(key)?.clone())));
    Value::Object(known.filter(|(_, value)| *value != json!("")).collect())
}

/// Nothing in the archive says how a layer is compressed, so its bytes do.
fn media_type(archive: &Archive<'_>, name: &str, file: &LayoutFile) -> Result<&'static str> {
    let mut head = Vec::new();
    file.clone().take(6).read_to_end(&mut head).map_err(Error::io("read", archive.path))?;
    match Format::detect(&head) {
        Format::Plain => Ok(MEDIA_TYPE_LAYER),
        Format::Gzip => Ok(MEDIA_TYPE_LAYER_GZIP),
        Format::Zstd => Ok(MEDIA_TYPE_LAYER_ZSTD),
        other => Err(archive.broken(name, format!("its bytes are {other}, a layer is uncompressed, gzip or zstd"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Sample, tar};
    use super::super::{LayoutReader, digest_of};
    use super::*;
    use crate::spec::ImageManifest;

    const CONFIG: &str =
        r#"{"architecture":"arm","os":"linux","variant":"v7","rootfs":{"type":"layers","diff_ids":[]}}"#;

    /// What `docker save` made before it made layouts; podman's layers are links.
    fn archive(manifest: &Value) -> Vec<u8> {
        let layer = String::from_utf8(tar(&[("./", '5', ""), ("etc", '0', "x")])).unwrap();
        tar(&[
            ("manifest.json", '0', &manifest.to_string()),
            ("abc.json", '0', CONFIG),
            ("1/", '5', ""),
            ("1/layer.tar", '0', &layer),
            ("2/layer.tar", '2', "../1/layer.tar"),
            ("3/layer.tar", '1', "1/layer.tar"),
            ("4/layer.tar", '0', "BZh91AY"),
            ("5/layer.tar", '2', "../../layer.tar"),
        ])
    }

    fn open(bytes: &[u8]) -> Result<LayoutReader> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.tar");
        std::fs::write(&path, bytes).unwrap();
        LayoutReader::open_image(&path, &Progress::default())
    }

    #[test]
    fn a_docker_archive_is_read_as_the_layout_of_its_images() {
        let layers = ["1/layer.tar", "2/layer.tar", "3/layer.tar"];
        let manifest = json!([
            {"Config": "abc.json", "RepoTags": ["app:1.0", "registry.example:5000/app:2"], "Layers": layers},
            {"Config": "abc.json", "RepoTags": null, "Layers": ["1/layer.tar"]},
        ]);
        let layout = open(&archive(&manifest)).unwrap();
        let index = layout.index().unwrap();
        let said = |number: usize, key: &str| {
            index.manifests()[number].annotations().clone().unwrap_or_default().get(key).cloned()
        };
        assert_eq!(index.manifests().len(), 3);
        assert_eq!(said(0, "io.containerd.image.name").unwrap(), "docker.io/library/app:1.0");
        assert_eq!(said(1, "io.containerd.image.name").unwrap(), "registry.example:5000/app:2");
        assert_eq!(said(1, "org.opencontainers.image.ref.name").unwrap(), "2");
        assert_eq!(said(2, "io.containerd.image.name"), None);
        let platform = index.manifests()[0].platform().clone().unwrap();
        assert_eq!(
            (platform.architecture().to_string(), platform.variant().clone()),
            ("arm".into(), Some("v7".into()))
        );
        let manifest: ImageManifest = layout.read_document(&index.manifests()[0]).unwrap();
        let config: Value = layout.read_document(manifest.config()).unwrap();
        assert_eq!(config.to_string(), serde_json::from_str::<Value>(CONFIG).unwrap().to_string());
        assert_eq!(manifest.layers().len(), 3);
        for layer in manifest.layers() {
            assert_eq!(layer.media_type().to_string(), "application/vnd.oci.image.layer.v1.tar");
            let mut bytes = Vec::new();
            layout.blob(&digest_of(layer).unwrap()).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(
                (Digest::of(&bytes).to_string(), bytes.len() as u64),
                (layer.digest().to_string(), layer.size())
            );
        }
    }

    #[test]
    fn what_a_docker_archive_lacks_is_named() {
        for (config, layer, said) in [
            ("none.json", "1/layer.tar", "none.json: it is not there"),
            ("1/layer.tar", "1/layer.tar", "1/layer.tar: it can't be understood"),
            ("abc.json", "9/layer.tar", "9/layer.tar: it is not there"),
            ("abc.json", "5/layer.tar", "5/layer.tar: it is not there"),
            ("abc.json", "4/layer.tar", "4/layer.tar: its bytes are bzip2"),
        ] {
            let manifest = json!([{"Config": config, "RepoTags": [], "Layers": [layer]}]);
            let error = open(&archive(&manifest)).unwrap_err().to_string();
            assert!(error.contains("image.tar") && error.contains(said), "{error}");
        }
        let error = open(&archive(&json!({}))).unwrap_err().to_string();
        assert!(error.contains("manifest.json: it can't be understood"), "{error}");
    }

    #[test]
    fn a_layout_beside_the_manifest_counts() {
        let layout = open(&Sample::new().archive("")).unwrap();
        let index = layout.index().unwrap();
        let name = index.manifests()[0].annotations().as_ref().unwrap()["io.containerd.image.name"].clone();
        assert_eq!(name, sample::NAME);
    }
}
