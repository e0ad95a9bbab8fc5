//! Reads a layout: a directory, or an archive of one.

mod archive;
mod docker;
mod images;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::archive::ArchivedLayout;
pub use self::archive::nameless_file;
pub use self::docker::DockerImage;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::spec::{Descriptor, ImageIndex, LAYOUT_VERSION};

/// The file that marks a layout and carries its version.
pub const LAYOUT_FILE: &str = "oci-layout";
/// The file that all reading begins at.
pub const INDEX_FILE: &str = "index.json";
/// The file that makes an archive of a layout a docker-archive too.
pub const DOCKER_MANIFEST_FILE: &str = "manifest.json";

const BLOBS: &str = "blobs";

/// The largest document that is read into memory. Registries refuse manifests of more than 4 MiB.
const LARGEST_DOCUMENT: u64 = 16 << 20;

/// The content of the file `oci-layout`.
#[derive(Debug, Deserialize)]
pub struct LayoutVersion {
    /// The version of the layout's own format.
    #[serde(rename = "imageLayoutVersion")]
    pub version: String,
}

/// A layout that can be read from in any order and by several threads.
#[derive(Debug)]
pub struct LayoutReader {
    path: PathBuf,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Directory,
    Archive(ArchivedLayout),
}

impl LayoutReader {
    /// Opens the layout `path`, or the one in the archive `path`, at the top of it or below a directory.
    ///
    /// A compressed archive is unpacked into a temporary file without a name first, which `progress` can interrupt. A
    /// broken layout can be opened as long as there is a sign of one: what is read from it is verified one by one.
    ///
    /// # Errors
    /// [`Error::Layout`] when there is no layout, or more than one; [`Error::Io`], [`Error::Interrupted`].
    pub fn open(path: &Path, progress: &Progress) -> Result<Self> {
        Self::open_as(path, false, progress)
    }

    /// Opens what [`LayoutReader::open`] opens, and also a docker-archive, as `docker save` and `podman save` make one, as
    /// if it was the layout of the same images.
    ///
    /// # Errors
    /// As [`LayoutReader::open`]; [`Error::Layout`] naming what a docker-archive lacks.
    pub fn open_image(path: &Path, progress: &Progress) -> Result<Self> {
        Self::open_as(path, true, progress)
    }

