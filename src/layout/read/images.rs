//! Which images a layout has, and which one is meant.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::LayoutReader;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::spec::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, ImageIndex, ImageManifest, MEDIA_TYPE_INDEX,
    MEDIA_TYPE_MANIFEST, Platform,
};

/// The tag that is meant where none is said.
const USUAL_TAG: &str = "latest";

/// How many images may be read to describe them in a message.
const MOST_READ_FOR_A_MESSAGE: usize = 20;

impl LayoutReader {
    /// The index entries of all manifests, those of nested indexes included, which inherit the names of theirs.
    ///
    /// # Errors
    /// [`Error::Layout`] for an index that is broken, [`Error::Io`].
    pub fn manifests(&self) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        // A stack, so that what a nested index lists comes where that index stands.
        let mut pending: Vec<Descriptor> = self.index()?.manifests().iter().rev().cloned().collect();
        // Of indexes, each twice in the one above it, forty would be a million million.
        let mut seen = BTreeSet::new();
        while let Some(entry) = pending.pop() {
            match entry.media_type().as_ref() {
                MEDIA_TYPE_INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                    if !seen.insert((entry.digest().to_string(), names(&entry))) {
                        continue;
                    }
                    let nested: ImageIndex = self.read_document(&entry)?;
                    pending.extend(nested.manifests().iter().rev().map(|inner| {
                        let mut inner = inner.clone();
                        if names(&inner).is_empty() {
                            inner.set_annotations(entry.annotations().clone());
                        }
                        inner
                    }));
                }
                MEDIA_TYPE_MANIFEST | "application/vnd.docker.distribution.manifest.v2+json" => found.push(entry),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The manifests of a layout that has one image, for one platform or several.
    ///
    /// # Errors
    /// [`Error::Layout`] telling what there is when it has images of several names, or none; those of
    /// [`LayoutReader::manifests`].
    pub fn manifests_of_one_image(&self) -> Result<Vec<Descriptor>> {
        let mut different: Vec<Descriptor> = Vec::new();
        for entry in self.manifests()? {
            if different.iter().all(|other| other.digest() != entry.digest()) {
                different.push(entry);
            }
        }
        match different.split_first() {
            Some((first, others)) if others.iter().all(|other| names(other) == names(first)) => Ok(different),
            _ => Err(self.not_one(&different)),
        }
    }

    /// The manifest of a layout that has one image, under however many names.
    ///
    /// # Errors
    /// [`Error::Layout`] telling what there is when that is not one image; those of [`LayoutReader::manifests`].
    pub fn only_manifest(&self) -> Result<Descriptor> {
        let mut all = self.manifests()?;
        if is_one(&all) {
            return Ok(all.swap_remove(0));
        }
        Err(self.not_one(&all))
    }

    fn not_one(&self, all: &[Descriptor]) -> Error {
        let there = self.shown(all);
        Error::layout(self.path(), format!("it must have one image, and has {}: {there}", all.len()))
    }

    /// What the image of `entry` runs on: as the index says, or else its configuration. None if neither says anything.
    ///
    /// # Errors
    /// Those of [`LayoutReader::read_document`].
    pub fn platform(&self, entry: &Descriptor) -> Result<Option<Platform>> {
        if entry.platform().is_some() {
            return Ok(entry.platform().clone());
        }
        let manifest: ImageManifest = self.read_document(entry)?;
        let config: Map<String, Value> = self.read_document(manifest.config())?;
        // A platform has the fields of a configuration, and ignores the others. An artifact's configuration has neither.
        Ok(serde_json::from_value(Value::Object(config)).ok())
    }

    /// The manifest with this tag or full name, if there are several for this platform. A single one needs no tag, and one
    /// without a name has any; of several the one called `latest` is meant where no tag is given.
    ///
    /// # Errors
    /// [`Error::Layout`] telling what there is when none or several could be meant; those of [`LayoutReader::manifests`] and
    /// [`LayoutReader::platform`]; [`Error::Interrupted`].
    pub fn choose(&self, tag: Option<&str>, platform: &Platform, progress: &Progress) -> Result<Descriptor> {
        let all = self.manifests()?;
        let mut possible = all.clone();
        if let Some(tag) = tag {
            possible.retain(|entry| is_called(entry, tag) || all.len() == 1 && names(entry).is_empty());
        }
        if !is_one(&possible) {
            possible = self.only_for(platform, possible, progress)?;
        }
        if !is_one(&possible) && tag.is_none() {
            let usual: Vec<_> = possible.iter().filter(|entry| is_called(entry, USUAL_TAG)).cloned().collect();
            possible = if usual.is_empty() { possible } else { usual };
        }
        if is_one(&possible) {
            return Ok(possible.remove(0));
        }
        let wanted = match tag {
            Some(tag) => format!("called {tag:?} for {}", shown_platform(platform)),
            None => format!("for {}", shown_platform(platform)),
        };
        let there = self.shown(&all);
        Err(Error::layout(
            self.path(),
            match (possible.len(), all.len()) {
                (_, 0) => "it has no image".to_owned(),
                (0, _) => format!("it has no image {wanted}; it has {there}"),
                (count, _) => format!("it has {count} images {wanted}: {there}"),
            },
        ))
    }

    fn only_for(&self, platform: &Platform, entries: Vec<Descriptor>, progress: &Progress) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        for entry in entries {
            progress.check()?;
            if is_for(self.platform(&entry)?.as_ref(), platform) {
                found.push(entry);
            }
        }
        Ok(found)
    }

