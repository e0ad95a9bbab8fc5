//! Brings a file to the disk while more of it is being written, so that little is left to wait for at its end.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::parallel;

/// How much is written between two syncs: enough that a disk that turns is not sent to and fro, and that small files have none.
const STEP: u64 = 16 << 20;

/// What syncs a file that grows.
#[derive(Default)]
pub struct EarlySync {
    pending: u64,
    thread: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
}

impl EarlySync {
    /// Notes that `file` has so many bytes more, and has them synced when there are enough. Never waits for that.
    ///
    /// # Errors
    /// What is in the way of a second handle or of a thread.
    pub fn grown(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        self.pending += bytes as u64;
        if self.pending < STEP {
            return Ok(());
        }
        self.pending = 0;
        if self.thread.is_none() {
            let (wanted, asked) = sync_channel(1);
            let file = file.try_clone()?;
            let work = move || asked.iter().try_for_each(|()| file.sync_data());
            self.thread = Some((wanted, parallel::spawn("sync", work).map_err(io::Error::other)?));
        }
        if let Some((wanted, _)) = &self.thread {
            // Full: the next sync, which has not begun, brings these bytes along. Gone: `finish` tells why.
            let _ = wanted.try_send(());
        }
        Ok(())
    }

    /// Waits for the last sync that was begun.
    ///
    /// # Errors
    /// That of the first sync that failed. The system tells of it once, so it is not to be learnt from a later one.
    pub fn finish(self) -> io::Result<()> {
        let Some((wanted, thread)) = self.thread else { return Ok(()) };
        drop(wanted);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs has panicked")))
    }
}
