SUMMARY = "A container with a shell and nothing else"
DESCRIPTION = "The smallest useful image, and the base of oci-example-app."
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci"
IMAGE_INSTALL = "base-files base-passwd busybox"
# Nothing boots it: no kernel, locales and the like. docs/rootfs.md has the list.
OCI_CONTAINER_ROOTFS = "1"

OCI_IMAGE_CMD = "/bin/sh"
OCI_IMAGE_LABELS[org.opencontainers.image.title] = "A shell"
