//! Where package data comes from, as a user writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// Where package data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The database in the root filesystem, whichever it has.
    Auto,
    /// What a Yocto build knows of its packages.
    Pkgdata {
        /// `PKGDATA_DIR`.
        directory: PathBuf,
        /// A file whose lines begin with the names of the packages that are installed, as `IMAGE_MANIFEST` has them. Without
        /// it, the files of the root filesystem have to say it.
        installed: Option<PathBuf>,
    },
    /// dpkg's database in the root filesystem.
    Dpkg,
    /// opkg's.
    Opkg,
    /// apk's.
    Apk,
    /// A text file with a path and a package's name on each line.
    Manifest(PathBuf),
    /// Nowhere: no path has an owner.
    None,
}

impl FromStr for Source {
    type Err = Error;

    /// Reads `auto`, `dpkg`, `opkg`, `apk`, `none`, `pkgdata:DIRECTORY` or `manifest:FILE`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("pkgdata", path)) if !path.is_empty() => {
                return Ok(Self::Pkgdata { directory: path.into(), installed: None });
            }
            Some(("manifest", path)) if !path.is_empty() => return Ok(Self::Manifest(path.into())),
            _ => {}
        }
        match text {
            "auto" => Ok(Self::Auto),
            "dpkg" => Ok(Self::Dpkg),
            "opkg" => Ok(Self::Opkg),
            "apk" => Ok(Self::Apk),
            "none" => Ok(Self::None),
            _ => Err(Error::spec(
                "packages",
                text,
                "package data comes from auto, dpkg, opkg, apk, none, pkgdata:DIRECTORY or manifest:FILE",
            )),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Pkgdata { directory, .. } => write!(f, "pkgdata:{}", directory.display()),
            Self::Dpkg => f.write_str("dpkg"),
            Self::Opkg => f.write_str("opkg"),
            Self::Apk => f.write_str("apk"),
            Self::Manifest(path) => write!(f, "manifest:{}", path.display()),
            Self::None => f.write_str("none"),
        }
    }
}
