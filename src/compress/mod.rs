//! Compression of layers: none, gzip, zstd.
//!
//! A compressed layer is a sequence of members (gzip, RFC 1952 section 2.2) or frames (zstd, RFC 8478 section 3.1), each
//! made from one piece of the tar stream and from nothing else. So pieces can be compressed by any number of threads in
//! any order: as they are written in order, the bytes are always the same.

mod cache;
mod pool;

pub use cache::{Cache, CacheCounts};
pub use pool::{MemberWriter, Pool};

use libdeflater::{CompressionLvl, Compressor as Deflate};

use crate::error::{Error, Result};
use crate::spec::{MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD};

/// How a layer is compressed: the algorithm with its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar archive.
    None,
    /// gzip at a level from 1 (fast) to 12 (small).
    Gzip(i32),
    /// zstd at a level from 1 (fast) to 22 (small).
    Zstd(i32),
}

impl Compression {
    /// The fastest level whose result is no larger than that of Go's compressor, which umoci has: level 1 is faster still,
    /// but larger by 2 %. docs/performance.md has the curve.
    const DEFAULT_GZIP: i32 = 2;
    const DEFAULT_ZSTD: i32 = 3;

    /// The compression with this name (`none`, `gzip`, `zstd`) and level, or the algorithm's default level.
    ///
    /// # Errors
    /// [`Error::Spec`] naming `compression.algorithm` or `compression.level`.
    pub fn new(algorithm: &str, level: Option<i32>) -> Result<Self> {
        let within = |default: i32, last: i32| match level {
            Some(level) if !(1..=last).contains(&level) => Err(Error::spec(
                "compression.level",
                level.to_string(),
                format!("{algorithm} has the levels 1 to {last}"),
            )),
            _ => Ok(level.unwrap_or(default)),
        };
        match algorithm {
            "gzip" => within(Self::DEFAULT_GZIP, 12).map(Self::Gzip),
            "zstd" => within(Self::DEFAULT_ZSTD, 22).map(Self::Zstd),
            "none" => match level {
                None => Ok(Self::None),
                Some(level) => Err(Error::spec("compression.level", level.to_string(), "none has no levels")),
            },
            _ => Err(Error::spec("compression.algorithm", algorithm, "gzip, zstd and none are known")),
        }
    }

    /// How many plain bytes to make a member of, at most. What compresses looks back 32 KiB in gzip, so larger ones gain
    /// nothing there; in zstd it looks back 2 MiB and more, so smaller ones lose. docs/performance.md has the curve.
    pub fn member_size(self) -> usize {
        match self {
            Self::None | Self::Gzip(_) => 1 << 20,
            Self::Zstd(_) => 4 << 20,
        }
    }

    /// The media type of a layer compressed in this way.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => MEDIA_TYPE_LAYER,
            Self::Gzip(_) => MEDIA_TYPE_LAYER_GZIP,
            Self::Zstd(_) => MEDIA_TYPE_LAYER_ZSTD,
        }
    }
}

impl Compression {
    /// What decides which bytes come out for given bytes: the algorithm, its level, and who compresses in which version.
    fn identity(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Gzip(level) => format!("gzip-{level}-{LIBDEFLATE}"),
            Self::Zstd(level) => format!("zstd-{level}-{}", zstd::zstd_safe::version_string()),
        }
    }
}

/// The crate that brings libdeflate, which has no way to say its version at run time.
const LIBDEFLATE: &str = "libdeflate-sys-1.26.1";

/// Turns one piece of plain bytes into one complete member or frame. Each thread keeps its own.
enum Codec {
    /// With the room libdeflate writes to. It must have been written to before, so it is kept: filling it with zeros for
    /// each member costs more than the copy of what is compressed.
    Gzip(Box<Deflate>, Vec<u8>),
    Zstd(zstd::bulk::Compressor<'static>),
    Plain,
}

impl Codec {
    fn new(compression: Compression) -> Result<Self> {
        let out_of_range = |reason: String| Error::Internal(format!("{compression:?}: {reason}"));
        Ok(match compression {
            Compression::None => Self::Plain,
            Compression::Gzip(level) => {
                let level = CompressionLvl::new(level).map_err(|error| out_of_range(format!("{error:?}")))?;
                Self::Gzip(Box::new(Deflate::new(level)), Vec::new())
            }
            Compression::Zstd(level) => {
                Self::Zstd(zstd::bulk::Compressor::new(level).map_err(|error| out_of_range(error.to_string()))?)
            }
        })
    }

    /// Compresses `plain` into `member`, replacing what is in it.
    fn member(&mut self, plain: &[u8], member: &mut Vec<u8>) -> Result<()> {
        member.clear();
        match self {
            Self::Gzip(deflate, room) => {
                let most = deflate.gzip_compress_bound(plain.len());
                if room.len() < most {
                    room.resize(most, 0);
                }
                // libdeflate writes neither name nor time into the header.
                let size = deflate
                    .gzip_compress(plain, room)
                    .map_err(|error| Error::Internal(format!("libdeflate: {error:?}")))?;
                member.extend_from_slice(&room[..size]);
            }
            Self::Zstd(zstd) => {
                member.reserve(zstd::zstd_safe::compress_bound(plain.len()));
                zstd.compress_to_buffer(plain, member).map_err(|error| Error::Internal(format!("zstd: {error}")))?;
            }
            Self::Plain => member.extend_from_slice(plain),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_names_out_of_range_are_named() {
        for (algorithm, level, field, value) in [
            ("gzip", Some(0), "compression.level", "\"0\""),
            ("gzip", Some(13), "compression.level", "\"13\""),
            ("zstd", Some(23), "compression.level", "\"23\""),
            ("none", Some(1), "compression.level", "\"1\""),
            ("xz", None, "compression.algorithm", "\"xz\""),
        ] {
            let error = Compression::new(algorithm, level).unwrap_err().to_string();
            assert!(error.starts_with(field) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn the_version_of_libdeflate_is_the_one_in_use() {
        let lock = include_str!("../../Cargo.lock");
        let (name, version) = LIBDEFLATE.rsplit_once('-').unwrap();
        assert!(
            lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")),
            "not in Cargo.lock: {LIBDEFLATE}"
        );
    }

    #[test]
    fn a_gzip_member_carries_no_name_and_no_time() {
        let mut member = Vec::new();
        Codec::new(Compression::Gzip(6)).unwrap().member(b"content", &mut member).unwrap();
        // RFC 1952, section 2.3: magic, method, flags (none: no name), four bytes of time (unknown).
        assert_eq!(member[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    }
}
