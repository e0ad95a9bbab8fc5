//! The layout directory and the archives of an image: claimed, completed, published.

use std::path::PathBuf;

use super::request::OutputRequest;
use crate::error::{Error, Result};
use crate::layout::{LayoutWriter, StagedDirectory, StagedFile, write_archive};
use crate::progress::Progress;
use crate::spec::ImageIndex;

/// All outputs, each claimed before the work begins: a name that is taken is better known now than in an hour.
pub struct Outputs {
    /// The layout, which is written in any case: an archive is made from one.
    pub layout: LayoutWriter,
    keeps_layout: bool,
    archives: Vec<(StagedFile, String)>,
}

/// Outputs that are complete, still under their temporary names.
pub struct Complete {
    layout: StagedDirectory,
    keeps_layout: bool,
    archives: Vec<StagedFile>,
}

/// Outputs under their final names.
pub struct Published {
    /// The layout directory, if one was asked for.
    pub layout: Option<PathBuf>,
    /// The archives, in the order in which they were asked for.
    pub archives: Vec<PathBuf>,
}

impl Outputs {
    /// Claims what `output` asks for.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::OutputBusy`], [`Error::Io`]; [`Error::Spec`] when nothing is asked for.
    pub fn claim(output: &OutputRequest) -> Result<Self> {
        let archives = output
            .archives
            .iter()
            .map(|archive| Ok((StagedFile::new(&archive.path, output.replace)?, archive.prefix.clone())))
            .collect::<Result<Vec<_>>>()?;
        // Where no layout is wanted, it stays under its temporary name and goes with it.
        let layout = match (&output.layout, output.archives.first()) {
            (Some(path), _) => LayoutWriter::new(path, output.replace)?,
            (None, Some(archive)) => {
                let mut path = archive.path.clone().into_os_string();
                path.push(".layout");
                LayoutWriter::new(&PathBuf::from(path), true)?
            }
            (None, None) => return Err(Error::spec("output", "{}", "a build writes a layout, an archive or both")),
        };
        Ok(Self { layout, keeps_layout: output.layout.is_some(), archives })
    }

    /// Writes the index, and then the archives from the layout.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Interrupted`].
    pub fn complete(
        self,
        index: &ImageIndex,
        docker_manifest: Option<&serde_json::Value>,
        progress: &Progress,
    ) -> Result<Complete> {
        let layout = self.layout.complete(index, docker_manifest)?;
        for (archive, prefix) in &self.archives {
            write_archive(layout.path(), prefix, archive, progress)?;
        }
        let archives = self.archives.into_iter().map(|(archive, _)| archive).collect();
        Ok(Complete { layout, keeps_layout: self.keeps_layout, archives })
    }
}

impl Complete {
    /// Gives all outputs their final names.
    ///
    /// # Errors
    /// Those of [`Outputs::claim`].
    pub fn publish(self) -> Result<Published> {
        let archives = self.archives.into_iter().map(StagedFile::publish).collect::<Result<_>>()?;
        let layout = self.keeps_layout.then(|| self.layout.publish()).transpose()?;
        Ok(Published { layout, archives })
    }
}
