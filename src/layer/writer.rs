//! Writes a layer: entries go in, and once it is finished its descriptor and diff_id come out.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use libdeflater::crc32;
use serde::Serialize;

use super::tar::{BLOCK, END, Member, padding};
use super::view::parent_of;
use crate::compress::{Compression, MemberWriter, Pool};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::epoch::Epoch;
use crate::error::{Error, Result};
use crate::layout::{Blob, BlobWriter};
use crate::progress::Progress;
use crate::rootfs::{Content, Entry, Inode, Kind};

/// Before which one of so many entries a member may end that is not full.
///
/// The entry's own name decides. If only the bytes so far did, a file that grows would move the end of its member and so
/// that of every member behind it; a name stays, so at the next one that ends a member all is as it was.
const ENDS_BEFORE_ONE_OF: u32 = 16;

/// A finished layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The compressed bytes.
    pub blob: Blob,
    /// How they are compressed.
    pub compression: Compression,
    /// The digest of the uncompressed tar stream.
    pub diff_id: Digest,
    /// Length of the uncompressed tar stream in bytes.
    pub uncompressed_size: u64,
    /// What is in it.
    pub counts: Counts,
    /// How many entries it has besides: directories of other layers that lead to what is in this one, and whiteouts.
    pub repeated: u64,
    /// Bytes of file contents.
    pub content_bytes: u64,
    /// What a user should know about what is not in it, a line each.
    pub notes: Vec<String>,
}

/// How many entries of each kind a layer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of a file that stands earlier in the layer.
    pub hard_links: u64,
    /// Character and block devices.
    pub devices: u64,
    /// Named pipes.
    pub fifos: u64,
    /// Sockets, which no layer can hold.
    pub sockets_left_out: u64,
    /// Extended attributes.
    pub xattrs: u64,
    /// Extended attributes that the policy left out.
    pub xattrs_left_out: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self {
            files,
            directories,
            symlinks,
            hard_links,
            devices,
            fifos,
            sockets_left_out,
            xattrs,
            xattrs_left_out,
        } = other;
        self.files += files;
        self.directories += directories;
        self.symlinks += symlinks;
        self.hard_links += hard_links;
        self.devices += devices;
        self.fifos += fifos;
        self.sockets_left_out += sockets_left_out;
        self.xattrs += xattrs;
        self.xattrs_left_out += xattrs_left_out;
    }
}

impl Counts {
    /// All entries of the layer.
    pub fn entries(&self) -> u64 {
        self.files + self.directories + self.symlinks + self.hard_links + self.devices + self.fifos
    }
}

/// A layer being written.
pub struct LayerWriter<'a> {
    members: MemberWriter<BlobWriter>,
    compression: Compression,
    /// The most bytes of the tar stream that make a member. A file that is larger begins a member of its own and is cut
    /// at multiples of this size from its header on, so that a change in one file leaves the members of others alone.
    member_size: usize,
    buffer: Vec<u8>,
    /// Of the tar stream, unless the blob has just its bytes and so its digest.
    hasher: Option<Hasher>,
    uncompressed_size: u64,
    first_names: BTreeMap<Inode, Vec<u8>>,
    counts: Counts,
    repeated: u64,
    content_bytes: u64,
    notes: Vec<String>,
    progress: &'a Progress,
}

impl<'a> LayerWriter<'a> {
    /// Starts a layer that `pool` compresses into `blob`.
    ///
    /// # Errors
    /// [`Error::Io`] when the system gives no more threads.
    pub fn new(pool: &Pool, compression: Compression, blob: BlobWriter, progress: &'a Progress) -> Result<Self> {
        let path = blob.path().to_owned();
        Ok(Self {
            members: pool.writer(compression, blob, path)?,
            compression,
            member_size: compression.member_size(),
            buffer: Vec::with_capacity(compression.member_size()),
            hasher: (compression != Compression::None).then(|| Hasher::new(Algorithm::Sha256)),
            uncompressed_size: 0,
            first_names: BTreeMap::new(),
            counts: Counts::default(),
            repeated: 0,
            content_bytes: 0,
            notes: Vec::new(),
            progress,
        })
    }

    /// Adds one entry with its content. Entries come sorted by path.
    ///
    /// # Errors
    /// [`Error::Rootfs`] when the file changes while it is read, or is named like a whiteout; [`Error::Io`] when it
    /// can't be read; [`Error::Interrupted`] when the caller asked to stop.
    pub fn add(&mut self, entry: &Entry, epoch: &mut Epoch) -> Result<()> {
        self.progress.check()?;
        refuse_whiteout(entry)?;
        if matches!(entry.kind, Kind::Socket) {
            self.counts.sockets_left_out += 1;
            self.notes.push(format!("{}: socket left out", entry.display()));
            return Ok(());
        }
        let first_name = entry.inode.and_then(|inode| self.first_names.get(&inode)).cloned();
        let mtime = if entry.implied { epoch.of_the_invented() } else { epoch.clamp(entry.mtime) };
        let member = Member { entry, mtime, link_to: first_name.as_deref() };
        if self.ends_before(&entry.path, member.content_size()) {
            self.send()?;
        }
        let start = self.buffer.len();
        member.write_header(&mut self.buffer)?;
        self.hash_from(start);
        if let (Kind::File { size, content }, None) = (&entry.kind, &first_name) {
            self.copy_content(content, *size)?;
        }
        self.count(entry, first_name.is_some());
        if let (Some(inode), None) = (entry.inode, first_name) {
            self.first_names.insert(inode, entry.path.clone());
        }
        self.progress.add_entry();
        Ok(())
    }