    /// What there is, for messages. Configurations are read of a few images only, and one that can't be read is no error.
    fn shown(&self, entries: &[Descriptor]) -> String {
        let is_few = entries.len() <= MOST_READ_FOR_A_MESSAGE;
        let shown = |entry: &Descriptor| {
            let name = names(entry).into_iter().next().unwrap_or_else(|| entry.digest().to_string());
            let own = if is_few { self.platform(entry).ok().flatten() } else { entry.platform().clone() };
            own.map_or_else(|| name.clone(), |own| format!("{name} for {}", shown_platform(&own)))
        };
        entries.iter().map(shown).collect::<Vec<_>>().join("; ")
    }
}

/// Whether all of `entries` are the same image under several names.
fn is_one(entries: &[Descriptor]) -> bool {
    entries.first().is_some_and(|first| entries.iter().all(|entry| entry.digest() == first.digest()))
}

fn is_called(entry: &Descriptor, name: &str) -> bool {
    names(entry).iter().any(|known| known == name)
}

fn names(entry: &Descriptor) -> Vec<String> {
    let annotations = entry.annotations().as_ref();
    let named = |key| annotations.and_then(|annotations| annotations.get(key)).cloned();
    [ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME].into_iter().filter_map(named).collect()
}

/// Whether an image of the platform `own` runs on `platform`: an unset platform or variant matches any.
fn is_for(own: Option<&Platform>, platform: &Platform) -> bool {
    own.is_none_or(|own| {
        let variants = [own.variant(), platform.variant()].map(|variant| variant.as_deref().unwrap_or_default());
        let variants_agree = variants.contains(&"") || variants[0] == variants[1];
        (own.os(), own.architecture()) == (platform.os(), platform.architecture()) && variants_agree
    })
}

