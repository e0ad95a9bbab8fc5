//! Work that several threads do and whose results come out in order.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};

/// Starts a thread that is called `name` in a debugger.
///
/// # Errors
/// [`Error::Io`] when the system gives no more threads.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::io("start a thread to", name))
}

/// Hands jobs to whichever thread is free.
pub struct Queue<J>(Arc<Mutex<Receiver<J>>>);

impl<J> Queue<J> {
    /// A queue and the end that feeds it. It ends when every feeding end is gone.
    pub fn new() -> (Sender<J>, Self) {
        let (sender, receiver) = channel();
        (sender, Self(Arc::new(Mutex::new(receiver))))
    }

    /// The next job, or `None` when there will be no more.
    pub fn take(&self) -> Option<J> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

impl<J> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The results of `work` on each of some items, in the order of the items. Dropping it ends the threads.
pub struct Ordered<U> {
    results: Option<Receiver<Receiver<U>>>,
    threads: Vec<JoinHandle<()>>,
}

/// Does `work` on all `items` in so many threads, at most `ahead` results before they are taken.
///
/// # Errors
/// [`Error::Io`] when the system gives no more threads.
pub fn ordered<T, U>(
    name: &str,
    threads: usize,
    ahead: usize,
    items: impl Iterator<Item = T> + Send + 'static,
    work: impl Fn(T) -> U + Clone + Send + 'static,
) -> Result<Ordered<U>>
where
    T: Send + 'static,
    U: Send + 'static,
{
    let (jobs, queue) = Queue::<(T, SyncSender<U>)>::new();
    let (order, results) = sync_channel(ahead);
    let mut running = Vec::with_capacity(threads + 1);
    for _ in 0..threads {
        let (queue, work) = (queue.clone(), work.clone());
        running.push(spawn(name, move || {
            while let Some((item, done)) = queue.take() {
                // Nobody waits for it when everything was given up.
                let _ = done.send(work(item));
            }
        })?);
    }
    running.push(spawn(name, move || {
        for item in items {
            let (done, result) = sync_channel(1);
            if order.send(result).is_err() || jobs.send((item, done)).is_err() {
                return;
            }
        }
    })?);
    Ok(Ordered { results: Some(results), threads: running })
}

impl<U> Iterator for Ordered<U> {
    type Item = Result<U>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.results.as_ref()?.recv().ok()?;
        Some(result.recv().map_err(|_| Error::Internal("a thread ended early".into())))
    }
}

impl<U> Drop for Ordered<U> {
    fn drop(&mut self) {
        self.results = None;
        for thread in self.threads.drain(..) {
            // One that panicked has already failed what it worked for.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let slow_first = |n: u64| {
            thread::sleep(Duration::from_millis(20_u64.saturating_sub(n)));
            n * 2
        };
        let results: Vec<_> = ordered("test", 4, 3, 0..50, slow_first).unwrap().map(Result::unwrap).collect();
        assert_eq!(results, (0..50).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn giving_up_early_ends_the_threads() {
        let mut endless = ordered("test", 2, 2, 0.., |n: u64| n).unwrap();
        assert_eq!(endless.next().unwrap().unwrap(), 0);
        drop(endless);
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let mut results = ordered("test", 1, 2, 0..2, |n: u64| assert_ne!(n, 0)).unwrap();
        assert!(matches!(results.next(), Some(Err(Error::Internal(_)))));
    }
}
