//! The description of a build, as every front end sends it: `ImageSpec` in JSON.
//!
//! The Python package checks values where the user can be told which variable or option was wrong; here only what the
//! engine itself relies on is checked again.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;

use serde::Deserialize;

use super::layers_request::LayersRequest;
use crate::compress::{Cache, Compression};
use crate::error::{Error, Result};
use crate::rootfs::Source;
use crate::spec::Reference;

/// Everything that a build depends on, besides the root filesystem and SOURCE_DATE_EPOCH.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// Root filesystems, the later ones lying over the earlier ones.
    pub sources: Vec<SourceRequest>,
    /// The repository under which runtimes list the image, without its tag.
    pub name: String,
    /// The tag.
    #[serde(default = "latest")]
    pub tag: String,
    /// Further names for `manifest.json`: `TAG` or `NAME:TAG` each.
    #[serde(default)]
    pub extra_tags: Vec<String>,
    /// What the image runs on.
    pub platform: PlatformRequest,
    /// How a container of it is run.
    #[serde(default)]
    pub config: ConfigRequest,
    /// Who made it.
    #[serde(default)]
    pub author: Option<String>,
    /// When it was made, in whole seconds since 1970, and what no modification time may exceed.
    #[serde(default)]
    pub created: Option<i64>,
    /// Annotations of the manifest and of its entry in `index.json`.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// How layers are compressed.
    #[serde(default)]
    pub compression: CompressionRequest,
    /// The image that this one is built upon.
    #[serde(default)]
    pub base: Option<BaseRequest>,
    /// How the root filesystem is split into layers.
    #[serde(default)]
    pub layers: LayersRequest,
    /// Extended attributes to leave out: names, `*` at the end stands for any ending.
    #[serde(default = "default_excluded_xattrs")]
    pub exclude_xattrs: Vec<String>,
    /// What to write.
    pub output: OutputRequest,
    /// Where members that were compressed before are kept.
    #[serde(default)]
    pub cache: Option<CacheRequest>,
    /// How many threads compress; as many as there are processors when it is not given.
    #[serde(default)]
    pub threads: Option<NonZero<usize>>,
}

/// One root filesystem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRequest {
    /// A directory or an archive.
    pub path: PathBuf,
    /// The absolute path of the directory in the image under which it lands.
    #[serde(default = "root")]
    pub target: String,
}

/// What the image runs on, in Go's names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformRequest {
    /// GOARCH.
    pub architecture: String,
    /// GOOS.
    #[serde(default = "linux")]
    pub os: String,
    /// Which variant of the architecture.
    #[serde(default)]
    pub variant: Option<String>,
}

/// The image that another is built upon.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRequest {
    /// A layout directory, or an archive of one.
    pub path: PathBuf,
    /// Which of several images in it: a tag, or a full name.
    #[serde(default)]
    pub tag: Option<String>,
    /// What becomes of its files that are not in the root filesystem.
    #[serde(default)]
    pub mode: BaseMode,
}

/// What becomes of files of the base that are not in the root filesystem.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BaseMode {
    /// They stay.
    #[default]
    Overlay,
    /// They go: the image is the root filesystem.
    Exact,
}

/// The `config` object of an image configuration. What is none is the base image's; what is empty is nothing, also where a
/// base image has something. Source: image-spec v1.1.1, config.md, "Properties".
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigRequest {
    /// User and group, by name or number.
    pub user: Option<String>,
    /// Ports with their protocol.
    pub exposed_ports: Option<Vec<String>>,
    /// Environment variables, `NAME=VALUE`, in order; beside those of a base image.
    pub env: Vec<String>,
    /// What a container runs.
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments of the entrypoint, or without one the default command.
    pub cmd: Option<Vec<String>>,
    /// Directories that hold a container's own data.
    pub volumes: Option<Vec<String>>,
    /// Current directory of the process.
    pub working_dir: Option<String>,
    /// Labels; beside those of a base image.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the container to exit.
    pub stop_signal: Option<String>,
}

/// How layers are compressed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressionRequest {
    /// `gzip`, `zstd` or `none`.
    #[serde(default = "gzip")]
    pub algorithm: String,
    /// The algorithm's own scale.
    #[serde(default)]
    pub level: Option<i32>,
}

/// Where members that were compressed before are kept. It never changes a byte of the output.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRequest {
    /// The directory, which builds may share.
    pub directory: PathBuf,
    /// How many bytes it may hold; beyond that goes what was not used for longest.
    #[serde(default = "default_cache_limit")]
    pub limit: u64,
}

/// What to write.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRequest {
    /// A layout directory.
    #[serde(default)]
    pub layout: Option<PathBuf>,
    /// Archives of the layout.
    #[serde(default)]
    pub archives: Vec<ArchiveRequest>,
    /// Whether outputs that exist are replaced.
    #[serde(default)]
    pub replace: bool,
}

/// An archive of the layout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveRequest {
    /// Where it is written.
    pub path: PathBuf,
    /// The directory inside the archive that holds the layout; empty for its top level.
    #[serde(default)]
    pub prefix: String,
}

