//! The blobs that are stored, against their own names and against the descriptors that refer to them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::finding::Findings;
use super::media::Role;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::layout::{self, LayoutFile, LayoutReader};
use crate::progress::Progress;
use crate::spec::Descriptor;

/// All blobs of a layout: by the digest that each is stored under, what it is in fact.
#[derive(Debug)]
pub struct Blobs {
    stored: BTreeMap<Digest, Fact>,
    referenced: BTreeSet<Digest>,
}

#[derive(Debug)]
struct Fact {
    digest: Digest,
    size: u64,
}

impl Blobs {
    /// Reads every blob once.
    pub fn hash(layout: &LayoutReader, findings: &mut Findings, progress: &Progress) -> Result<Self> {
        let mut stored = BTreeMap::new();
        for name in layout.stored()? {
            let Some(digest) = layout::digest_at(&name) else {
                findings.add("stray-file", &name, "its name is no digest of a known algorithm, so it can be no blob");
                continue;
            };
            let Some(blob) = layout.file(&name)? else {
                findings.add("stray-file", &name, "it has the name of a blob, and is no regular file");
                continue;
            };
            stored.insert(digest.clone(), hash(layout, &name, blob, &digest, progress)?);
        }
        Ok(Self { stored, referenced: BTreeSet::new() })
    }

    /// Checks the blob that `descriptor` refers to; its digest, if the blob is there to be looked into.
    pub fn check(&mut self, role: Role, descriptor: &Descriptor, findings: &mut Findings) -> Option<Digest> {
        let digest = match layout::digest_of(descriptor) {
            Ok(digest) => digest,
            Err(reason) => {
                findings.add("digest", descriptor.digest(), format!("the descriptor of a {role}: {reason}"));
                return None;
            }
        };
        self.referenced.insert(digest.clone());
        let Some(fact) = self.stored.get(&digest) else {
            // A layer that may not be distributed is fetched from where its descriptor says.
            if descriptor.urls().as_ref().is_none_or(Vec::is_empty) {
                findings.add(
                    format!("{role}-missing"),
                    &digest,
                    format!("a descriptor refers to it, {} is not there", layout::location(&digest)),
                );
            }
            return None;
        };
        if fact.digest != digest {
            let message = format!("its descriptor says {digest}, its bytes have {}", fact.digest);
            findings.add(format!("{role}-digest"), &digest, message);
        }
        if fact.size != descriptor.size() {
            let message = format!("its descriptor says {} bytes, it has {}", descriptor.size(), fact.size);
            findings.add(format!("{role}-size"), &digest, message);
        }
        Some(digest)
    }

    /// Notes that something refers to the blob of `descriptor`, which need not be there.
    pub fn refer(&mut self, descriptor: &Descriptor) {
        self.referenced.extend(layout::digest_of(descriptor));
    }

    /// Finds the blobs that nothing refers to.
    pub fn check_references(&self, findings: &mut Findings) {
        for (digest, fact) in self.stored.iter().filter(|(digest, _)| !self.referenced.contains(digest)) {
            let message = format!("it has {} bytes, and no index or manifest refers to it", fact.size);
            findings.add("unreferenced-blob", digest, message);
            if fact.digest != *digest {
                let message = format!("it is stored under {digest}, its bytes have {}", fact.digest);
                findings.add("blob-digest", digest, message);
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.stored.len()
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> u64 {
        self.stored.values().map(|fact| fact.size).sum()
    }
}

fn hash(layout: &LayoutReader, name: &str, mut blob: LayoutFile, digest: &Digest, progress: &Progress) -> Result<Fact> {
    let mut hasher = Hasher::new(digest.algorithm());
    let mut size = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        progress.check()?;
        let count = blob.read(&mut buffer).map_err(Error::io("read", &layout.path().join(name)))?;
        if count == 0 {
            return Ok(Fact { digest: hasher.finish(), size });
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
        progress.add_bytes(count as u64);
    }
}
