//! Members that were compressed before.
//!
//! A member is found by what it is made of: the BLAKE3 hash of its plain bytes, the algorithm, the level, and the version
//! of what compresses. Compressing is deterministic, so a build with the cache gives the same bytes as one without. Nothing
//! is ever changed in place, so any number of builds can share a directory and any of them can be killed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use libdeflater::Crc;

use super::Compression;
use crate::error::{Error, Result};

/// The form of an entry: named after BLAKE3; four bytes of CRC-32, least first, then the member. The checksum is that of the
/// entry's name and the member, so that a member in another's place is noticed like one that is damaged.
const FORM: &str = "2";
const CHECKSUM: usize = 4;

/// How an entry's name ends before it is complete.
const PARTIAL: &str = ".partial";

/// A directory of compressed members.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    limit: u64,
    hits: AtomicU64,
    misses: AtomicU64,
    failures: AtomicU64,
}

/// What a cache did for a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheCounts {
    /// Members that were there.
    pub hits: u64,
    /// Members that had to be compressed.
    pub misses: u64,
    /// Entries that could not be read or written, or were corrupt. They cost time and nothing else.
    pub failures: u64,
}

impl Cache {
    /// The cache in `directory`, which is made if it is not there, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory can't be made or written to.
    pub fn open(directory: &Path, limit: u64) -> Result<Self> {
        let cache = Self {
            directory: directory.to_owned(),
            limit,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        };
        fs::create_dir_all(directory).map_err(Error::io("create the cache", directory))?;
        // Better told now than by a build that is as slow as without a cache.
        cache
            .temporary()
            .and_then(|(_, path)| fs::remove_file(path))
            .map_err(Error::io("write to the cache", directory))?;
        Ok(cache)
    }

    /// Puts the member that `compression` makes of `plain` into `member`: the one that is there, or the one that
    /// `compress` makes, which is kept.
    pub(super) fn member(
        &self,
        compression: Compression,
        plain: &[u8],
        member: &mut Vec<u8>,
        compress: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let path = self.path(compression, plain);
        match read(&path, member) {
            Ok(()) => {
                self.hits.fetch_add(1, Relaxed);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => drop(self.failures.fetch_add(1, Relaxed)),
        }
        self.misses.fetch_add(1, Relaxed);
        compress(member)?;
        // A cache that is full or gone makes builds slow, not wrong: it is counted, and the build goes on.
        if self.write(&path, member).is_err() {
            self.failures.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// What happened so far.
    pub fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }

    /// Removes what was not used for longest, until the cache is within its limit. A cache that can't be read is counted as a
    /// failure: the image is there, and better without a cache than not at all.
    pub fn evict(&self) {
        let Ok(mut entries) = self.entries() else {
            self.failures.fetch_add(1, Relaxed);
            return;
        };
        let mut size: u64 = entries.iter().map(|entry| entry.size).sum();
        entries.sort();
        for entry in entries {
            if size <= self.limit {
                break;
            }
            let _ = fs::remove_file(&entry.path);
            size -= entry.size;
        }
    }

    /// The cache's own files, complete or not. Whatever else somebody keeps in the directory is none of its business.
    fn entries(&self) -> Result<Vec<Stored>> {
        let failed = || Error::io("read the cache", &self.directory);
        let mut found = Vec::new();
        for child in fs::read_dir(&self.directory).map_err(failed())? {
            let child = child.map_err(failed())?;
            let (name, path) = (child.file_name(), child.path());
            let name = name.to_string_lossy();
            if name.starts_with("member-") && name.ends_with(PARTIAL) {
                found.push(path);
            } else if is_hex(&name, 2) && path.is_dir() {
                let inside = fs::read_dir(&path).map_err(failed())?.filter_map(io::Result::ok);
                found.extend(
                    inside.filter(|entry| is_entry(&entry.file_name().to_string_lossy())).map(|entry| entry.path()),
                );
            }
        }
        // What is gone by now was removed by another build.
        Ok(found.into_iter().filter_map(Stored::of).collect())
    }

    fn path(&self, compression: Compression, plain: &[u8]) -> PathBuf {
        let hash = blake3::hash(plain).to_hex();
        let (first, rest) = hash.split_at(2);
        self.directory.join(first).join(format!("{rest}.{}.{FORM}", compression.identity()))
    }

    fn write(&self, path: &Path, member: &[u8]) -> io::Result<()> {
        let (mut file, temporary) = self.temporary()?;
        let written = file
            .write_all(&checksum(path, member))
            .and_then(|()| file.write_all(member))
            .and_then(|()| path.parent().map_or(Ok(()), fs::create_dir_all))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// A file that no other build and no other thread writes to. What a killed build leaves under such a name is the
    /// oldest in the cache one day, and goes.
    fn temporary(&self) -> io::Result<(File, PathBuf)> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Relaxed);
            let path = self.directory.join(format!("member-{}-{number}{PARTIAL}", std::process::id()));
            // Another machine or container may have a process of the same number.
            match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|file| (file, path)),
            }
        }
    }
}

fn checksum(path: &Path, member: &[u8]) -> [u8; CHECKSUM] {
    let mut crc = Crc::new();
    crc.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    crc.update(member);
    crc.sum().to_le_bytes()
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether an entry of any form and of any version of what compresses is called so.
fn is_entry(name: &str) -> bool {
    name.split_once('.').is_some_and(|(digest, identity)| is_hex(digest, 62) && identity.contains('.'))
}

/// An entry, sorted by when it was used last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Stored {
    used: SystemTime,
    path: PathBuf,
    size: u64,
}

