//! What the layers of an image make when they are unpacked over one another.
//!
//! Source: image-spec v1.1.1, layer.md, "Applying Changesets".

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use crate::decompress;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::layout::{LayoutReader, digest_of};
use crate::progress::Progress;
use crate::rootfs::{Entry, Kind, XattrPolicy, parents_of, read_layer};
use crate::spec::Descriptor;

/// Files whose names begin so take away others. Source: layer.md, "Whiteouts".
const WHITEOUT: &[u8] = b".wh.";
/// Takes away all that lower layers have in its directory. Source: layer.md, "Opaque Whiteout".
const OPAQUE: &[u8] = b".wh..wh..opq";

/// How many links are followed on the way to one file; as many as Linux follows.
const MOST_LINKS: usize = 40;

/// The files of an image, each with the number of the layer that it comes from.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The entries by their paths.
    pub entries: BTreeMap<Vec<u8>, Entry>,
    /// The number of the layer of each entry.
    pub layers: BTreeMap<Vec<u8>, usize>,
}

impl View {
    /// Reads `layers`, lowest first, whose uncompressed bytes have these `diff_ids`. All of them are verified. Contents
    /// are kept in files that `scratch` makes, extended attributes as `policy` says.
    ///
    /// # Errors
    /// [`Error::Layout`] naming the layer that is not what its descriptor or diff_id says, [`Error::Rootfs`] naming the
    /// member in it that is broken, [`Error::Io`], [`Error::Interrupted`].
    pub fn read(
        layout: &LayoutReader,
        layers: &[Descriptor],
        diff_ids: &[String],
        policy: &XattrPolicy,
        scratch: &dyn Fn() -> Result<File>,
        progress: &Progress,
    ) -> Result<Self> {
        let mut view = Self::default();
        if layers.len() != diff_ids.len() {
            let reason =
                format!("the manifest has {} layers, the configuration {} diff_ids", layers.len(), diff_ids.len());
            return Err(Error::layout(layout.path(), reason));
        }
        for (number, (layer, diff_id)) in layers.iter().zip(diff_ids).enumerate() {
            let plain = unpack(layout, layer, diff_id, scratch()?, progress)?;
            let name = layout.path().join(layer.digest().to_string());
            // Numbers of sources that no root filesystem has, so that no inode of it is taken for one of these.
            let entries = read_layer(plain, &name, usize::MAX - number, policy, &view.entries, progress)?;
            view.apply(number, entries);
        }
        Ok(view)
    }

    /// Unpacks a layer over what there is.
    fn apply(&mut self, number: usize, entries: BTreeMap<Vec<u8>, Entry>) {
        let (whiteouts, others): (Vec<_>, Vec<_>) =
            entries.into_values().partition(|entry| name_of(&entry.path).starts_with(WHITEOUT));
        for whiteout in whiteouts {
            let name = name_of(&whiteout.path);
            let parent = self.real(parent_of(&whiteout.path));
            if name == OPAQUE {
                self.remove_below(&parent);
            } else {
                self.remove(&join(&parent, &name[WHITEOUT.len()..]));
            }
        }
        for entry in others {
            let path = join(&self.real(parent_of(&entry.path)), name_of(&entry.path));
            if entry.implied && (self.entries.contains_key(&path) || self.is_directory(&self.real(&entry.path))) {
                continue;
            }
            if !entry.is_directory() || !self.is_directory(&path) {
                self.remove(&path);
            }
            self.layers.insert(path.clone(), number);
            self.entries.insert(path.clone(), Entry { path, ..entry });
        }
    }

    fn remove(&mut self, path: &[u8]) {
        self.remove_below(path);
        self.entries.remove(path);
        self.layers.remove(path);
    }

    fn remove_below(&mut self, path: &[u8]) {
        let top = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        let below = self.entries.range(top.clone()..).map(|(path, _)| path);
        let below: Vec<_> =
            below.take_while(|path| path.starts_with(&top)).filter(|path| !path.is_empty()).cloned().collect();
        for path in below {
            self.entries.remove(&path);
            self.layers.remove(&path);
        }
    }

    fn is_directory(&self, path: &[u8]) -> bool {
        self.entries.get(path).is_some_and(Entry::is_directory)
    }

    /// Where `path` is when the links to directories on the way, and at its end, are followed; never out of the root.
    pub fn real(&self, path: &[u8]) -> Vec<u8> {
        let mut real: Vec<u8> = Vec::new();
        let mut ahead: Vec<Vec<u8>> = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            match &part[..] {
                b"" | b"." => continue,
                b".." => {
                    real = parent_of(&real).to_vec();
                    continue;
                }
                _ => {}
            }
            let next = join(&real, &part);
            match self.entries.get(&next).map(|entry| &entry.kind) {
                Some(Kind::Symlink(target)) if links < MOST_LINKS => {
                    links += 1;
                    if target.starts_with(b"/") {
                        real.clear();
                    }
                    ahead.extend(parts(target));
                }
                _ => real = next,
            }
        }
        real
    }
}

