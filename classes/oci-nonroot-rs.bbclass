#
# The container runs as a user without rights, who owns the directories that the program writes to:
#
#   inherit image image-oci-rs oci-nonroot-rs
#
#   OCI_NONROOT_DIRS = "/data /run/app:0750"
#
# The user is made by OE-core's extrausers.bbclass in the root filesystem, so that it is there in every mode of layers,
# and in a tar archive of the same recipe. OCI_IMAGE_RUNTIME_UID and HOME are set too, unless the recipe sets them.
# docs/rootfs.md says more.
#

inherit oci-rs-engine oci-rs-rootfs extrausers

OCI_NONROOT_USER ?= "nonroot"
OCI_NONROOT_USER[doc] = "Name of the user that the container runs as."
OCI_NONROOT_UID ?= "65532"
OCI_NONROOT_UID[doc] = "Number of that user, 1 to 2147483647."
OCI_NONROOT_GROUP ?= "${OCI_NONROOT_USER}"
OCI_NONROOT_GROUP[doc] = "Name of the user's group."
OCI_NONROOT_GID ?= "${OCI_NONROOT_UID}"
OCI_NONROOT_GID[doc] = "Number of that group; 0 for the group root."
OCI_NONROOT_HOME ?= "/home/${OCI_NONROOT_USER}"
OCI_NONROOT_HOME[doc] = "Home directory of the user, which gets the mode 0700."
OCI_NONROOT_DIRS ?= ""
OCI_NONROOT_DIRS[doc] = "List: directories that belong to the user, each PATH or PATH:MODE, made where they are missing; their contents keep their owner."

# By number, because Kubernetes' runAsNonRoot refuses a name.
OCI_IMAGE_RUNTIME_UID ?= "${OCI_NONROOT_UID}:${OCI_NONROOT_GID}"
# In front, so that a value of the recipe counts.
OCI_IMAGE_ENV_VARS:prepend = "HOME=${OCI_NONROOT_HOME} "

EXTRA_USERS_PARAMS:prepend = "\
    groupadd --gid ${OCI_NONROOT_GID} ${OCI_NONROOT_GROUP}; \
    useradd --uid ${OCI_NONROOT_UID} --gid ${OCI_NONROOT_GID} --home-dir ${OCI_NONROOT_HOME} --no-create-home --shell /bin/sh ${OCI_NONROOT_USER}; \
"
# extrausers.bbclass installs it, with su and passwd that run as root, though the user is made by the build machine's.
PACKAGE_INSTALL:remove = "${@'' if 'shadow' in (d.getVar('IMAGE_INSTALL') or '').split() else 'shadow'}"

ROOTFS_POSTPROCESS_COMMAND:prepend = "oci_nonroot_rs_check_accounts "
# After the function of extrausers.bbclass, which is inherited above.
ROOTFS_POSTPROCESS_COMMAND:append = " oci_nonroot_rs_make_directories"
do_rootfs[file-checksums] += "${@oci_rs_rootfs_checksums(d)}"

# Before image-oci-rs.bbclass looks at what is made of these values.
addhandler oci_nonroot_rs_handler
oci_nonroot_rs_handler[eventmask] = "bb.event.RecipePreFinalise"
python oci_nonroot_rs_handler () {
    problem = oci_rs_own_library(d, 'bitbake.nonroot').problem(d)
    if problem:
        raise bb.parse.SkipRecipe(problem)
}

python oci_nonroot_rs_check_accounts () {
    oci_rs_own_library(d, 'bitbake.nonroot').check_accounts(d)
}

python oci_nonroot_rs_make_directories () {
    oci_rs_own_library(d, 'bitbake.nonroot').make_directories(d)
}
# BitBake can't see what the library reads; tests/bitbake compares this list with what it does read.
oci_nonroot_rs_make_directories[vardeps] = " \
    EXTRA_USERS_PARAMS OCI_NONROOT_DIRS OCI_NONROOT_GID OCI_NONROOT_GROUP OCI_NONROOT_HOME OCI_NONROOT_UID OCI_NONROOT_USER \
"
