//! The JSON documents of a layout.

use std::fmt::Display;

use serde::de::DeserializeOwned;

use super::finding::Findings;
use super::media::Role;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{self, LAYOUT_FILE, LayoutReader, LayoutVersion};
use crate::spec::{LAYOUT_VERSION, MediaType};

/// Checks the file `oci-layout`.
pub fn check_layout_version(layout: &LayoutReader, findings: &mut Findings) -> Result<()> {
    match read::<LayoutVersion>(layout, LAYOUT_FILE)? {
        None => findings.add("oci-layout", &LAYOUT_FILE, "it is not there, and is what marks a layout"),
        Some(Err(reason)) => findings.add("oci-layout", &LAYOUT_FILE, reason),
        Some(Ok(LayoutVersion { version })) if version != LAYOUT_VERSION => {
            let message = format!("it says version {version:?}, image-spec knows {LAYOUT_VERSION:?}");
            findings.add("oci-layout", &LAYOUT_FILE, message);
        }
        Some(Ok(_)) => {}
    }
    Ok(())
}

/// The document in the blob `digest`, if it is one.
pub fn blob<T: DeserializeOwned>(
    layout: &LayoutReader,
    role: Role,
    digest: &Digest,
    findings: &mut Findings,
) -> Result<Option<T>> {
    Ok(match read(layout, &layout::location(digest))? {
        None => None,
        Some(Ok(document)) => Some(document),
        Some(Err(reason)) => {
            findings.add(format!("{role}-schema"), digest, reason);
            None
        }
    })
}

/// The document in the file `name`, or why it is none; nothing if there is no such file.
pub fn read<T: DeserializeOwned>(layout: &LayoutReader, name: &str) -> Result<Option<Result<T, String>>> {
    let Some(file) = layout.file(name)? else { return Ok(None) };
    let bytes = match layout.read_whole(name, file) {
        Err(Error::Layout { reason, .. }) => return Ok(Some(Err(reason))),
        bytes => bytes?,
    };
    Ok(Some(serde_json::from_slice(&bytes).map_err(|error| format!("it can't be understood: {error}"))))
}

/// Checks what an index or a manifest says of itself.
pub fn check_header(
    role: Role,
    subject: &dyn Display,
    schema_version: u32,
    own: Option<&MediaType>,
    described: &MediaType,
    findings: &mut Findings,
) {
    if schema_version != 2 {
        findings.add(format!("{role}-schema"), subject, format!("its schemaVersion is {schema_version}, it must be 2"));
    }
    if let Some(own) = own.filter(|own| *own != described) {
        let message = format!("its mediaType is {own}, its descriptor's is {described}");
        findings.add(format!("{role}-media-type"), subject, message);
    }
}
