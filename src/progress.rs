//! What a running build tells its caller, and how the caller tells it to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::error::{Error, Result};

const UNKNOWN: u64 = u64::MAX;

/// Shared between the threads of one build and whoever watches it.
#[derive(Debug)]
pub struct Progress {
    entries: AtomicU64,
    bytes: AtomicU64,
    total_entries: AtomicU64,
    total_bytes: AtomicU64,
    interrupted: AtomicBool,
    watched: bool,
}

/// Where a build stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Entries of the root filesystem written so far.
    pub entries: u64,
    /// Bytes of file contents written so far.
    pub bytes: u64,
    /// All entries, once known.
    pub total_entries: Option<u64>,
    /// All bytes of file contents, once known.
    pub total_bytes: Option<u64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_entries: AtomicU64::new(UNKNOWN),
            total_bytes: AtomicU64::new(UNKNOWN),
            interrupted: AtomicBool::new(false),
            watched: false,
        }
    }
}

impl Progress {
    /// Somebody looks at it, so finding out early how much there is to do is worth the effort.
    pub fn watched() -> Self {
        Self { watched: true, ..Self::default() }
    }

    /// Whether somebody looks at it.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// One more entry is written.
    pub fn add_entry(&self) {
        self.entries.fetch_add(1, Relaxed);
    }

    /// So many more bytes of file contents are written.
    pub fn add_bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Relaxed);
    }

    /// How much there is to do in all.
    pub fn set_total(&self, entries: u64, bytes: u64) {
        self.total_entries.store(entries, Relaxed);
        self.total_bytes.store(bytes, Relaxed);
    }

    /// Where the build stands.
    pub fn snapshot(&self) -> Snapshot {
        let known = |value: &AtomicU64| Some(value.load(Relaxed)).filter(|value| *value != UNKNOWN);
        Snapshot {
            entries: self.entries.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            total_entries: known(&self.total_entries),
            total_bytes: known(&self.total_bytes),
        }
    }

    /// Asks the build to stop at its next opportunity.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Relaxed);
    }

    /// Returns the error that ends a build which was asked to stop. Called between any two pieces of work that could
    /// take longer than a moment.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after [`Progress::interrupt`].
    pub fn check(&self) -> Result<()> {
        if self.interrupted.load(Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