fn shown_platform(platform: &Platform) -> String {
    let (os, architecture) = (platform.os(), platform.architecture());
    match platform.variant().as_deref().filter(|variant| !variant.is_empty()) {
        Some(variant) => format!("{os}/{architecture}/{variant}"),
        None => format!("{os}/{architecture}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::sample::{Sample, bytes, descriptor};
    use super::*;
    use crate::digest::Digest;
    use crate::spec::MEDIA_TYPE_CONFIG;

    fn platform(word: &str) -> Value {
        let parts: Vec<_> = word.split('/').collect();
        let mut platform = json!({"os": parts[0], "architecture": parts[1]});
        if let Some(variant) = parts.get(2) {
            platform["variant"] = json!(variant);
        }
        platform
    }

    /// Configuration and manifest of the image of words: the first one is its author, `(os/architecture/variant)` what its
    /// configuration says.
    fn documents(words: &str) -> [Vec<u8>; 2] {
        let own = words.split(' ').find_map(|word| word.strip_prefix('(')?.strip_suffix(')'));
        let mut config = own.map_or(json!({}), platform);
        config["author"] = json!(words.split(' ').next());
        let config = bytes(&config);
        let manifest = json!({
            "schemaVersion": 2, "config": descriptor(MEDIA_TYPE_CONFIG, &config), "layers": [],
        });
        [config, bytes(&manifest)]
    }

    /// An index entry of words: those of its image, `=tag`, `@name`, `os/architecture/variant`.
    fn entry(words: &str) -> Value {
        let mut entry = descriptor(MEDIA_TYPE_MANIFEST, &documents(words)[1]);
        for word in words.split(' ').skip(1).filter(|word| !word.starts_with('(')) {
            if let Some(tag) = word.strip_prefix('=') {
                entry["annotations"]["org.opencontainers.image.ref.name"] = json!(tag);
            } else if let Some(name) = word.strip_prefix('@') {
                entry["annotations"]["io.containerd.image.name"] = json!(name);
            } else {
                entry["platform"] = platform(word);
            }
        }
        entry
    }

    /// What is chosen from these entries; those in braces stand in an index of their own, which is called `=nested`.
    fn chosen(entries: &[&str], tag: &str, wanted: &str) -> Result<String> {
        let mut sample = Sample::new();
        let mut authors = BTreeMap::new();
        for words in entries {
            let words = words.trim_start_matches('{').trim_end_matches('}');
            let [config, manifest] = documents(words);
            sample = sample.blob(&config).blob(&manifest);
            authors.insert(Digest::of(&manifest).to_string(), words.split(' ').next().unwrap());
        }
        let (mut top, mut nested) = (Vec::new(), Vec::new());
        for words in entries {
            match words.strip_prefix('{') {
                Some(words) => nested.push(entry(words.trim_end_matches('}'))),
                None => top.push(entry(words)),
            }
        }
        if !nested.is_empty() {
            let index = bytes(&json!({"schemaVersion": 2, "manifests": nested}));
            let mut entry = descriptor(MEDIA_TYPE_INDEX, &index);
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": "nested"});
            top.push(entry);
            sample = sample.blob(&index);
        }
        let directory = tempfile::tempdir().unwrap();
        sample.index(|index| index["manifests"] = json!(top)).write(directory.path());
        let layout = LayoutReader::open(directory.path(), &Progress::default())?;
        let wanted = serde_json::from_value(platform(wanted)).unwrap();
        let found =
            layout.choose(Some(tag).filter(|tag| !tag.is_empty()), &wanted, &Progress::default())?.digest().to_string();
        Ok(authors[&found].to_owned())
    }

    #[test]
    fn the_image_that_is_meant_is_found() {
        for (entries, tag, platform, found) in [
            (&["a"][..], "", "linux/arm64", "a"),
            (&["a =1.0"], "", "linux/arm64", "a"),
            (&["a"], "1.0", "linux/arm64", "a"),
            (&["a =1.0", "b =2.0"], "2.0", "linux/arm64", "b"),
            (&["a =1 @x/app:1", "b =1 @x/other:1"], "x/other:1", "linux/arm64", "b"),
            (&["a =1.0", "b =latest"], "", "linux/arm64", "b"),
            (&["a =1.0", "a =latest"], "", "linux/arm64", "a"),
            (&["a linux/amd64", "b linux/arm64/v8"], "", "linux/arm64", "b"),
            (&["a linux/arm/v6", "b linux/arm/v7"], "", "linux/arm/v7", "b"),
            (&["a windows/amd64", "b linux/amd64"], "", "linux/amd64", "b"),
            (&["a linux/amd64", "b unknown/unknown"], "", "linux/amd64", "a"),
            (&["a (linux/amd64)", "b (linux/arm64)"], "", "linux/arm64", "b"),
            (&["a =1 (linux/arm/v6)", "b =1 (linux/arm/v7)"], "1", "linux/arm/v7", "b"),
            (&["a (linux/arm/v6)", "b linux/arm/v7"], "", "linux/arm/v6", "a"),
            (&["a linux/amd64 (linux/arm64)", "b linux/arm64 (linux/amd64)"], "", "linux/amd64", "a"),
            (&["{a (linux/amd64)}", "{b (linux/arm64)}"], "nested", "linux/arm64", "b"),
            (&["c =1.0 linux/amd64", "{a linux/amd64}", "{b linux/arm64}"], "nested", "linux/arm64", "b"),
            (&["c =1.0 linux/amd64", "{a linux/amd64}", "{b =own linux/arm64}"], "own", "linux/arm64", "b"),
        ] {
            assert_eq!(chosen(entries, tag, platform).unwrap(), found, "{entries:?}: {tag:?} for {platform}");
        }
    }

    #[test]
    fn what_could_be_meant_is_told() {
        for (entries, tag, platform, said) in [
            (&[][..], "", "linux/amd64", "it has no image"),
            (&["a =1.0"], "2.0", "linux/amd64", "no image called \"2.0\" for linux/amd64; it has 1.0"),
            (
                &["a =1 linux/arm/v6", "b =1 linux/arm/v7"],
                "1",
                "linux/arm",
                "it has 2 images called \"1\" for linux/arm: 1 for linux/arm/v6; 1 for linux/arm/v7",
            ),
            (&["a =1.0", "b =2.0"], "", "linux/amd64", "it has 2 images for linux/amd64: 1.0; 2.0"),
            (&["a linux/arm64", "b linux/s390x"], "", "linux/amd64", "it has no image for linux/amd64"),
            (
                &["a =1 (linux/arm64)", "b =2 (linux/s390x)"],
                "",
                "linux/amd64",
                "it has no image for linux/amd64; it has 1 for linux/arm64; 2 for linux/s390x",
            ),
        ] {
            let error = chosen(entries, tag, platform).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
