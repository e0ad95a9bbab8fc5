//! The Python module `image_oci_rs._core`: convert, detach from the interpreter, call, return.

mod errors;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::image::{ImageSpec, IndexSpec};
use crate::package::Source;
use crate::progress::Progress;
use watch::watch;

#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{build, difference, explain, index, inspect, validate};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Fails the import if the Python package has another version than this core.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let version = module.py().import("image_oci_rs.version")?;
        version.call_method1("check_core", (__version__,)).map(drop)
    }
}

/// Builds the image that `spec` describes and returns what was made, both in JSON.
#[pyfunction]
#[pyo3(signature = (spec, progress=None))]
fn build(py: Python<'_>, spec: &str, progress: Option<Py<PyAny>>) -> PyResult<String> {
    let spec = ImageSpec::from_json(spec).map_err(|error| errors::raise(py, error))?;
    watch(py, progress, move |progress| json(&crate::image::build(&spec, progress)?))
}

/// Makes the index that `spec` describes and returns what was made, both in JSON.
#[pyfunction]
fn index(py: Python<'_>, spec: &str) -> PyResult<String> {
    let spec = IndexSpec::from_json(spec).map_err(|error| errors::raise(py, error))?;
    watch(py, None, move |progress: &Arc<Progress>| json(&crate::image::index(&spec, progress)?))
}

/// Checks the image at `path` against its own bytes and returns the report in JSON.
#[pyfunction]
fn validate(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    watch(py, None, move |progress: &Arc<Progress>| json(&crate::validate::validate(&path, progress)?))
}

/// Returns a summary of the image at `path` in JSON.
#[pyfunction]
fn inspect(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    watch(py, None, move |progress: &Arc<Progress>| json(&crate::inspect::inspect(&path, progress)?))
}

/// Returns the difference between the images at `old` and `new` in JSON.
#[pyfunction]
fn difference(py: Python<'_>, old: PathBuf, new: PathBuf, packages: &str) -> PyResult<String> {
    let packages: Source = packages.parse().map_err(|error| errors::raise(py, error))?;
    watch(py, None, move |progress: &Arc<Progress>| {
        json(&crate::difference::difference(&old, &new, &packages, progress)?)
    })
}

/// Returns where in the image at `path` the file `file` is, in JSON.
#[pyfunction]
fn explain(py: Python<'_>, path: PathBuf, file: &str, packages: &str) -> PyResult<String> {
    let packages: Source = packages.parse().map_err(|error| errors::raise(py, error))?;
    watch(py, None, move |progress: &Arc<Progress>| json(&crate::explain::explain(&path, file, &packages, progress)?))
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal(format!("a result can't be written as JSON: {error}")))
}
