#
# One container image for several machines: an index of images that image-oci-rs.bbclass has made, in this or in other
# multiconfigs. Registries and runtimes choose the one that fits.
#
# A recipe, container-app-all.bb:
#
#   LICENSE = "MIT"
#   inherit oci-index-rs
#
#   OCI_INDEX_IMAGES = "mc:qemux86-64:container-app mc:qemuarm64:container-app"
#   OCI_IMAGE_NAME = "registry.example/team/app"
#   OCI_IMAGE_TAG = "${DISTRO_VERSION}"
#
# What appears in DEPLOY_DIR_IMAGE, and what to do with it:
#
#   ${PN}-<tag>-oci          the image layout
#                              % skopeo copy --all oci:container-app-all-1.0-oci docker://registry.example/team/app:1.0
#   ${PN}-<tag>-oci.tar      the same as one archive
#                              % podman pull --platform linux/arm64 oci-archive:container-app-all-1.0-oci.tar
#   ${PN}-<tag>-oci-dir.tar  the same below a directory
#
# `docker load` takes an archive of one platform only; docker pulls the image from a registry.
#

inherit deploy nopackages oci-rs-engine

OCI_INDEX_IMAGES ?= ""
OCI_INDEX_IMAGES[doc] = "List: what the index is made of, each RECIPE, mc:MULTICONFIG:RECIPE, mc::RECIPE of the default configuration, or the path of a layout directory or archive, with a slash."
OCI_INDEX_IMAGE_TAG ?= "${OCI_IMAGE_TAG}"
OCI_INDEX_IMAGE_TAG[doc] = "Tag under which these recipes have deployed their images."
OCI_INDEX_DEPLOY_DIR ?= ""
OCI_INDEX_DEPLOY_DIR[doc] = "Varflags: for a multiconfig, or default, its DEPLOY_DIR_IMAGE, where that is not the only directory below TOPDIR/tmp-MULTICONFIG/deploy/images that has the image."
OCI_IMAGE_NAME ?= "${PN}"
OCI_IMAGE_NAME[doc] = "Name under which docker, podman and containerd list the image, without the tag."
OCI_IMAGE_TAG ?= "latest"
OCI_IMAGE_TAG[doc] = "Tag of the image; name:tag also sets the name."
OCI_IMAGE_ANNOTATIONS ?= ""
OCI_IMAGE_ANNOTATIONS[doc] = "List and varflags: annotations of the index and of its entry in index.json, KEY=VALUE."
OCI_IMAGE_TAR_OUTPUT ?= "true"
OCI_IMAGE_TAR_OUTPUT[doc] = "Archives beside the layout directory: oci or dir for one of them; empty, 0, n, no or false for none; anything else for both."

INHIBIT_DEFAULT_DEPS = "1"
# As image.bbclass does: who asks for the world does not ask for images of all machines.
EXCLUDE_FROM_WORLD = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"
# Nothing to fetch, to build or to install.
do_fetch[noexec] = "1"
do_unpack[noexec] = "1"
do_patch[noexec] = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"
do_install[noexec] = "1"
# do_populate_lic stays: the licence manifest of an image that is built upon this one needs it.
deltask do_populate_sysroot

def oci_index_rs_depends(d, across):
    """The tasks after which the images are deployed: those of other multiconfigs, or those of this one.

    Every recipe has do_build; only image recipes have do_image_complete.
    """
    here = d.getVar('BB_CURRENT_MC') or ''
    here = '' if here == 'default' else here
    depends = []
    for word in (d.getVar('OCI_INDEX_IMAGES') or '').split():
        parts = word.split(':')
        if '/' in word or len(parts) not in (1, 3):
            continue
        other = parts[1] if len(parts) == 3 else here
        if across and other != here:
            depends.append('mc:%s:%s:%s:do_build' % (here, other, parts[-1]))
        elif not across and other == here:
            depends.append(parts[-1] + ':do_build')
    return ' '.join(depends)

def oci_index_rs_checksums(d):
    """Images that no task has made."""
    return oci_rs_checksums_of(path for path in (d.getVar('OCI_INDEX_IMAGES') or '').split() if '/' in path)

def oci_index_rs_varflags(d):
    """The varflags that are entries, in the form in which vardeps names them."""
    reserved = d.getVar('OCI_RESERVED_VARFLAGS').split()
    return ' '.join('%s[%s]' % (variable, flag) for variable in ('OCI_IMAGE_ANNOTATIONS', 'OCI_INDEX_DEPLOY_DIR')
                    for flag in sorted(d.getVarFlags(variable) or ()) if flag not in reserved)

python () {
    problem = oci_rs_own_library(d, 'bitbake.index').problem(d)
    if problem:
        raise bb.parse.SkipRecipe(problem)
    for warning in oci_rs_own_library(d, 'bitbake.lint').warnings(d):
        bb.warn(warning)
}

python do_deploy () {
    oci_rs_library(d, 'bitbake.index').build_index(d)
}
do_deploy[depends] += "${OCI_NATIVE_DEPENDS} ${@oci_index_rs_depends(d, across=False)}"
do_deploy[mcdepends] += "${@oci_index_rs_depends(d, across=True)}"
do_deploy[file-checksums] += "${@oci_index_rs_checksums(d)}"
# The images are in no shared state either: their blobs would only be there twice.
SSTATE_SKIP_CREATION:task-deploy = "1"
addtask deploy after do_install before do_build

# BitBake can't see what the library reads; tests/bitbake compares these lists with what it does read.
oci_rs_library[vardeps] = " \
    OCI_IMAGE_ANNOTATIONS OCI_IMAGE_NAME OCI_IMAGE_TAG OCI_IMAGE_TAR_OUTPUT OCI_INDEX_IMAGES OCI_INDEX_IMAGE_TAG \
    OCI_RESERVED_VARFLAGS PN ${@oci_index_rs_varflags(d)} \
"
# Read too, but no byte of the image follows from their text.
oci_rs_library[vardepsexclude] = "BB_CURRENT_MC DEPLOYDIR DEPLOY_DIR_IMAGE OCI_IMAGE_EXTRA_TAGS PATH TOPDIR"
