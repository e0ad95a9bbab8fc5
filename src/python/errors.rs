//! One way from this crate's errors to Python's exceptions, whose classes are defined in Python.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::Error;

/// The exception of `image_oci_rs.errors` that stands for `error`.
pub fn raise(py: Python<'_>, error: Error) -> PyErr {
    exception(py, &error).unwrap_or_else(|lookup| {
        // Only a broken installation has no such module: then at least the message arrives.
        let fallback = PyRuntimeError::new_err(error.to_string());
        fallback.set_cause(py, Some(lookup));
        fallback
    })
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    let kind = match error {
        Error::Io { operation, path, source } => {
            fields.set_item("errno", source.raw_os_error())?;
            fields.set_item("strerror", system_message(source))?;
            fields.set_item("filename", path)?;
            fields.set_item("operation", operation)?;
            "os"
        }
        Error::OutputExists(path) | Error::OutputForeign(path) => {
            fields.set_item("filename", path)?;
            fields.set_item("replaceable", matches!(error, Error::OutputExists(_)))?;
            "output_exists"
        }
        Error::OutputBusy(path) => {
            fields.set_item("errno", libc::EBUSY)?;
            fields.set_item("strerror", "another build is writing it right now")?;
            fields.set_item("filename", path)?;
            fields.set_item("operation", "write")?;
            "os"
        }
        Error::Spec { field, value, reason } => {
            fields.set_item("field", field)?;
            fields.set_item("reason", reason)?;
            fields.set_item("value", value)?;
            "spec"
        }
        Error::Rootfs { path, .. } => {
            fields.set_item("path", path)?;
            "rootfs"
        }
        Error::Packages { path, .. } => {
            fields.set_item("path", path)?;
            "packages"
        }
        Error::Layout { path, .. } => {
            fields.set_item("path", path)?;
            "layout"
        }
        Error::Interrupted | Error::Internal(_) => "internal",
    };
    let make = py.import("image_oci_rs.errors")?.getattr("from_core")?;
    make.call1((kind, error.to_string(), fields)).map(PyErr::from_value)
}

/// The system's own words, without the number that Rust appends.
fn system_message(source: &std::io::Error) -> String {
    let text = source.to_string();
    match (source.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}
