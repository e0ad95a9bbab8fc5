SUMMARY = "An image on one that no image recipe has deployed"
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci"
IMAGE_INSTALL = "base-files base-passwd busybox lighttpd"

OCI_BASE_IMAGE = "no-image"
OCI_IMAGE_CMD = "/bin/sh"
