SUMMARY = "A container that runs as a user without rights"
LICENSE = "MIT"

inherit image image-oci-rs oci-nonroot-rs

IMAGE_FSTYPES = "oci"
IMAGE_INSTALL = "base-files base-passwd busybox"
OCI_CONTAINER_ROOTFS = "1"

# The directories that the user may write to, besides its home. They keep their owner in the image.
OCI_NONROOT_DIRS = "/data /run/app:0750"

OCI_IMAGE_WORKINGDIR = "/data"
OCI_IMAGE_CMD = "/bin/sh"
OCI_IMAGE_LABELS[org.opencontainers.image.title] = "A shell without rights"