impl Stored {
    fn of(path: PathBuf) -> Option<Self> {
        let metadata = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some(Self { used: metadata.modified().ok()?, size: metadata.len(), path })
    }
}

/// Reads a member, checks it, and marks it as used.
fn read(path: &Path, member: &mut Vec<u8>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut expected = [0; CHECKSUM];
    file.read_exact(&mut expected)?;
    member.clear();
    file.read_to_end(member)?;
    if checksum(path, member) != expected {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the entry is corrupt"));
    }
    // SAFETY: the descriptor is open; no times given means now.
    unsafe { libc::futimens(file.as_raw_fd(), std::ptr::null()) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GZIP: Compression = Compression::Gzip(6);

    fn member_of(cache: &Cache, plain: &[u8]) -> Vec<u8> {
        let mut member = Vec::new();
        cache.member(GZIP, plain, &mut member, |member| super::super::Codec::new(GZIP)?.member(plain, member)).unwrap();
        member
    }

    fn counts(hits: u64, misses: u64, failures: u64) -> CacheCounts {
        CacheCounts { hits, misses, failures }
    }

    #[test]
    fn what_was_compressed_once_is_not_compressed_again_and_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let first = Cache::open(directory.path(), u64::MAX).unwrap();
        let compressed = member_of(&first, b"plain");
        let second = Cache::open(directory.path(), u64::MAX).unwrap();
        assert_eq!(member_of(&second, b"plain"), compressed);
        member_of(&second, b"other");
        assert_eq!((first.counts(), second.counts()), (counts(0, 1, 0), counts(1, 1, 0)));
    }

    #[test]
    fn a_corrupt_or_truncated_entry_is_noticed_and_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), u64::MAX).unwrap();
        let compressed = member_of(&cache, b"plain");
        let path = cache.path(GZIP, b"plain");
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[9] ^= 1;
        for broken in [&flipped[..], &whole[..whole.len() - 1], &whole[..2], &[]] {
            fs::write(&path, broken).unwrap();
            assert_eq!(member_of(&cache, b"plain"), compressed);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        assert_eq!(cache.counts(), counts(0, 5, 4));
    }

    /// The hash is what `printf abc | b3sum` prints. Whoever changes how entries are found or what is in them changes `FORM`.
    #[test]
    fn an_entry_is_named_after_the_hash_what_compresses_and_the_form() {
        let directory = tempfile::tempdir().unwrap();
        let path = Cache::open(directory.path(), u64::MAX).unwrap().path(GZIP, b"abc");
        let name = path.strip_prefix(directory.path()).unwrap().to_str().unwrap();
        let (hash, rest) = name.split_once('.').unwrap();
        assert_eq!(hash, "64/37b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        assert_eq!(rest, format!("gzip-6-{}.2", super::super::LIBDEFLATE));
    }

    #[test]
    fn levels_and_algorithms_do_not_share_members() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), u64::MAX).unwrap();
        let paths = [Compression::Gzip(6), Compression::Gzip(7), Compression::Zstd(6)].map(|one| cache.path(one, b"x"));
        assert!(paths[0] != paths[1] && paths[0] != paths[2] && paths[1] != paths[2]);
        assert_ne!(cache.path(GZIP, b"x"), cache.path(GZIP, b"y"));
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let unlimited = Cache::open(directory.path(), u64::MAX).unwrap();
        let plains: Vec<_> = (0..4).map(|n: u8| vec![n; 10]).collect();
        for (age, plain) in (0..).zip(&plains) {
            member_of(&unlimited, plain);
            let file = File::options().write(true).open(unlimited.path(GZIP, plain)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age)).unwrap();
        }
        // Used again, so the oldest by far is the youngest now.
        member_of(&unlimited, &plains[0]);
        let size = fs::metadata(unlimited.path(GZIP, &plains[0])).unwrap().len();
        let limited = Cache::open(directory.path(), 2 * size).unwrap();
        limited.evict();
        let left: Vec<_> = plains.iter().map(|plain| limited.path(GZIP, plain).exists()).collect();
        assert_eq!(left, [true, false, false, true]);
    }

    #[test]
    fn a_member_in_the_place_of_another_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), u64::MAX).unwrap();
        let compressed = member_of(&cache, b"plain");
        member_of(&cache, b"other");
        fs::copy(cache.path(GZIP, b"other"), cache.path(GZIP, b"plain")).unwrap();
        assert_eq!(member_of(&cache, b"plain"), compressed);
        assert_eq!(cache.counts(), counts(0, 3, 1));
    }

    #[test]
    fn builds_of_one_process_write_to_files_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let caches = [(); 2].map(|()| Cache::open(directory.path(), u64::MAX).unwrap());
        let files = [&caches[0], &caches[1], &caches[0]].map(|cache| cache.temporary().unwrap().1);
        assert!(files[0] != files[1] && files[1] != files[2] && files[0] != files[2]);
    }

    #[test]
    fn what_is_not_of_the_cache_stays() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 0).unwrap();
        member_of(&cache, b"plain");
        let (mut file, unfinished) = cache.temporary().unwrap();
        file.write_all(b"half").unwrap();
        let foreign = ["letter.txt", "docs/letter.txt", "ab/letter.txt", "member.partial"]
            .map(|name| directory.path().join(name));
        for path in &foreign {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "dear").unwrap();
        }
        cache.evict();
        assert!(foreign.iter().all(|path| path.exists()));
        assert!(!cache.path(GZIP, b"plain").exists() && !unfinished.exists());
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_an_error_that_names_it() {
        let error = Cache::open(Path::new("/proc/no-cache"), 1).unwrap_err().to_string();
        assert!(error.starts_with("can't create the cache \"/proc/no-cache\""), "{error}");
    }
}
