//! What can be wrong.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::Serialize;

/// One thing that is wrong. Findings are sorted by what kind they are, then by what they are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What kind of thing: one of [`CODES`].
    pub code: String,
    /// The digest of the blob, or the name of the file, that it is about.
    pub subject: String,
    /// What was found and what should be there.
    pub message: String,
}

/// Every code with what it means. Codes don't change between releases.
pub const CODES: [(&str, &str); 45] = [
    ("absolute-path", "a layer has a member whose name begins with a slash"),
    ("archive", "the archive around the layout is cut off or broken"),
    ("blob-digest", "a blob's bytes don't have the digest it is stored under"),
    ("blob-missing", "a blob that is neither index, manifest, configuration nor layer is not there"),
    ("blob-size", "such a blob has another size than its descriptor says"),
    ("climbing-path", "a layer has a member with .. in its name"),
    ("config-digest", "a configuration's bytes don't have the digest its descriptor says"),
    ("config-media-type", "a manifest of layers has a configuration that is not an image's"),
    ("config-missing", "a configuration is not there"),
    ("config-schema", "a configuration is not what image-spec says it is"),
    ("config-size", "a configuration has another size than its descriptor says"),
    ("created", "a time is not written as RFC 3339 has it"),
    ("diff-id", "a layer's uncompressed bytes don't have the digest the configuration says"),
    ("diff-id-count", "a configuration has more or fewer diff_ids than its manifest has layers"),
    ("digest", "a descriptor's digest has an algorithm that is not known"),
    ("docker-manifest", "manifest.json is not what docker reads"),
    ("docker-manifest-config", "manifest.json names a configuration that no manifest has"),
    ("docker-manifest-layers", "manifest.json names other layers than the manifest"),
    ("docker-manifest-tags", "manifest.json lacks a name that index.json gives the image"),
    ("duplicate-path", "a layer has two members of the same name"),
    ("entry-type", "a layer has a member of a type that no layer should have"),
    ("hard-link", "a layer has a hard link to what is no file before it"),
    ("history", "the history has another number of layers than the manifest"),
    ("index-digest", "an index's bytes don't have the digest its descriptor says"),
    ("index-media-type", "an index says of itself that it is something else"),
    ("index-missing", "an index is not there"),
    ("index-schema", "an index is not what image-spec says it is"),
    ("index-size", "an index has another size than its descriptor says"),
    ("layer-compression", "a layer can't be decompressed to its end"),
    ("layer-digest", "a layer's bytes don't have the digest its descriptor says"),
    ("layer-end", "a layer's tar stream is not ended by two blocks of zeros"),
    ("layer-media-type", "a layer is compressed otherwise than its media type says, or has that of no layer"),
    ("layer-missing", "a layer is not there"),
    ("layer-size", "a layer has another size than its descriptor says"),
    ("layer-tar", "a layer is no tar stream, or a broken one"),
    ("layer-trailing-bytes", "a layer goes on behind the end of its tar stream"),
    ("manifest-digest", "a manifest's bytes don't have the digest its descriptor says"),
    ("manifest-media-type", "a manifest says of itself that it is something else"),
    ("manifest-missing", "a manifest is not there"),
    ("manifest-schema", "a manifest is not what image-spec says it is"),
    ("manifest-size", "a manifest has another size than its descriptor says"),
    ("oci-layout", "the file oci-layout is missing, broken, or of an unknown version"),
    ("platform", "a platform is empty, or the index has another one than the configuration"),
    ("stray-file", "a file among the blobs is none"),
    ("unreferenced-blob", "a blob is stored that nothing refers to"),
];

/// Findings as they are collected, each once.
#[derive(Debug, Default)]
pub struct Findings(BTreeSet<Finding>);

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, code: impl Into<String>, subject: &dyn Display, message: impl Into<String>) {
        self.0.insert(Finding { code: code.into(), subject: subject.to_string(), message: message.into() });
    }

    /// All of them.
    pub fn sorted(self) -> Vec<Finding> {
        self.0.into_iter().collect()
    }
}
