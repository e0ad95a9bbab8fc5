//! The image that another is built upon: its layers go below the new ones, its configuration is where the new one begins.

use std::collections::BTreeMap;
use std::fs::File;

use serde_json::{Map, Value, json};

use super::documents::platform;
use super::request::{BaseMode, BaseRequest, ConfigRequest, ImageSpec};
use crate::error::{Error, Result};
use crate::layer::{self, Contents, View, delta};
use crate::layout::{LayoutReader, LayoutWriter};
use crate::progress::Progress;
use crate::rootfs::{Entry, XattrPolicy};
use crate::spec::{
    ANNOTATION_BASE_DIGEST, ANNOTATION_BASE_NAME, ANNOTATION_IMAGE_NAME, Descriptor, ImageConfiguration, ImageManifest,
    MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD, MediaType,
};

/// An image to build upon.
#[derive(Debug)]
pub struct Base {
    layout: LayoutReader,
    entry: Descriptor,
    manifest: ImageManifest,
    configuration: ImageConfiguration,
    document: Map<String, Value>,
    mode: BaseMode,
}

impl Base {
    /// Opens the image that `request` means; it has to be for the platform of `spec`.
    ///
    /// # Errors
    /// [`Error::Layout`] for a layout that is broken or has no such image, [`Error::Spec`] for one of another platform.
    pub fn open(request: &BaseRequest, spec: &ImageSpec, progress: &Progress) -> Result<Self> {
        let layout = LayoutReader::open_image(&request.path, progress)?;
        let entry = layout.choose(request.tag.as_deref(), &platform(&spec.platform)?, progress)?;
        let manifest: ImageManifest = layout.read_document(&entry)?;
        let configuration: ImageConfiguration = layout.read_document(manifest.config())?;
        let document: Map<String, Value> = layout.read_document(manifest.config())?;
        let base = Self { layout, entry, manifest, configuration, document, mode: request.mode };
        base.check_platform(spec)?;
        Ok(base)
    }

    fn check_platform(&self, spec: &ImageSpec) -> Result<()> {
        let ours = &spec.platform;
        let theirs = |key: &str| self.document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let shown = |os: &str, architecture: &str, variant: &str| {
            [os, architecture, variant].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
        };
        let variant = ours.variant.clone().unwrap_or_default();
        let (os, architecture, base_variant) = (theirs("os"), theirs("architecture"), theirs("variant"));
        // Who says nothing of a variant does not mind which.
        let variants_agree = variant.is_empty() || base_variant.is_empty() || variant == base_variant;
        if (&os, &architecture) != (&ours.os, &ours.architecture) || !variants_agree {
            let (ours, base) =
                (shown(&ours.os, &ours.architecture, &variant), shown(&os, &architecture, &base_variant));
            let reason = format!("the base image is for {base} and this image for {ours}; they have to agree");
            return Err(Error::spec("base.path", self.layout.path().to_string_lossy(), reason));
        }
        Ok(())
    }

    /// What of `entries` the new layers have to hold.
    ///
    /// # Errors
    /// [`Error::Layout`] naming the layer of the base that is broken, and those of comparing.
    pub fn contents(
        &self,
        entries: Vec<Entry>,
        policy: &XattrPolicy,
        scratch: &dyn Fn() -> Result<File>,
        progress: &Progress,
    ) -> Result<Contents> {
        let diff_ids = self.configuration.rootfs().diff_ids();
        let view = View::read(&self.layout, self.manifest.layers(), diff_ids, policy, scratch, progress)?;
        let mode = match self.mode {
            BaseMode::Overlay => layer::Mode::Overlay,
            BaseMode::Exact => layer::Mode::Exact,
        };
        delta(entries, &view, mode, progress)
    }

    /// Puts the base's layers, which were verified when their contents were compared, into `layout`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Layout`].
    pub fn adopt_layers(&self, layout: &LayoutWriter, progress: &Progress) -> Result<()> {
        self.manifest.layers().iter().try_for_each(|layer| {
            progress.check()?;
            layout.adopt(&self.layout, layer)
        })
    }

    /// The descriptors of its layers, lowest first, under the media types of image-spec.
    pub fn layers(&self) -> Vec<Descriptor> {
        let layer = |layer: &Descriptor| {
            let mut layer = layer.clone();
            let media_type = match layer.media_type().as_ref() {
                "application/vnd.docker.image.rootfs.diff.tar" => MEDIA_TYPE_LAYER,
                "application/vnd.docker.image.rootfs.diff.tar.gzip" => MEDIA_TYPE_LAYER_GZIP,
                "application/vnd.docker.image.rootfs.diff.tar.zstd" => MEDIA_TYPE_LAYER_ZSTD,
                _ => return layer,
            };
            layer.set_media_type(MediaType::from(media_type));
            layer
        };
        self.manifest.layers().iter().map(layer).collect()
    }

