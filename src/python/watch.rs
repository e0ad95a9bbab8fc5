//! Runs work in a thread of its own, so that the interpreter is free and its signals are seen.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use super::errors;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// How often the interpreter is asked for signals. BitBake ends its tasks with one; people press Ctrl-C.
const POLL: Duration = Duration::from_millis(50);

/// Runs `work` detached from the interpreter. Meanwhile signal handlers run, and `callback` is told how it goes; what
/// either raises stops the work and is raised here, after the work has cleaned up.
pub fn watch<T: Send>(
    py: Python<'_>,
    callback: Option<Py<PyAny>>,
    work: impl FnOnce(&Arc<Progress>) -> Result<T> + Send,
) -> PyResult<T> {
    let progress = Arc::new(if callback.is_some() { Progress::watched() } else { Progress::default() });
    let (raised, result) = thread::scope(|scope| {
        let (finished, waiting) = sync_channel::<()>(0);
        // `detach` takes only what threads can share, which a receiver alone is not.
        let waiting = Mutex::new(waiting);
        let worker = {
            let progress = Arc::clone(&progress);
            scope.spawn(move || {
                // Closed when the thread ends, even by a panic.
                let _finished = finished;
                work(&progress)
            })
        };
        let mut raised = None;
        while py.detach(|| waiting_on(&waiting)) {
            if raised.is_none() {
                raised = py.check_signals().and_then(|()| report(py, callback.as_ref(), &progress)).err();
                if raised.is_some() {
                    progress.interrupt();
                }
            }
        }
        let result = py.detach(|| worker.join()).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Error::Internal(text.unwrap_or_else(|| "a thread panicked".to_owned())))
        });
        (raised, result)
    });
    match (raised, result) {
        (Some(raised), Err(_)) => Err(raised),
        (raised, Ok(value)) => {
            // The work was done before it could be stopped. The last report says so; a signal is not lost either.
            raised.map_or_else(|| report(py, callback.as_ref(), &progress), Err)?;
            Ok(value)
        }
        (None, Err(error)) => Err(errors::raise(py, error)),
    }
}

fn waiting_on(channel: &Mutex<Receiver<()>>) -> bool {
    let channel = channel.lock().unwrap_or_else(PoisonError::into_inner);
    matches!(channel.recv_timeout(POLL), Err(RecvTimeoutError::Timeout))
}

fn report(py: Python<'_>, callback: Option<&Py<PyAny>>, progress: &Progress) -> PyResult<()> {
    let Some(callback) = callback else { return Ok(()) };
    let now = progress.snapshot();
    callback.call1(py, (now.entries, now.bytes, now.total_entries, now.total_bytes)).map(drop)
}