impl ImageSpec {
    /// Reads a description.
    ///
    /// # Errors
    /// [`Error::Spec`] when the text is no such description, or asks for no source or no output.
    pub fn from_json(text: &str) -> Result<Self> {
        let beginning = || text.chars().take(60).collect::<String>();
        let spec: Self =
            serde_json::from_str(text).map_err(|error| Error::spec("spec", beginning(), error.to_string()))?;
        if spec.sources.is_empty() {
            return Err(Error::spec("sources", "[]", "an image is made of at least one root filesystem"));
        }
        spec.layers.check()?;
        if spec.output.layout.is_none() && spec.output.archives.is_empty() {
            return Err(Error::spec("output", "{}", "a build writes a layout, an archive or both"));
        }
        Ok(spec)
    }

    /// The root filesystems as the engine takes them.
    ///
    /// # Errors
    /// [`Error::Spec`] for a target that is not absolute or climbs with `..`.
    pub fn sources(&self) -> Result<Vec<Source>> {
        self.sources.iter().map(|source| Ok(Source { path: source.path.clone(), target: source.target()? })).collect()
    }

    /// All names of the image; the first one is that of `index.json`.
    ///
    /// # Errors
    /// [`Error::Spec`] for one that breaks the grammar, or that is there twice.
    pub fn references(&self) -> Result<Vec<Reference>> {
        let mut references = vec![Reference::new(&self.name, &self.tag)?];
        for text in &self.extra_tags {
            let sibling = references[0].sibling(text)?;
            if references.contains(&sibling) {
                return Err(Error::spec("extra_tags", text, format!("the image is called {sibling} already")));
            }
            references.push(sibling);
        }
        Ok(references)
    }

    /// The compression as the engine takes it.
    ///
    /// # Errors
    /// [`Error::Spec`] for an unknown algorithm or level.
    pub fn compression(&self) -> Result<Compression> {
        Compression::new(&self.compression.algorithm, self.compression.level)
    }

    /// The cache as the engine takes it.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be written to.
    pub fn cache(&self) -> Result<Option<Cache>> {
        self.cache.as_ref().map(|cache| Cache::open(&cache.directory, cache.limit)).transpose()
    }

    /// How many threads compress.
    pub fn threads(&self) -> NonZero<usize> {
        self.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN)
    }
}

impl SourceRequest {
    /// The target as entries have it.
    pub(super) fn target(&self) -> Result<Vec<u8>> {
        let parts: Vec<_> = self.target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if !self.target.starts_with('/') || parts.contains(&"..") {
            return Err(Error::spec("sources.target", &*self.target, "a target is an absolute path without '..'"));
        }
        Ok(parts.join("/").into_bytes())
    }
}

impl Default for CompressionRequest {
    fn default() -> Self {
        Self { algorithm: gzip(), level: None }
    }
}

/// 4 GiB: some ten large images.
fn default_cache_limit() -> u64 {
    4 << 30
}

/// The tag that is meant where none is said.
pub fn latest() -> String {
    "latest".to_owned()
}

fn linux() -> String {
    "linux".to_owned()
}

fn gzip() -> String {
    "gzip".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn default_excluded_xattrs() -> Vec<String> {
    ["security.selinux", "trusted.*", "system.nfs4_acl"].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"sources": [{"path": "/r"}], "name": "app", "platform": {"architecture": "amd64"},
                            "output": {"layout": "/x"}}"#;

    #[test]
    fn what_is_not_given_has_the_documented_default() {
        let spec = ImageSpec::from_json(LEAST).unwrap();
        assert_eq!((spec.tag.as_str(), spec.platform.os.as_str()), ("latest", "linux"));
        assert_eq!(spec.compression().unwrap(), Compression::new("gzip", None).unwrap());
        assert_eq!(spec.exclude_xattrs, ["security.selinux", "trusted.*", "system.nfs4_acl"]);
        assert_eq!(spec.sources().unwrap()[0].target, b"");
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        for twice in ["latest", "docker.io/app:latest", "x\", \"app:x"] {
            let tags = format!("\"extra_tags\": [\"{twice}\"], \"name\"");
            let spec = ImageSpec::from_json(&LEAST.replace("\"name\"", &tags)).unwrap();
            let error = spec.references().unwrap_err().to_string();
            assert!(error.starts_with("extra_tags: ") && error.contains("the image is called"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, word) in [
            (LEAST.replace("\"name\"", "\"nmae\""), "nmae"),
            (LEAST.replace("{\"layout\": \"/x\"}", "{}"), "output: "),
            (LEAST.replace("[{\"path\": \"/r\"}]", "[]"), "sources: "),
        ] {
            let error = ImageSpec::from_json(&wrong).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        for target in ["opt", "/opt/../etc"] {
            let with_target = LEAST.replace("\"/r\"", &format!("\"/r\", \"target\": \"{target}\""));
            let error = ImageSpec::from_json(&with_target).unwrap().sources().unwrap_err().to_string();
            assert!(error.starts_with("sources.target: ") && error.contains(target), "{error}");
        }
    }
}
