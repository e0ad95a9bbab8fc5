# Where a native recipe installs to.
bindir = "${STAGING_DIR_NATIVE}${prefix_native}/bin"
libdir = "${STAGING_DIR_NATIVE}${prefix_native}/lib"
D = "${WORKDIR}/image"
