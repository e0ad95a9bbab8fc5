//! Layers: their compression, their diff_ids, and what is in them.

use std::io::BufReader;

use super::blobs::Blobs;
use super::finding::Findings;
use super::image::Image;
use super::media::{Role, layer_format};
use super::members::{self, Names};
use super::stream::LayerStream;
use crate::decompress;
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::layout::LayoutReader;
use crate::progress::Progress;

/// Checks the layers of `image`, lowest first.
pub fn check_layers(
    image: &Image,
    layout: &LayoutReader,
    blobs: &mut Blobs,
    findings: &mut Findings,
    progress: &Progress,
) -> Result<()> {
    let mut lower = Names::default();
    for (number, layer) in image.manifest.layers().iter().enumerate() {
        let Some(digest) = blobs.check(Role::Layer, layer, findings) else { continue };
        let Some(promised) = layer_format(layer.media_type()) else {
            if !image.is_in_form_only() {
                let message = format!("its media type is {}, which is no layer's", layer.media_type());
                findings.add("layer-media-type", &digest, message);
            }
            continue;
        };
        let blob = BufReader::with_capacity(1 << 18, layout.blob(&digest)?);
        let (format, plain) = decompress::reader(blob).map_err(Error::io("read", layout.path()))?;
        if format != promised {
            let message = format!("its media type {} says {promised}, its bytes are {format}", layer.media_type());
            findings.add("layer-media-type", &digest, message);
        }
        let diff_id = image.diff_ids().get(number);
        let mut stream = LayerStream::new(plain, algorithm_of(diff_id), progress);
        members::check_members(&digest, &mut stream, &mut lower, findings, progress)?;
        let facts = stream.finish();
        if let Some(reason) = facts.failure {
            let message = format!("it is {format} and breaks off after {} uncompressed bytes: {reason}", facts.size);
            findings.add("layer-compression", &digest, message);
        } else if let Some(diff_id) = diff_id.filter(|diff_id| **diff_id != facts.digest.to_string()) {
            let message = format!(
                "the configuration says {diff_id}, its {} uncompressed bytes have {}",
                facts.size, facts.digest
            );
            findings.add("diff-id", &digest, message);
        }
    }
    Ok(())
}

fn algorithm_of(diff_id: Option<&String>) -> Algorithm {
    diff_id.and_then(|diff_id| diff_id.parse().ok()).map_or(Algorithm::Sha256, |diff_id: Digest| diff_id.algorithm())
}