    fn open_as(path: &Path, docker: bool, progress: &Progress) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(Error::io("open", path))?;
        let store = if metadata.is_dir() {
            if ![LAYOUT_FILE, INDEX_FILE].iter().any(|name| path.join(name).is_file()) {
                return Err(Error::layout(path, format!("it has neither {LAYOUT_FILE} nor {INDEX_FILE}")));
            }
            Store::Directory
        } else if metadata.is_file() {
            Store::Archive(ArchivedLayout::open(path, docker, progress)?)
        } else {
            return Err(Error::layout(path, "it is neither a directory nor an archive"));
        };
        Ok(Self { path: path.to_owned(), store })
    }

    /// The layout directory or archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its index and manifests are made up: a docker-archive has none.
    pub fn is_docker_archive(&self) -> bool {
        matches!(&self.store, Store::Archive(archive) if archive.is_docker_archive())
    }

    /// What is wrong with the archive around the layout, if there is one and it is broken.
    pub fn damage(&self) -> Option<&str> {
        match &self.store {
            Store::Directory => None,
            Store::Archive(archive) => archive.damage(),
        }
    }

    /// The index in `index.json`, of a layout whose version is known.
    ///
    /// # Errors
    /// [`Error::Layout`] when `oci-layout` or `index.json` is missing or not what it should be.
    pub fn index(&self) -> Result<ImageIndex> {
        let LayoutVersion { version } = self.required(LAYOUT_FILE)?;
        if version != LAYOUT_VERSION {
            return Err(self.broken(LAYOUT_FILE, format!("its version is {version:?}, {LAYOUT_VERSION:?} is known")));
        }
        self.required(INDEX_FILE)
    }

    /// The file that is called so, relative to the layout; none when there is no regular file of that name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn file(&self, name: &str) -> Result<Option<LayoutFile>> {
        match &self.store {
            Store::Archive(archive) => Ok(archive.file(name)),
            Store::Directory => {
                let path = self.path.join(name);
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {}
                    Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                        return Err(Error::io("read", &path)(error));
                    }
                    _ => return Ok(None),
                }
                let file = File::open(&path).map_err(Error::io("open", &path))?;
                let size = file.metadata().map_err(Error::io("read", &path))?.len();
                Ok(Some(LayoutFile { file: Arc::new(file), offset: 0, size, position: 0 }))
            }
        }
    }

    /// The blob with this digest, which is *not* verified: read all of it and compare.
    ///
    /// # Errors
    /// [`Error::Layout`] when it is not there, [`Error::Io`].
    pub fn blob(&self, digest: &Digest) -> Result<LayoutFile> {
        let location = location(digest);
        self.file(&location)?.ok_or_else(|| self.broken(&location, "it is not there"))
    }

    /// The digests that blobs are stored under, sorted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn blobs(&self) -> Result<BTreeSet<Digest>> {
        Ok(self.stored()?.iter().filter_map(|name| digest_at(name)).collect())
    }

    /// The names of all that is stored below `blobs/`, relative to the layout and sorted, blobs or not.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stored(&self) -> Result<Vec<String>> {
        match &self.store {
            Store::Archive(archive) => Ok(archive.names_below(BLOBS)),
            Store::Directory => files_below(&self.path, BLOBS),
        }
    }

    /// The document that `descriptor` describes, parsed after its size and digest were found to be right.
    ///
    /// # Errors
    /// [`Error::Layout`] naming the blob and what is wrong with it, [`Error::Io`].
    pub fn read_document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        let digest = digest_of(descriptor).map_err(|reason| Error::layout(&self.path, reason))?;
        let location = location(&digest);
        let blob = self.blob(&digest)?;
        if blob.size() != descriptor.size() {
            let reason = format!("it has {} bytes, its descriptor says {}", blob.size(), descriptor.size());
            return Err(self.broken(&location, reason));
        }
        let bytes = self.read_whole(&location, blob)?;
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        let actual = hasher.finish();
        if actual != digest {
            return Err(self.broken(&location, format!("the digest of its bytes is {actual}")));
        }
        self.parse(&location, &bytes)
    }

    /// Reads the blob that `descriptor` describes, and compares its size and digest.
    ///
    /// # Errors
    /// [`Error::Layout`] naming the blob and what is wrong with it, [`Error::Io`], [`Error::Interrupted`].
    pub fn verify(&self, descriptor: &Descriptor, progress: &Progress) -> Result<()> {
        let digest = digest_of(descriptor).map_err(|reason| Error::layout(&self.path, reason))?;
        let location = location(&digest);
        let mut blob = self.blob(&digest)?;
        if blob.size() != descriptor.size() {
            let reason = format!("it has {} bytes, its descriptor says {}", blob.size(), descriptor.size());
            return Err(self.broken(&location, reason));
        }
        let mut hasher = Hasher::new(digest.algorithm());
        let mut buffer = vec![0; 1 << 20];
        loop {
            progress.check()?;
            match blob.read(&mut buffer).map_err(Error::io("read", &self.path.join(&location)))? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        let actual = hasher.finish();
        if actual == digest {
            return Ok(());
        }
        Err(self.broken(&location, format!("the digest of its bytes is {actual}")))
    }

    /// All bytes of the document `file`, which is called `name`.
    ///
    /// # Errors
    /// [`Error::Layout`] when it is larger than any document may be, [`Error::Io`].
    pub fn read_whole(&self, name: &str, mut file: LayoutFile) -> Result<Vec<u8>> {
        if file.size() > LARGEST_DOCUMENT {
            let reason = format!("it has {} bytes, a document may have {LARGEST_DOCUMENT}", file.size());
            return Err(self.broken(name, reason));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", &self.path.join(name)))?;
        Ok(bytes)
    }

    fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let file = self.file(name)?.ok_or_else(|| self.broken(name, "it is not there"))?;
        self.parse(name, &self.read_whole(name, file)?)
    }

    fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|error| self.broken(name, format!("it can't be understood: {error}")))
    }

    fn broken(&self, name: &str, reason: impl AsRef<str>) -> Error {
        Error::layout(&self.path, format!("{name}: {}", reason.as_ref()))
    }
}

/// A file of a layout, read from its beginning. In an archive it is a piece of the archive.
#[derive(Clone, Debug)]
pub struct LayoutFile {
    file: Arc<File>,
    offset: u64,
    size: u64,
    position: u64,
}

impl LayoutFile {
    /// How many bytes it has. In an archive that is cut off these are the bytes that are there.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for LayoutFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.size - self.position;
        let wanted = usize::try_from(rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        // Never the file's own position: other readers share it.
        let count = self.file.read_at(&mut buffer[..wanted], self.offset + self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// The digest in `descriptor`.
///
/// # Errors
/// A sentence about a digest that can't be recomputed, because its algorithm is not known.
pub fn digest_of(descriptor: &Descriptor) -> Result<Digest, String> {
    descriptor.digest().to_string().parse()
}

/// Where the blob with this digest is, relative to the layout.
pub fn location(digest: &Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm().name(), digest.hex())
}

/// The digest of the blob that belongs at `location`, relative to the layout, if one does.
pub fn digest_at(location: &str) -> Option<Digest> {
    let (algorithm, hex) = location.strip_prefix(BLOBS)?.strip_prefix('/')?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// `blobs/ALGORITHM/NAME` of everything there, and whatever else stands at one of the two levels, sorted.
fn files_below(root: &Path, top: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for algorithm in children(root, top)? {
        if root.join(&algorithm).is_dir() {
            found.extend(children(root, &algorithm)?);
        } else {
            found.push(algorithm);
        }
    }
    found.sort();
    Ok(found)
}

fn children(root: &Path, directory: &str) -> Result<Vec<String>> {
    let path = root.join(directory);
    let reading = || Error::io("read the directory", &path);
    let children = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        children => children.map_err(reading())?,
    };
    children
        .map(|child| Ok(format!("{directory}/{}", child.map_err(reading())?.file_name().to_string_lossy())))
        .collect()
}

#[cfg(test)]
mod tests;
