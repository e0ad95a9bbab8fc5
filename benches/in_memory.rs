//! What the compressors alone can do, and the digest: a file that lies in memory, cut into pieces, compressed by so many threads into
//! nothing. No file is walked, hashed or written, so this is the floor under every build with the same compressor.
//!
//! ```text
//! in_memory defaults                            the default levels and sizes of a piece
//! in_memory once ALGORITHM LEVEL THREADS FILE   seconds and bytes
//! in_memory digest FILE                         seconds and bytes of SHA-256, which one thread has to do in order
//! in_memory curve THREADS FILE                  every level with every size of a piece, on a sample of the file
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use image_oci_rs::compress::Compression;
use image_oci_rs::digest::Digest;
use libdeflater::{CompressionLvl, Compressor as Deflate};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
/// Compresses a piece and says how many bytes it has become.
type Compress = Box<dyn FnMut(&[u8]) -> Result<usize>>;

/// The sample: the first of so many stretches of the file, again and again. The largest piece divides a stretch.
const STRETCH: usize = 8 << 20;
const ONE_STRETCH_OF: usize = 8;

const CURVE_PIECES: [usize; 5] = [256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];
const CURVE_GZIP: std::ops::RangeInclusive<i32> = 1..=9;
const CURVE_ZSTD: std::ops::RangeInclusive<i32> = 1..=6;
/// The fastest of so many runs counts.
const CURVE_RUNS: usize = 2;

fn main() -> ExitCode {
    // `cargo bench` adds a word of its own.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["defaults"] => defaults(),
        ["once", algorithm, level, threads, file] => once(algorithm, level, threads, file),
        ["digest", file] => digest(file),
        ["curve", threads, file] => curve(threads, file),
        _ => {
            Err("usage: in_memory defaults | once ALGORITHM LEVEL THREADS FILE | digest FILE | curve THREADS FILE"
                .into())
        }
    };
    if let Err(error) = done {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn defaults() -> Result<()> {
    for algorithm in ["gzip", "zstd"] {
        let compression = Compression::new(algorithm, None)?;
        if let Compression::Gzip(level) | Compression::Zstd(level) = compression {
            println!("{algorithm}\t{level}\t{}", compression.member_size());
        }
    }
    Ok(())
}

fn once(algorithm: &str, level: &str, threads: &str, file: &str) -> Result<()> {
    let compression = Compression::new(algorithm, Some(level.parse()?))?;
    let plain = std::fs::read(file)?;
    let pieces: Vec<_> = plain.chunks(compression.member_size()).collect();
    let (seconds, size) = compress(compression, &pieces, threads.parse()?)?;
    println!("{seconds:.4}\t{size}");
    Ok(())
}

fn digest(file: &str) -> Result<()> {
    let plain = std::fs::read(file)?;
    let started = Instant::now();
    std::hint::black_box(Digest::of(&plain));
    println!("{:.4}\t{}", started.elapsed().as_secs_f64(), plain.len());
    Ok(())
}

/// Prints lines of algorithm, level, size of a piece, seconds, compressed and plain bytes.
fn curve(threads: &str, file: &str) -> Result<()> {
    let threads = threads.parse()?;
    let plain = std::fs::read(file)?;
    let sample: Vec<_> = plain.chunks(STRETCH).step_by(ONE_STRETCH_OF).collect();
    let plain_size: usize = sample.iter().map(|stretch| stretch.len()).sum();
    let gzip = CURVE_GZIP.map(|level| ("gzip", level));
    for (algorithm, level) in gzip.chain(CURVE_ZSTD.map(|level| ("zstd", level))) {
        let compression = Compression::new(algorithm, Some(level))?;
        for piece in CURVE_PIECES {
            let pieces: Vec<_> = sample.iter().flat_map(|stretch| stretch.chunks(piece)).collect();
            let (mut fastest, mut size) = (f64::INFINITY, 0);
            for _ in 0..CURVE_RUNS {
                let seconds;
                (seconds, size) = compress(compression, &pieces, threads)?;
                fastest = fastest.min(seconds);
            }
            println!("{algorithm}\t{level}\t{piece}\t{fastest:.4}\t{size}\t{plain_size}");
        }
    }
    Ok(())
}

/// Seconds, and the bytes that came out.
fn compress(compression: Compression, pieces: &[&[u8]], threads: usize) -> Result<(f64, usize)> {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let sizes = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(compression, pieces, &next))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok((started.elapsed().as_secs_f64(), sizes.iter().sum()))
}

/// Compresses the next piece until none is left. The libraries are called as the crate calls them.
fn work(compression: Compression, pieces: &[&[u8]], next: &AtomicUsize) -> Result<usize> {
    let mut output = Vec::new();
    let mut compress: Compress = match compression {
        Compression::Gzip(level) => {
            let level = CompressionLvl::new(level).map_err(|error| format!("{error:?}"))?;
            let mut deflate = Deflate::new(level);
            Box::new(move |piece| {
                output.resize(deflate.gzip_compress_bound(piece.len()), 0);
                Ok(deflate.gzip_compress(piece, &mut output)?)
            })
        }
        Compression::Zstd(level) => {
            let mut zstd = zstd::bulk::Compressor::new(level)?;
            Box::new(move |piece| {
                output.resize(zstd::zstd_safe::compress_bound(piece.len()), 0);
                Ok(zstd.compress_to_buffer(piece, &mut output[..])?)
            })
        }
        Compression::None => return Err("none does not compress".into()),
    };
    let mut size = 0;
    while let Some(piece) = pieces.get(next.fetch_add(1, Relaxed)) {
        size += compress(piece)?;
    }
    Ok(size)
}
