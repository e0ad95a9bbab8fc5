SUMMARY = "Turns a root filesystem into an OCI container image, every attribute of every file kept"
DESCRIPTION = "The engine of the class image-oci-rs, which imports it out of the native sysroot; and the command image-oci-rs."
HOMEPAGE = "https://github.com/image-oci-rs/image-oci-rs"
SECTION = "devel/python"

require ${BPN}-licenses.inc

# The layer is the source.
FILESEXTRAPATHS:prepend := "${THISDIR}/../..:"
SRC_URI = " \
    file://Cargo.lock;subdir=${BP} \
    file://Cargo.toml;subdir=${BP} \
    file://LICENSE;subdir=${BP} \
    file://README.md;subdir=${BP} \
    file://benches/in_memory.rs;subdir=${BP} \
    file://pyproject.toml;subdir=${BP} \
    file://python;subdir=${BP} \
    file://src;subdir=${BP} \
"
require ${BPN}-crates.inc
require image-oci-rs-engine.inc

inherit cargo-update-recipe-crates python_maturin

# Newer releases point the crate zstd-sys at the system's library. Another zstd writes other bytes, and an image has the
# same ones wherever it is built.
oe_cargo_fix_env:append () {
	unset ZSTD_SYS_USE_PKG_CONFIG
}

RDEPENDS:${PN} += " \
    python3-core \
    python3-ctypes \
    python3-datetime \
    python3-difflib \
    python3-io \
    python3-json \
    python3-shell \
"

# Cargo.toml has the extension stripped, for wheels too.
INSANE_SKIP:${PN} += "already-stripped"

# image-oci.bbclass of meta-virtualization depends on ${OCI_IMAGE_BACKEND}-native.
PROVIDES += "image-oci-rs"
BBCLASSEXTEND = "native nativesdk"

python () {
    engine, reason = oci_rs_engine(d)
    if engine != 'source':
        raise bb.parse.SkipRecipe('%s The engine is installed from a wheel, by python3-image-oci-rs-bin-native. To compile '
                                  'it, add a layer with a newer Rust, such as meta-lts-mixins, or set '
                                  'OCI_ENGINE = "source"' % reason)
}
