SUMMARY = "A container with a shell and nothing else"
DESCRIPTION = "The smallest useful image, and the base of oci-example-app."
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci"
IMAGE_INSTALL = "base-files base-passwd busybox"
IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
NO_RECOMMENDATIONS = "1"
# Nobody boots a container: no kernel.
KERNELDEPMODDEPEND = ""
KERNEL_DEPLOY_DEPEND = ""

OCI_IMAGE_CMD = "/bin/sh"
OCI_IMAGE_LABELS[org.opencontainers.image.title] = "A shell"
