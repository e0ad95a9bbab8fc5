//! Takes the compression off a stream, whichever of the known ones its first bytes announce.

use std::fmt;
use std::io::{self, BufRead, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// How many bytes tell the formats apart.
const HEAD: usize = 6;

/// The most memory that the xz decoder may take. `xz -9` needs 65 MiB; a header can ask for gigabytes.
const XZ_MEMORY: u64 = 128 << 20;

/// The largest window of the zstd decoder, as a power of two: 128 MiB, what `zstd --ultra -22` needs.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not at all, or in a way that is not known here.
    Plain,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
    /// The .xz file format.
    Xz,
}

impl Format {
    /// The format that the first bytes of a stream announce. Six of them are enough; fewer are a plain stream's.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame, which `pzstd` begins with.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // The block size, then the first half of a block's magic number or of that at the end. Less of it could be
            // the beginning of a file name, and so of a plain tar archive.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, ..] => {
                Self::Bzip2
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}

/// Tells the format of `inner`, and gives its plain bytes: of all members, frames or streams up to its end, in bounded
/// memory. Where it is cut off, or goes on with something else, reading fails.
///
/// # Errors
/// What reading the first bytes of `inner` gives.
pub fn reader<R: BufRead + Send + 'static>(mut inner: R) -> io::Result<(Format, Box<dyn Read + Send>)> {
    let mut head = Vec::with_capacity(HEAD);
    inner.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let format = Format::detect(&head);
    let whole = Cursor::new(head).chain(inner);
    let plain: Box<dyn Read + Send> = match format {
        Format::Plain => Box::new(whole),
        Format::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Format::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(whole)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Format::Bzip2 => Box::new(MultiBzDecoder::new(whole)),
        Format::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(whole, stream))
        }
    };
    Ok((format, plain))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compress(format: Format, plain: &[u8]) -> Vec<u8> {
        match format {
            Format::Plain => plain.to_vec(),
            Format::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Format::Zstd => zstd::encode_all(plain, 1).unwrap(),
            Format::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Format::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn decompress(compressed: Vec<u8>) -> io::Result<(Format, Vec<u8>)> {
        let (format, mut plain) = reader(Cursor::new(compressed))?;
        let mut bytes = Vec::new();
        plain.read_to_end(&mut bytes)?;
        Ok((format, bytes))
    }

    const COMPRESSED: [Format; 4] = [Format::Gzip, Format::Zstd, Format::Bzip2, Format::Xz];

    #[test]
    fn every_format_is_told_and_taken_off() {
        for format in COMPRESSED.into_iter().chain([Format::Plain]) {
            for plain in [&b""[..], b"x", &b"content ".repeat(100_000)] {
                assert_eq!(decompress(compress(format, plain)).unwrap(), (format, plain.to_vec()));
            }
        }
    }

    #[test]
    fn all_members_are_read() {
        for format in COMPRESSED {
            let members = [compress(format, b"one, "), compress(format, b""), compress(format, b"two")].concat();
            assert_eq!(decompress(members).unwrap(), (format, b"one, two".to_vec()));
        }
    }

    #[test]
    fn what_is_cut_off_or_followed_by_something_else_is_an_error() {
        for format in COMPRESSED {
            let whole = compress(format, b"content");
            assert!(decompress(whole[..whole.len() - 1].to_vec()).is_err(), "{format}: cut off");
            assert!(decompress([&whole[..], b"something else"].concat()).is_err(), "{format}: followed");
        }
    }

    #[test]
    fn a_skippable_frame_belongs_to_zstd() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        let stream = [&skippable[..], &compress(Format::Zstd, b"x")].concat();
        assert_eq!(decompress(stream).unwrap(), (Format::Zstd, b"x".to_vec()));
    }

    #[test]
    fn the_name_of_a_file_is_not_taken_for_a_magic_number() {
        for head in ["BZh9.txt", "7zXZ", "PATH", "", "BZh"] {
            assert_eq!(Format::detect(head.as_bytes()), Format::Plain, "{head}");
        }
    }

    #[test]
    fn xz_that_asks_for_too_much_memory_is_refused() {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(256 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let stream = Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(b"x").unwrap();
        let error = decompress(encoder.finish().unwrap()).unwrap_err();
        assert!(error.to_string().contains("memory limit"), "{error}");
    }
}
