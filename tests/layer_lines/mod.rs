//! Layers and archives as lines of text: `name kind mode content`, so that a test shows what it means.

use std::fs;
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use image_oci_rs::Result;
use image_oci_rs::compress::{Compression, Pool};
use image_oci_rs::epoch::Epoch;
use image_oci_rs::layer::{Layer, LayerWriter};
use image_oci_rs::layout::LayoutWriter;
use image_oci_rs::progress::Progress;
use image_oci_rs::rootfs::{self, Entry, Source, XattrPolicy};
use tar::{EntryType, Header};

/// The layer in this blob, one entry a line.
pub fn layer_lines(blob: &Path) -> String {
    let bytes = fs::read(blob).unwrap();
    let mut plain = Vec::new();
    match bytes[..4] {
        [0x1f, 0x8b, ..] => drop(flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap()),
        [0x28, 0xb5, 0x2f, 0xfd] => plain = zstd::decode_all(&bytes[..]).unwrap(),
        _ => plain = bytes,
    }
    let mut lines = String::new();
    for entry in tar::Archive::new(&plain[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let kind = match entry.header().entry_type() {
            EntryType::Regular => "file",
            EntryType::Directory => "dir",
            EntryType::Symlink => "symlink",
            EntryType::Link => "link",
            other => panic!("{other:?}"),
        };
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        if let Some(target) = entry.link_name().unwrap() {
            content = format!("-> {}", target.display());
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let line = format!("{name} {kind} {:o} {content}", entry.header().mode().unwrap());
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

/// An archive of `name mode content` lines. Content `-> x` is a hard link, `KEY=value` a record of an extended header.
pub fn tar_archive(lines: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for line in lines.lines() {
        let [name, mode, content] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        let mut header = Header::new_ustar();
        header.set_mode(u32::from_str_radix(mode, 8).unwrap());
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        // By hand, because the crate's own setter refuses what a hostile archive would hold.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let mut content = content;
        if let Some(target) = content.strip_prefix("-> ") {
            header.set_entry_type(EntryType::Link);
            header.set_link_name(target).unwrap();
            content = "";
        } else if let Some((key, value)) = content.split_once('=') {
            builder.append_pax_extensions([(key, value.as_bytes())]).unwrap();
            content = "";
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// `plain` in every compression that a root filesystem archive may have, each with a file name.
pub fn compressed_in_every_way(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(plain).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(plain).unwrap();
    vec![
        ("rootfs.tar", plain.to_vec()),
        ("rootfs.tar.gz", gzip.finish().unwrap()),
        ("rootfs.tar.bz2", bzip2.finish().unwrap()),
        ("rootfs.tar.xz", xz.finish().unwrap()),
        ("rootfs.tar.zst", zstd::encode_all(plain, 1).unwrap()),
    ]
}

/// A layer of everything below `root`, in which `change` takes place after it was listed.
pub fn layer_of_a_changing_tree(root: &Path, directory: &Path, change: impl FnOnce()) -> Result<Layer> {
    let progress = Arc::new(Progress::default());
    let source = Source { path: root.to_owned(), target: Vec::new() };
    let listed = rootfs::open(&[source], &XattrPolicy::default(), &|| unreachable!(), &progress)?;
    let entries: Vec<Entry> = listed.collect::<Result<_>>()?;
    change();
    let layout = LayoutWriter::new(&directory.join("x.oci"), false)?;
    let pool = Pool::new(NonZero::<usize>::MIN, None)?;
    let mut layer = LayerWriter::new(&pool, Compression::None, layout.blob("layer")?, &progress)?;
    let mut epoch = Epoch::new(Some(0))?;
    entries.iter().try_for_each(|entry| layer.add(entry, &mut epoch))?;
    layer.finish()
}