    /// Adds a directory that belongs to another layer. It comes in the same order as the entries.
    ///
    /// # Errors
    /// Those of [`LayerWriter::add`].
    pub fn repeat(&mut self, directory: &Entry, epoch: &mut Epoch) -> Result<()> {
        let counts = self.counts;
        self.add(directory, epoch)?;
        self.counts = counts;
        self.repeated += 1;
        Ok(())
    }

    /// Takes away what lower layers have at `path`. It comes right behind the directory that `path` is in, so before all
    /// that is in it. Source: layer.md, "Whiteouts".
    ///
    /// # Errors
    /// [`Error::Io`] when a member can't be written.
    pub fn take_away(&mut self, path: &[u8]) -> Result<()> {
        let parent = parent_of(path);
        let name = path[parent.len()..].strip_prefix(b"/").unwrap_or(&path[parent.len()..]);
        let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
        let whiteout = Entry {
            kind: Kind::File { size: 0, content: Content::Empty },
            mode: 0o644,
            ..Entry::implied_directory([parent, slash, b".wh.", name].concat())
        };
        if self.ends_before(&whiteout.path, 0) {
            self.send()?;
        }
        let start = self.buffer.len();
        Member { entry: &whiteout, mtime: 0, link_to: None }.write_header(&mut self.buffer)?;
        self.hash_from(start);
        self.repeated += 1;
        Ok(())
    }

    /// Ends the layer and waits until its bytes are in the layout.
    ///
    /// # Errors
    /// The first error of compressing or writing.
    pub fn finish(mut self) -> Result<Layer> {
        if self.counts.xattrs_left_out > 0 {
            self.notes.push(format!("{} extended attributes left out by the policy", self.counts.xattrs_left_out));
        }
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&END);
        self.hash_from(start);
        self.send()?;
        let blob = self.members.finish()?.finish()?;
        Ok(Layer {
            diff_id: self.hasher.map_or_else(|| blob.digest.clone(), Hasher::finish),
            blob,
            compression: self.compression,
            uncompressed_size: self.uncompressed_size,
            counts: self.counts,
            repeated: self.repeated,
            content_bytes: self.content_bytes,
            notes: self.notes,
        })
    }

    fn ends_before(&self, path: &[u8], content_size: u64) -> bool {
        let needed = content_size.saturating_add(2 * BLOCK as u64);
        let is_full = self.buffer.len() as u64 + needed > self.member_size as u64;
        let may_end = self.buffer.len() >= self.member_size / 4 && crc32(path).is_multiple_of(ENDS_BEFORE_ONE_OF);
        !self.buffer.is_empty() && (is_full || may_end)
    }

    fn copy_content(&mut self, content: &Content, size: u64) -> Result<()> {
        let mut reader = content.open()?;
        let mut remaining = size;
        while remaining > 0 {
            self.progress.check()?;
            let room = self.member_size.saturating_sub(self.buffer.len()).max(1);
            let want = usize::try_from(remaining).unwrap_or(usize::MAX).min(room);
            let start = self.buffer.len();
            let read =
                reader.append(want, &mut self.buffer).map_err(|error| Error::io("read", &content.name())(error))?;
            if read < want {
                return Err(Error::rootfs(content.name(), format!("it shrank below {size} bytes while it was read")));
            }
            self.hash_from(start);
            self.progress.add_bytes(want as u64);
            remaining -= want as u64;
            if self.buffer.len() >= self.member_size {
                self.send()?;
            }
        }
        reader.finish()?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; BLOCK][..padding(size)]);
        self.hash_from(start);
        self.content_bytes += size;
        Ok(())
    }

    /// Hashes what the buffer got since it had so many bytes, which the processor still has at hand.
    fn hash_from(&mut self, start: usize) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&self.buffer[start..]);
        }
    }

    fn send(&mut self) -> Result<()> {
        self.uncompressed_size += self.buffer.len() as u64;
        let full = std::mem::replace(&mut self.buffer, self.members.buffer());
        self.buffer.reserve(self.member_size);
        self.members.send(full)
    }

    fn count(&mut self, entry: &Entry, is_link: bool) {
        let counts = &mut self.counts;
        match entry.kind {
            _ if is_link => counts.hard_links += 1,
            Kind::File { .. } => counts.files += 1,
            Kind::Directory => counts.directories += 1,
            Kind::Symlink(_) => counts.symlinks += 1,
            Kind::CharDevice(_) | Kind::BlockDevice(_) => counts.devices += 1,
            Kind::Fifo => counts.fifos += 1,
            Kind::Socket => {}
        }
        if !is_link {
            counts.xattrs += entry.xattrs.len() as u64;
            counts.xattrs_left_out += entry.xattrs_left_out;
        }
    }
}

/// A name that begins with `.wh.` would delete something when the image is unpacked. Source: layer.md, "Whiteouts".
fn refuse_whiteout(entry: &Entry) -> Result<()> {
    let name = entry.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if name.starts_with(b".wh.") {
        let reason = "a name that begins with .wh. means a deletion inside a layer, so no image can hold it";
        return Err(Error::rootfs(entry.display(), reason));
    }
    Ok(())
}
