# A stand-in for meta-virtualization's image-oci.bbclass up to whinlatter: the variables with their defaults, what
# do_image_oci depends on, and how a backend is found.

ROOTFS_BOOTSTRAP_INSTALL = ""
IMAGE_TYPEDEP:oci = "container tar.bz2"

OCI_IMAGE_BACKEND ?= "umoci"
do_image_oci[depends] += "${OCI_IMAGE_BACKEND}-native:do_populate_sysroot"

OCI_IMAGE_AUTHOR ?= "${PATCH_GIT_USER_NAME}"
OCI_IMAGE_AUTHOR_EMAIL ?= "${PATCH_GIT_USER_EMAIL}"
OCI_IMAGE_TAG ?= "latest"
OCI_IMAGE_RUNTIME_UID ?= ""
OCI_IMAGE_ARCH ?= "${TARGET_ARCH}"
OCI_IMAGE_SUBARCH ?= ""
OCI_IMAGE_ENTRYPOINT ?= "sh"
OCI_IMAGE_ENTRYPOINT_ARGS ?= ""
OCI_IMAGE_WORKINGDIR ?= ""
OCI_IMAGE_STOPSIGNAL ?= ""
OCI_IMAGE_PORTS ?= ""
OCI_IMAGE_LABELS ?= ""
OCI_IMAGE_ENV_VARS ?= ""
OCI_IMAGE_TAR_OUTPUT ?= "true"

OCI_IMAGE_BACKEND_INC ?= "image-oci-${OCI_IMAGE_BACKEND}.inc"
include ${OCI_IMAGE_BACKEND_INC}
