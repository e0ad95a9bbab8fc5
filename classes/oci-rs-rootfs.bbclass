#
# What image-oci-rs.bbclass does to the root filesystem, before anything is packed.
#

#
# A container is not booted. This one line stands for those that nearly every recipe of a container has:
#
#   OCI_CONTAINER_ROOTFS = "1"
#
# docs/rootfs.md lists what it sets and why. A value that the recipe or the configuration gives one of these
# variables, other than OE-core's default, stays.
#
OCI_CONTAINER_ROOTFS ?= "0"
OCI_CONTAINER_ROOTFS[doc] = "Whether the root filesystem is one that is never booted: no kernel, QEMU, locales or recommended packages, and no links that lead nowhere without an init."

# Before the recipe adds to it: bootloaders of the machine and the like.
OCI_CONFIGURED_IMAGEDEPENDS := "${EXTRA_IMAGEDEPENDS}"

# After the last line of the recipe and its appends, and before the anonymous functions of image.bbclass.
addhandler oci_rs_rootfs_handler
oci_rs_rootfs_handler[eventmask] = "bb.event.RecipePreFinalise"
python oci_rs_rootfs_handler () {
    if not bb.data.inherits_class('image-oci-rs', d) or 'oci' not in oci_rs_image_types(d):
        return
    adopted = oci_rs_own_library(d, 'bitbake.container_nonroot_user').adopt(d)
    container_rootfs = oci_rs_own_library(d, 'bitbake.container_rootfs')
    if container_rootfs.is_enabled(d):
        container_rootfs.apply_defaults(d)
        container_rootfs.schedule(d, 'oci_rs_prepare_container_rootfs')
    if adopted:
        # After the function of extrausers.bbclass, which some releases append.
        d.appendVar('ROOTFS_POSTPROCESS_COMMAND', ' oci_rs_make_nonroot_directories')
    if adopted or container_rootfs.is_enabled(d):
        d.appendVarFlag('do_rootfs', 'file-checksums', ' ' + oci_rs_rootfs_checksums(d))
}

def oci_rs_rootfs_checksums(d):
    """The modules that do_rootfs loads out of the layer, for its signature."""
    directory = os.path.dirname(oci_rs_own_library(d, 'bitbake.rootfs_path').__file__)
    modules = ('accounts', 'container_nonroot_user', 'container_rootfs', 'nonroot', 'rootfs_path')
    return oci_rs_checksums_of(os.path.join(directory, module + '.py') for module in modules)

python oci_rs_prepare_container_rootfs () {
    oci_rs_own_library(d, 'bitbake.container_rootfs').prepare(d)
}

# For recipes that inherit meta-virtualization's container-nonroot-user.bbclass.
python oci_rs_make_nonroot_directories () {
    oci_rs_own_library(d, 'bitbake.container_nonroot_user').make_directories(d)
}
oci_rs_make_nonroot_directories[vardeps] = "NONROOT_GID NONROOT_OWNED_DIRS NONROOT_UID NONROOT_USER"
