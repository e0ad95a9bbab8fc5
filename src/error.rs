//! What can go wrong. Every variant carries the path, digest, variable or field it is about.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a build, a check or an inspection failed.
///
/// Messages are made of facts ("what happened to which thing") and never carry advice about the caller's own
/// interface: the Python front ends know whether the user wrote a variable, an option or a dictionary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("can't {operation} {path:?}: {source}")]
    Io {
        /// What was tried: a verb that reads well after "can't".
        operation: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// The system's own answer.
        source: io::Error,
    },
    /// A final name is taken and replacing it was not asked for.
    #[error("output {0:?} exists already")]
    OutputExists(PathBuf),
    /// A final name is that of a directory that no image was written to: it is not replaced.
    #[error("output {0:?} is a directory that holds other things than an image layout")]
    OutputForeign(PathBuf),
    /// Another build holds the temporary name of the same output.
    #[error("another build is writing {0:?} right now")]
    OutputBusy(PathBuf),
    /// A value of the build's description is wrong.
    #[error("{field}: {reason} (got {value:?})")]
    Spec {
        /// The field as it is called in `ImageSpec`'s JSON, for example `config.exposed_ports`.
        field: String,
        /// The wrong value.
        value: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The root filesystem, or the archive that holds it, can't be packed.
    #[error("{path:?}: {reason}")]
    Rootfs {
        /// The file, directory or archive member.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What tells which package owns which path can't be understood.
    #[error("{path:?}: {reason}")]
    Packages {
        /// The file: in the root filesystem or, for pkgdata and manifests, of this machine.
        path: PathBuf,
        /// What is wrong with it, with the line where there is one.
        reason: String,
    },
    /// An image that was to be read is broken.
    #[error("{path:?}: {reason}")]
    Layout {
        /// The layout directory or archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller asked for the work to stop.
    #[error("the build was interrupted")]
    Interrupted,
    /// A defect of this program, caught before it could cross into the caller.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// An operating-system error about `path`; made for `map_err(Error::io("open", path))`.
    pub fn io<P: AsRef<Path> + ?Sized>(operation: &'static str, path: &P) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::from_io(operation, path, source)
    }

    fn from_io(operation: &'static str, path: PathBuf, source: io::Error) -> Self {
        // A reader or writer of ours reports its own error through `io::Error`: take it out again instead of wrapping it.
        match source.downcast::<Self>() {
            Ok(inner) => inner,
            Err(source) => Self::Io { operation, path, source },
        }
    }

    /// A wrong value of the build's description.
    pub fn spec(field: impl Into<String>, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), value: value.into(), reason: reason.into() }
    }

    /// Something in the root filesystem that can't be packed.
    pub fn rootfs(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Rootfs { path: path.into(), reason: reason.into() }
    }

    /// Package data that can't be understood.
    pub fn packages(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Packages { path: path.into(), reason: reason.into() }
    }

    /// Something in an image that can't be read.
    pub fn layout(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Layout { path: path.into(), reason: reason.into() }
    }

    /// Carries this error through an interface that only knows `io::Error`; [`Error::io`] takes it out again.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_ours_survives_a_trip_through_io() {
        let carried = Error::OutputExists("/x".into()).into_io();
        let back = Error::io("write", "/y")(carried);
        assert!(matches!(back, Error::OutputExists(path) if path == Path::new("/x")));
    }

    #[test]
    fn an_io_error_names_the_operation_and_the_path() {
        let error = Error::io("open", "/no/such")(io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(error.to_string(), "can't open \"/no/such\": No such file or directory (os error 2)");
    }
}
