//! Builds while another process changes what is read: nothing from outside the root filesystem may get into the image.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "this test uses only a part of it")]
mod layer_lines;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use image_oci_rs::image::{ImageSpec, build};
use image_oci_rs::progress::Progress;
use serde_json::json;

const BUILDS: usize = 100;

/// Exchanges two names in one step, so that each always exists.
fn exchange(one: &Path, other: &Path) {
    let c_path = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
    let (one, other) = (c_path(one), c_path(other));
    // SAFETY: both paths end with NUL.
    let result =
        unsafe { libc::renameat2(libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), libc::RENAME_EXCHANGE) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs `work` while another thread exchanges two names again and again.
fn while_exchanging<T>(one: &Path, other: &Path, work: impl FnOnce() -> T) -> T {
    // It goes when `work` returns or panics.
    let working = Arc::new(());
    let still_working = Arc::downgrade(&working);
    thread::scope(|scope| {
        scope.spawn(move || {
            while still_working.strong_count() > 0 {
                exchange(one, other);
            }
        });
        let _working = working;
        work()
    })
}

#[test]
fn a_directory_swapped_for_a_link_lets_nothing_in() {
    let place = tempfile::tempdir().unwrap();
    let (root, outside) = (place.path().join("rootfs"), place.path().join("outside"));
    for (directory, text) in [(root.join("usr/lib"), "inside"), (outside.join("lib"), "secret")] {
        fs::create_dir_all(&directory).unwrap();
        for number in 0..40 {
            fs::write(directory.join(format!("{number}")), text).unwrap();
        }
    }
    fs::write(outside.join("other"), "secret").unwrap();
    symlink(&outside, place.path().join("link")).unwrap();
    let mut undisturbed = 0;
    while_exchanging(&root.join("usr"), &place.path().join("link"), || {
        for number in 0..BUILDS {
            let layout = place.path().join(format!("{number}.oci"));
            let spec = json!({
                "sources": [{"path": root}], "name": "app", "platform": {"architecture": "amd64"},
                "compression": {"algorithm": "none"}, "output": {"layout": layout},
            });
            let result = build(&ImageSpec::from_json(&spec.to_string()).unwrap(), &Arc::new(Progress::default()));
            let Ok(result) = result else { continue };
            let layer = result.layers[0].blob.digest.to_string().replace(':', "/");
            let lines = layer_lines::layer_lines(&layout.join("blobs").join(layer));
            let files: Vec<_> = lines.lines().filter(|line| line.contains(" file ")).collect();
            // The link itself may be packed; what it leads to may not.
            assert!(files.iter().all(|line| line.ends_with("inside")), "{lines}");
            undisturbed += usize::from(files.len() == 40);
            fs::remove_dir_all(layout).unwrap();
        }
    });
    eprintln!("{undisturbed} of {BUILDS} builds were not disturbed");
}
