//! Writes a layout directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::early::EarlySync;
use super::read::{LayoutReader, digest_of, location};
use super::staging::StagedDirectory;
use crate::digest::{Algorithm, Digest, DigestWriter};
use crate::error::{Error, Result};
use crate::spec::{self, Descriptor, ImageIndex, LAYOUT_VERSION, canonical_json, indented_json};

/// A blob that is in the layout: complete, synced, and under its own digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl Blob {
    /// A descriptor of this blob.
    pub fn descriptor(&self, media_type: &str) -> Descriptor {
        spec::descriptor(media_type, &self.digest, self.size)
    }

    /// Where it is below the layout, for example `blobs/sha256/…`.
    pub fn location(&self) -> String {
        format!("blobs/{}/{}", self.digest.algorithm().name(), self.digest.hex())
    }
}

/// A layout being written under a temporary name.
#[derive(Debug)]
pub struct LayoutWriter {
    staged: StagedDirectory,
}

impl LayoutWriter {
    /// Starts a layout that will become `destination`.
    ///
    /// # Errors
    /// Those of [`StagedDirectory::new`].
    pub fn new(destination: &Path, replace: bool) -> Result<Self> {
        let writer = Self { staged: StagedDirectory::new(destination, replace)? };
        let blobs = writer.blobs();
        fs::create_dir_all(&blobs).map_err(Error::io("create", &blobs))?;
        Ok(writer)
    }

    /// Where the layout is for now.
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Starts a blob. Several can be written at once when their `name`s differ.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn blob(&self, name: &str) -> Result<BlobWriter> {
        let path = self.blobs().join(format!(".{name}.partial"));
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        Ok(BlobWriter { inner: DigestWriter::new(file), early: EarlySync::default(), path })
    }

    /// Writes `document` as a blob in canonical JSON.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn document<T: serde::Serialize>(&self, name: &str, document: &T) -> Result<Blob> {
        self.bytes(name, &canonical_json(document)?)
    }

    /// Writes `index` as a blob in indented JSON.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn index(&self, index: &ImageIndex) -> Result<Blob> {
        self.bytes("index", &indented_json(index)?)
    }

    fn bytes(&self, name: &str, bytes: &[u8]) -> Result<Blob> {
        let mut blob = self.blob(name)?;
        let path = blob.path().to_owned();
        blob.write_all(bytes).map_err(Error::io("write", &path))?;
        blob.finish()
    }

    /// Puts the blob of `descriptor` in `source`, which the caller has verified, into this layout: as another name of the same
    /// file where the file system allows, else as a copy.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Layout`] when it is not there, or its copy has another digest.
    pub fn adopt(&self, source: &LayoutReader, descriptor: &Descriptor) -> Result<()> {
        let digest = digest_of(descriptor).map_err(|reason| Error::layout(source.path(), reason))?;
        let place = self.staged.path().join(location(&digest));
        if place.exists() {
            return Ok(());
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let original = source.path().join(location(&digest));
        // A link would be to the link's own name, and not to the blob.
        let is_file = fs::symlink_metadata(&original).is_ok_and(|metadata| metadata.is_file());
        if is_file && fs::hard_link(&original, &place).is_ok() {
            // Whoever has written it need not have waited for the disk.
            return File::open(&place).and_then(|file| file.sync_all()).map_err(Error::io("sync", &place));
        }
        let file = File::create_new(&place).map_err(Error::io("create", &place))?;
        let mut copy = DigestWriter::with_algorithm(file, digest.algorithm());
        io::copy(&mut source.blob(&digest)?, &mut copy).map_err(Error::io("write", &place))?;
        let (file, copied, _) = copy.finish();
        file.sync_all().map_err(Error::io("sync", &place))?;
        if copied != digest {
            return Err(Error::layout(source.path(), format!("blob {digest}: the digest of its bytes is {copied}")));
        }
        Ok(())
    }

    /// An empty file without a name, on the file system of the layout, which is gone with its handle.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn scratch(&self) -> Result<File> {
        let path = self.staged.path().join(".scratch");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        Ok(file)
    }

    /// Completes the layout, `index.json` last, still under its temporary name.
    ///
    /// `docker_manifest` becomes `manifest.json`, which makes an archive of the layout one that `docker load` reads
    /// without containerd's image store. What has several platforms can't have one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn complete(self, index: &ImageIndex, docker_manifest: Option<&serde_json::Value>) -> Result<StagedDirectory> {
        self.write("oci-layout", &indented_json(&serde_json::json!({ "imageLayoutVersion": LAYOUT_VERSION }))?)?;
        docker_manifest.map(|manifest| self.write("manifest.json", &canonical_json(manifest)?)).transpose()?;
        let blobs = self.staged.path().join("blobs");
        for algorithm in fs::read_dir(&blobs).map_err(Error::io("list", &blobs))? {
            sync_directory(&algorithm.map_err(Error::io("list", &blobs))?.path())?;
        }
        sync_directory(&blobs)?;
        self.write("index.json", &indented_json(index)?)?;
        sync_directory(self.staged.path())?;
        Ok(self.staged)
    }

    fn blobs(&self) -> PathBuf {
        self.staged.path().join("blobs").join(Algorithm::Sha256.name())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.staged.path().join(name);
        let mut file = BufWriter::new(File::create_new(&path).map_err(Error::io("create", &path))?);
        file.write_all(bytes).and_then(|()| file.into_inner()?.sync_all()).map_err(Error::io("write", &path))
    }
}

/// A blob being written under a temporary name; finishing it gives it the name of its digest.
pub struct BlobWriter {
    inner: DigestWriter<File>,
    early: EarlySync,
    path: PathBuf,
}

impl BlobWriter {
    /// Where the blob is for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the blob and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<Blob> {
        let Self { inner, early, path } = self;
        let (file, digest, size) = inner.finish();
        early.finish().and_then(|()| file.sync_all()).map_err(Error::io("sync", &path))?;
        let finished = path.with_file_name(digest.hex());
        fs::rename(&path, &finished).map_err(Error::io("rename", &path))?;
        Ok(Blob { digest, size })
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.early.grown(self.inner.get_ref(), written)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(Error::io("sync", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::digest::Hasher;
    use crate::layout::sample::Sample;
    use crate::progress::Progress;

    #[test]
    fn a_blob_that_is_copied_is_checked_by_the_algorithm_of_its_digest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("source");
        Sample::new().write(&path);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"right");
            let digest = hasher.finish();
            // Links are not linked to but copied.
            let blob = path.join(location(&digest));
            fs::create_dir_all(blob.parent().unwrap()).unwrap();
            symlink(directory.path().join("elsewhere"), &blob).unwrap();
            for (bytes, kept) in [("right", true), ("wrong", false)] {
                fs::write(directory.path().join("elsewhere"), bytes).unwrap();
                let source = LayoutReader::open(&path, &Progress::default()).unwrap();
                let target = LayoutWriter::new(&directory.path().join("target"), true).unwrap();
                let adopted = target.adopt(&source, &spec::descriptor("a/b", &digest, 5));
                assert_eq!(adopted.is_ok(), kept, "{bytes}: {adopted:?}");
            }
        }
    }
}