    /// What a manifest says of the image below: its name, and the digest of its manifest, which in a docker-archive has
    /// none. Source: image-spec v1.1.1, annotations.md.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let name = self.entry.annotations().as_ref().and_then(|annotations| annotations.get(ANNOTATION_IMAGE_NAME));
        let name = name.map(|name| (ANNOTATION_BASE_NAME.to_owned(), name.clone()));
        let digest = (ANNOTATION_BASE_DIGEST.to_owned(), self.entry.digest().to_string());
        let digest = Some(digest).filter(|_| !self.layout.is_docker_archive());
        digest.into_iter().chain(name).collect()
    }

    /// Its history, with as many entries that made a layer as there are layers: it may tell none at all, and the whole
    /// has to be complete or left out.
    fn history(&self) -> Vec<Value> {
        let told = self.document.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
        let made_layer = |step: &&Value| step.get("empty_layer").and_then(Value::as_bool) != Some(true);
        match self.manifest.layers().len() {
            layers if told.iter().filter(made_layer).count() == layers => told,
            layers => vec![json!({"comment": UNTOLD}); layers],
        }
    }

    /// A line for whoever reads the log.
    pub fn note(&self) -> String {
        let count = self.manifest.layers().len();
        format!("on {count} layer{} of the base image {}", if count == 1 { "" } else { "s" }, self.entry.digest())
    }

    /// `ours`, the configuration of the new layers alone, on top of the base's. What `request` does not set is the base's,
    /// also what this program knows nothing of; labels and environment are both images'.
    pub fn configuration(&self, mut ours: Map<String, Value>, request: &ConfigRequest) -> Map<String, Value> {
        let object = |document: &Map<String, Value>, key: &str| match document.get(key) {
            Some(Value::Object(object)) => object.clone(),
            _ => Map::new(),
        };
        let array = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut config = object(&self.document, "config");
        let our_config = object(&ours, "config");
        for (key, is_set) in [
            ("User", request.user.is_some()),
            ("ExposedPorts", request.exposed_ports.is_some()),
            ("Entrypoint", request.entrypoint.is_some()),
            ("Cmd", request.cmd.is_some()),
            ("Volumes", request.volumes.is_some()),
            ("WorkingDir", request.working_dir.is_some()),
            ("StopSignal", request.stop_signal.is_some()),
        ] {
            match our_config.get(key).filter(|_| is_set) {
                Some(value) => drop(config.insert(key.to_owned(), value.clone())),
                None if is_set => drop(config.remove(key)),
                None => {}
            }
        }
        let mut labels = object(&config, "Labels");
        labels.extend(object(&our_config, "Labels"));
        let environment = merged_environment(array(config.get("Env")), array(our_config.get("Env")));
        for (key, value, is_empty) in [
            ("Env", Value::Array(environment.clone()), environment.is_empty()),
            ("Labels", Value::Object(labels.clone()), labels.is_empty()),
        ] {
            if !is_empty {
                config.insert(key.to_owned(), value);
            }
        }
        ours.insert("config".to_owned(), Value::Object(config));
        let mut rootfs = object(&ours, "rootfs");
        let diff_ids =
            [array(object(&self.document, "rootfs").get("diff_ids")), array(rootfs.get("diff_ids"))].concat();
        rootfs.insert("diff_ids".to_owned(), Value::Array(diff_ids));
        ours.insert("rootfs".to_owned(), Value::Object(rootfs));
        let history = [self.history(), array(ours.get("history"))].concat();
        ours.insert("history".to_owned(), Value::Array(history));
        for key in ["os.version", "os.features", "variant"] {
            if let (false, Some(value)) = (ours.contains_key(key), self.document.get(key)) {
                ours.insert(key.to_owned(), value.clone());
            }
        }
        ours
    }
}

/// What stands in the history for a layer of a base that does not tell its own.
const UNTOLD: &str = "a layer of the base image";

/// The base's variables in their order, each with our value where we have one, and then our others.
fn merged_environment(mut base: Vec<Value>, ours: Vec<Value>) -> Vec<Value> {
    let key = |value: &Value| value.as_str().map(|text| text.split('=').next().unwrap_or(text).to_owned());
    for variable in ours {
        match base.iter_mut().find(|below| key(below) == key(&variable)) {
            Some(below) => *below = variable,
            None => base.push(variable),
        }
    }
    base
}