/// The uncompressed bytes of a layer in `file`, after digest, size and diff_id were found to be right.
fn unpack(
    layout: &LayoutReader,
    layer: &Descriptor,
    diff_id: &str,
    mut file: File,
    progress: &Progress,
) -> Result<File> {
    let broken = |reason: String| Error::layout(layout.path(), format!("layer {}: {reason}", layer.digest()));
    let digest = digest_of(layer).map_err(&broken)?;
    layout.verify(layer, progress)?;
    let (_, mut plain) = decompress::reader(BufReader::with_capacity(1 << 18, layout.blob(&digest)?))
        .map_err(Error::io("read", layout.path()))?;
    let algorithm = diff_id.parse::<Digest>().map_err(&broken)?.algorithm();
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 1 << 20];
    loop {
        progress.check()?;
        let count = plain.read(&mut buffer).map_err(|error| broken(format!("it can't be unpacked: {error}")))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(Error::io("write the unpacked bytes of", layout.path()))?;
    }
    let actual = hasher.finish().to_string();
    if actual != diff_id {
        return Err(broken(format!("the configuration says diff_id {diff_id}, its uncompressed bytes have {actual}")));
    }
    file.seek(SeekFrom::Start(0)).map_err(Error::io("read the unpacked bytes of", layout.path()))?;
    Ok(file)
}

fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect()
}

/// The last part of `path`.
pub fn name_of(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(path, |slash| &path[slash + 1..])
}

/// The directory that `path` is in; the root is in itself.
pub fn parent_of(path: &[u8]) -> &[u8] {
    parents_of(path).last().unwrap_or_default()
}

/// The path of what is called `name` in `directory`.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer of words: `a/` a directory, `a~` an implied one, `a->b` a link, `a=1` a file of mode 1.
    fn layer(words: &str) -> BTreeMap<Vec<u8>, Entry> {
        let entry = |word: &str| {
            let (path, kind, mode) = match (word.split_once("->"), word.split_once('=')) {
                (Some((path, target)), _) => (path, Kind::Symlink(target.into()), 0o777),
                (_, Some((path, mode))) => (path, Kind::Fifo, mode.parse().unwrap()),
                _ => (word.trim_end_matches(['/', '~']), Kind::Directory, 0o755),
            };
            Entry { kind, mode, implied: word.ends_with('~'), ..Entry::implied_directory(path.into()) }
        };
        words.split_whitespace().map(|word| (entry(word).path, entry(word))).collect()
    }

    fn view(layers: &[&str]) -> String {
        let mut view = View::default();
        for (number, words) in layers.iter().enumerate() {
            view.apply(number, layer(words));
        }
        assert!(view.entries.keys().eq(view.layers.keys()));
        let shown = view.entries.values().map(|entry| {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            match &entry.kind {
                Kind::Symlink(target) => format!("{path}->{}", String::from_utf8_lossy(target)),
                Kind::Directory => format!("{path}/"),
                _ => format!("{path}={}", entry.mode),
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn layers_lie_over_one_another() {
        for (layers, merged) in [
            (&["a/ a/x=1 b=1", "a/ a/x=2 c=3"][..], "a/ a/x=2 b=1 c=3"),
            (&["a/ a/x=1 a-b=1 b=1", ".wh.a=0 b=2"], "a-b=1 b=2"),
            (&["a/ a/x=1 a/y=1", "a/ a/.wh..wh..opq=0 a/z=2"], "a/ a/z=2"),
            (&["a/ a/x=1", "a=2"], "a=2"),
            (&["a=1", "a/ a/x=2"], "a/ a/x=2"),
            (&["a/ a/x=1", "a->b"], "a->b"),
            // Written through a link to a directory; one that is described replaces it.
            (&["usr/ usr/lib/ lib->usr/lib", "lib~ lib/x=2"], "lib->usr/lib usr/ usr/lib/ usr/lib/x=2"),
            (&["usr/ usr/lib/ usr/lib/x=1 lib->/usr/lib", "lib~ lib/.wh.x=0"], "lib->/usr/lib usr/ usr/lib/"),
            (&["usr/ usr/lib/ lib->usr/lib", "lib/ lib/x=2"], "lib/ lib/x=2 usr/ usr/lib/"),
        ] {
            assert_eq!(view(layers), merged, "{layers:?}");
        }
    }
}
