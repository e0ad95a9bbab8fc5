//! The uncompressed bytes of a layer on their way to whoever looks into them.

use std::io::{self, Read};

use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::Error;
use crate::progress::Progress;

/// Hashes and counts what is read, and remembers why it failed.
pub struct LayerStream<'a> {
    plain: Box<dyn Read + Send>,
    progress: &'a Progress,
    hasher: Hasher,
    position: u64,
    failure: Option<String>,
}

/// What there is to know about a stream that was read to its end.
pub struct StreamFacts {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Why there could not be more of them.
    pub failure: Option<String>,
}

impl<'a> LayerStream<'a> {
    /// A stream of which nothing has been read.
    pub fn new(plain: Box<dyn Read + Send>, algorithm: Algorithm, progress: &'a Progress) -> Self {
        Self { plain, progress, hasher: Hasher::new(algorithm), position: 0, failure: None }
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Ends reading.
    pub fn finish(self) -> StreamFacts {
        StreamFacts { digest: self.hasher.finish(), size: self.position, failure: self.failure }
    }
}

impl Read for LayerStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.progress.check().map_err(Error::into_io)?;
        if let Some(reason) = &self.failure {
            // A decoder that has failed is not asked again.
            return Err(io::Error::other(reason.clone()));
        }
        match self.plain.read(buffer) {
            Ok(count) => {
                self.hasher.update(&buffer[..count]);
                self.position += count as u64;
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failure = Some(error.to_string());
                }
                Err(error)
            }
        }
    }
}
