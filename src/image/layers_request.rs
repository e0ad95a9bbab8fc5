//! How a build's description says that the root filesystem is split into layers.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::Deserialize;

use super::request::SourceRequest;
use crate::error::{Error, Result};
use crate::layer::Missing;
use crate::package;
use crate::rootfs::Source;

/// How the root filesystem is split into layers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayersRequest {
    /// By which rule.
    pub mode: LayerMode,
    /// The layers of the mode `multi`, lowest first.
    pub rules: Vec<RuleRequest>,
    /// How a package or path of the rules that is not in the root filesystem is reported.
    pub missing: Missing,
    /// The most layers of the mode `auto`.
    pub max: usize,
    /// The lock file of the mode `auto`, which need not be there.
    pub lock: Option<PathBuf>,
    /// Where the lock file is written with what is new; over the one that was read when it is not given.
    pub lock_output: Option<PathBuf>,
    /// Where package data comes from: `auto`, `dpkg`, `opkg`, `apk`, `none`, `pkgdata:DIRECTORY` or `manifest:FILE`.
    pub packages: String,
    /// For `pkgdata`, a file whose lines begin with the names of the packages that are installed.
    pub installed: Option<PathBuf>,
}

/// By which rule a root filesystem is split.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LayerMode {
    /// Not at all.
    #[default]
    Single,
    /// As the rules say.
    Multi,
    /// By recipe, so that an update changes few layers.
    Auto,
}

/// A layer of the mode `multi`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    /// Its name.
    pub name: String,
    /// What its content is.
    #[serde(rename = "type")]
    pub kind: RuleKind,
    /// Names of packages, absolute paths of the image, or `SOURCE:TARGET` for files of the build machine: the last colon
    /// separates them. With a slash at its end, TARGET is the directory that SOURCE goes into.
    pub content: Vec<String>,
}

/// What the content of a layer is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Packages, with what they depend on.
    Packages,
    /// Directories with all that is in them.
    Directories,
    /// Single files.
    Files,
    /// Files of the build machine.
    Host,
}

impl Default for LayersRequest {
    fn default() -> Self {
        Self {
            mode: LayerMode::default(),
            rules: Vec::new(),
            missing: Missing::default(),
            max: 80,
            lock: None,
            lock_output: None,
            packages: "auto".to_owned(),
            installed: None,
        }
    }
}

impl LayersRequest {
    /// Checks that the values have a meaning in this mode.
    ///
    /// # Errors
    /// [`Error::Spec`] naming the field.
    pub(super) fn check(&self) -> Result<()> {
        let Self { mode, rules, missing, max, lock, lock_output, .. } = self;
        if *max == 0 {
            return Err(Error::spec("layers.max", "0", "an image has at least one layer"));
        }
        if (*mode == LayerMode::Multi) == rules.is_empty() {
            return Err(Error::spec(
                "layers.rules",
                format!("{} rules", rules.len()),
                "the mode multi has rules, the others none",
            ));
        }
        if *missing != Missing::Error && *mode != LayerMode::Multi {
            return Err(Error::spec(
                "layers.missing",
                "warn",
                "only the mode multi has rules that could miss something",
            ));
        }
        if let (Some(path), true) = (lock.as_ref().or(lock_output.as_ref()), *mode != LayerMode::Auto) {
            return Err(Error::spec("layers.lock", path.to_string_lossy(), "only the mode auto has a lock file"));
        }
        Ok(())
    }

    /// The source of package data as the engine takes it.
    ///
    /// # Errors
    /// [`Error::Spec`] for an unknown one, or a list of installed packages beside one that has such a list itself.
    pub fn packages(&self) -> Result<package::Source> {
        let mut source = self.packages.parse()?;
        match (&self.installed, &mut source) {
            (None, _) => {}
            (Some(file), package::Source::Pkgdata { installed, .. }) => *installed = Some(file.clone()),
            (Some(file), _) => {
                let reason = "only pkgdata needs to be told what is installed";
                return Err(Error::spec("layers.installed", file.display().to_string(), reason));
            }
        }
        Ok(source)
    }
}

impl RuleRequest {
    /// The files of the build machine that the content names, and where they go.
    ///
    /// # Errors
    /// [`Error::Spec`] for what is not `SOURCE:TARGET`, or goes into a directory without having a name.
    pub fn brought(&self) -> Result<Vec<Source>> {
        self.content.iter().map(|word| brought_source(word)).collect()
    }
}

fn brought_source(word: &str) -> Result<Source> {
    let (path, target) = word.rsplit_once(':').unwrap_or((word, ""));
    let request = SourceRequest { path: path.into(), target: target.to_owned() };
    let mut target = match (request.path.is_absolute(), request.target()) {
        (true, Ok(target)) => target,
        _ => {
            let reason = "files of the build machine are SOURCE:TARGET, both absolute and TARGET without '..'";
            return Err(Error::spec("layers.rules", word, reason));
        }
    };
    if request.target.ends_with('/') {
        let Some(name) = request.path.file_name() else {
            return Err(Error::spec("layers.rules", word, "SOURCE must end in a name to go into the directory TARGET"));
        };
        if !target.is_empty() {
            target.push(b'/');
        }
        target.extend_from_slice(name.as_bytes());
    }
    Ok(Source { path: request.path, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_build_machine_go_to_their_target_or_into_it() {
        for (word, path, target) in [
            ("/a/b:/c/d", "/a/b", "c/d"),
            ("/a/b:/c/d/", "/a/b", "c/d/b"),
            ("/a/b:/", "/a/b", "b"),
            ("/a/b:/.", "/a/b", ""),
            ("/a/b/:/c/", "/a/b/", "c/b"),
            ("/a/b/.:/c/", "/a/b/.", "c/b"),
            ("/a:1/b:c:/d/", "/a:1/b:c", "d/b:c"),
        ] {
            let source = brought_source(word).unwrap();
            let found = (source.path.to_str().unwrap(), str::from_utf8(&source.target).unwrap());
            assert_eq!(found, (path, target), "{word}");
        }
        for (word, said) in [
            ("/a", "SOURCE:TARGET"),
            ("a:/b", "SOURCE:TARGET"),
            ("/a:b", "SOURCE:TARGET"),
            ("/a:/b/../c", "SOURCE:TARGET"),
            ("/a:", "SOURCE:TARGET"),
            ("/:/b/", "must end in a name"),
            ("/a/..:/b/", "must end in a name"),
        ] {
            let error = brought_source(word).unwrap_err().to_string();
            assert!(error.starts_with("layers.rules: ") && error.contains(said), "{word}: {error}");
        }
    }
}
