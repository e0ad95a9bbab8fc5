SUMMARY = "Every kind of entry and attribute that an image has to keep"
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci oci.tar.zst oci.tar.gz"
PREPARED_ROOTFS = "PYTHONPATH=${OE_HOST}/python python3 -m rootfs_fixtures nasty ."
# The files that are compared are those of PREPARED_ROOTFS and no others.
ROOTFS_POSTPROCESS_COMMAND:forcevariable = ""
IMAGE_LINGUAS = ""
EXTRA_IMAGEDEPENDS:forcevariable = ""
KERNELDEPMODDEPEND = ""
KERNEL_DEPLOY_DEPEND = ""

OCI_IMAGE_NAME = "registry.example/team/every-attribute"
OCI_IMAGE_ENTRYPOINT = "/bin/sh"
OCI_IMAGE_ENV_VARS = "GREETING='hello world'"
OCI_IMAGE_LABELS[org.opencontainers.image.title] = "Bob's "best" app"
