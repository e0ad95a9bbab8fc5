//! Threads that compress, and a writer that puts their work back in order.

use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::{Cache, Codec, Compression};
use crate::error::{Error, Result};
use crate::parallel::{Queue, spawn};

/// Threads that compress the members of any number of layers.
pub struct Pool {
    cache: Option<Arc<Cache>>,
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

struct Job {
    compression: Compression,
    plain: Vec<u8>,
    /// What the member is put into.
    member: Vec<u8>,
    done: SyncSender<Result<Finished>>,
}

struct Finished {
    plain: Vec<u8>,
    member: Vec<u8>,
}

/// Two buffers to be used again, for plain bytes and for a member: fresh memory is slow at its first use.
type Spent = (Vec<u8>, Vec<u8>);

impl Pool {
    /// A pool of so many threads, which end when it is dropped. They compress only what `cache` doesn't have.
    ///
    /// # Errors
    /// [`Error::Io`] when the system gives no more threads.
    pub fn new(threads: NonZero<usize>, cache: Option<Cache>) -> Result<Self> {
        let cache = cache.map(Arc::new);
        let (jobs, queue) = Queue::new();
        let threads = (0..threads.get())
            .map(|_| {
                let (queue, cache) = (queue.clone(), cache.clone());
                spawn("compress", move || work(&queue, cache.as_deref()))
            })
            .collect::<Result<_>>()?;
        Ok(Self { cache, jobs: Some(jobs), threads })
    }

    /// How many threads compress.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// The cache, if there is one.
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_deref()
    }

    /// Starts a layer that is compressed by this pool and written to `output`, whose errors name `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when the system gives no more threads.
    pub fn writer<W: Write + Send + 'static>(
        &self,
        compression: Compression,
        output: W,
        path: PathBuf,
    ) -> Result<MemberWriter<W>> {
        // What is under way is bounded here: memory does not grow with the layer, and no thread waits for want of work.
        let (order, pending) = sync_channel(self.threads() + 1);
        let (recycle, spent) = channel();
        let writer = spawn("write layer", move || write_in_order(output, path, &pending, &recycle))?;
        let jobs = self.jobs.clone().ok_or_else(|| Error::Internal("the pool has ended".into()))?;
        Ok(MemberWriter { compression, jobs, order, spent, member: Vec::new(), writer: Some(writer) })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has already failed the layer it worked for.
            let _ = thread.join();
        }
    }
}

/// A layer being compressed. Members go in whole and in order; finishing it gives the output back.
pub struct MemberWriter<W> {
    compression: Compression,
    jobs: Sender<Job>,
    order: SyncSender<Receiver<Result<Finished>>>,
    spent: Receiver<Spent>,
    /// For the member of the plain bytes that come next.
    member: Vec<u8>,
    /// Taken when the writer has ended: after its failure, or by [`MemberWriter::finish`].
    writer: Option<JoinHandle<Result<W>>>,
}

impl<W> MemberWriter<W> {
    /// An empty buffer for the next member, used before if there is such a one.
    pub fn buffer(&mut self) -> Vec<u8> {
        let (plain, member) = self.spent.try_recv().unwrap_or_default();
        self.member = member;
        plain
    }

    /// Adds `plain` as the next member. Waits while enough members are under way.
    ///
    /// # Errors
    /// What made the writer give up on an earlier member.
    pub fn send(&mut self, plain: Vec<u8>) -> Result<()> {
        let (done, result) = sync_channel(1);
        if self.order.send(result).is_err() {
            return self.join().and(Err(Error::Internal("the layer's writer ended early".into())));
        }
        let member = std::mem::take(&mut self.member);
        self.jobs
            .send(Job { compression: self.compression, plain, member, done })
            .map_err(|_| Error::Internal("the compressing threads ended early".into()))
    }

