# A stand-in for the class of the same name in meta-virtualization: its variables, and the two functions that it puts
# around do_image_oci. They fail, because without umoci and its layers they have nothing to do.

inherit extrausers

NONROOT_USER ?= "nonroot"
NONROOT_UID ?= "65532"
NONROOT_GID ?= "65532"
NONROOT_OWNED_DIRS ?= ""
EXTRA_USERS_PARAMS += "groupadd -g ${NONROOT_GID} ${NONROOT_USER};"
EXTRA_USERS_PARAMS += "useradd -m -u ${NONROOT_UID} -g ${NONROOT_GID} -d /home/${NONROOT_USER} ${NONROOT_USER};"
OCI_IMAGE_RUNTIME_UID ?= "${NONROOT_UID}"
OCI_IMAGE_ENV_VARS = "HOME=/home/${NONROOT_USER}"

python oci_nonroot_inject_user () {
    bb.warn('no layer has /etc/passwd')
}
do_image_oci[prefuncs] += "oci_nonroot_inject_user"

fix_oci_home_perms () {
	umoci raw add-layer --image "${IMAGE_NAME}${IMAGE_NAME_SUFFIX}-oci:${OCI_IMAGE_TAG}" home.tar
}
do_image_oci[postfuncs] += "fix_oci_home_perms"
