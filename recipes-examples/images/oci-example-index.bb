SUMMARY = "oci-example-minimal for two architectures, under one name"
DESCRIPTION = "Its second image is of the multiconfig arm; where there is none, this recipe is skipped."
LICENSE = "MIT"

inherit oci-index-rs

# local.conf says BBMULTICONFIG = "arm"; conf/multiconfig/arm.conf says MACHINE = "qemuarm64" and has a TMPDIR of its own,
# TMPDIR = "${TOPDIR}/tmp-arm".
OCI_INDEX_IMAGES = "mc::oci-example-minimal mc:arm:oci-example-minimal"
OCI_IMAGE_NAME = "example/minimal"