    /// Waits until everything is written and gives back the output.
    ///
    /// # Errors
    /// The first error of compressing or writing.
    pub fn finish(mut self) -> Result<W> {
        // Closing the queue is what tells the writer that nothing more comes.
        self.order = sync_channel(0).0;
        self.join()
    }

    fn join(&mut self) -> Result<W> {
        let ended = || Err(Error::Internal("the layer's writer has ended before".into()));
        self.writer.take().map_or_else(ended, |writer| {
            writer.join().unwrap_or_else(|panic| Err(Error::Internal(panic_message(panic.as_ref()))))
        })
    }
}

fn work(queue: &Queue<Job>, cache: Option<&Cache>) {
    let mut codec: Option<(Compression, Codec)> = None;
    while let Some(Job { compression, plain, mut member, done }) = queue.take() {
        let mut compress = |member: &mut Vec<u8>| match &mut codec {
            Some((kept, codec)) if *kept == compression => codec.member(&plain, member),
            _ => codec.insert((compression, Codec::new(compression)?)).1.member(&plain, member),
        };
        let compressed = match cache {
            Some(cache) if compression != Compression::None => cache.member(compression, &plain, &mut member, compress),
            _ => compress(&mut member),
        };
        // The receiver is gone when the layer was given up: nobody wants the member then.
        let _ = done.send(compressed.map(|()| Finished { plain, member }));
    }
}

fn write_in_order<W: Write>(
    mut output: W,
    path: PathBuf,
    pending: &Receiver<Receiver<Result<Finished>>>,
    recycle: &Sender<Spent>,
) -> Result<W> {
    for result in pending {
        let Finished { mut plain, member } =
            result.recv().unwrap_or_else(|_| Err(Error::Internal("a compressing thread ended early".into())))?;
        output.write_all(&member).map_err(Error::io("write", &path))?;
        plain.clear();
        let _ = recycle.send((plain, member));
    }
    output.flush().map_err(Error::io("write", &path))?;
    Ok(output)
}

/// What a panic said, for an error that must not lose it.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a thread panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn compress(compression: Compression, threads: usize, members: &[&[u8]]) -> Vec<u8> {
        let pool = Pool::new(NonZero::new(threads).unwrap(), None).unwrap();
        let mut writer = pool.writer(compression, Vec::new(), "layer".into()).unwrap();
        for member in members {
            let mut buffer = writer.buffer();
            buffer.extend_from_slice(member);
            writer.send(buffer).unwrap();
        }
        writer.finish().unwrap()
    }

    fn members() -> Vec<Vec<u8>> {
        (0..40_usize).map(|n| (0..n * 997).map(|i| (i * n % 251) as u8).collect()).collect()
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes_and_they_decode_to_the_input() {
        let members = members();
        let slices: Vec<_> = members.iter().map(Vec::as_slice).collect();
        for compression in [Compression::None, Compression::Gzip(6), Compression::Zstd(3)] {
            let one = compress(compression, 1, &slices);
            assert_eq!(one, compress(compression, 5, &slices), "{compression:?}");
            let mut plain = Vec::new();
            match compression {
                Compression::None => plain.clone_from(&one),
                Compression::Gzip(_) => drop(MultiGzDecoder::new(&one[..]).read_to_end(&mut plain).unwrap()),
                Compression::Zstd(_) => plain = zstd::decode_all(&one[..]).unwrap(),
            }
            assert!(plain == members.concat(), "{compression:?}");
        }
    }

    #[test]
    fn an_output_that_fails_fails_the_layer_and_names_the_file() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(libc::ENOSPC))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let pool = Pool::new(NonZero::new(2).unwrap(), None).unwrap();
        let mut writer = pool.writer(Compression::Gzip(1), Full, "/full/blob".into()).unwrap();
        let error = std::iter::repeat_with(|| writer.send(vec![0; 1000])).find_map(Result::err).unwrap().to_string();
        assert!(error.starts_with("can't write \"/full/blob\": No space left on device"), "{error}");
    }
}
