#
# Fetches an image of a registry, pinned by its digest, so that images can be built upon it.
#
# A recipe, alpine.bb:
#
#   LICENSE = "MIT"
#   inherit oci-fetch-rs
#   OCI_FETCH_IMAGE = "docker.io/library/alpine:3.19"
#   OCI_FETCH_DIGEST = "sha256:..."
#
# This command prints the digest, of the index if there are images for several platforms:
#
#   % skopeo inspect --format '{{.Digest}}' docker://docker.io/library/alpine:3.19
#
# An image recipe then says
#
#   OCI_BASE_IMAGE = "alpine"
#
# ${PN}-<tag>-oci appears in DEPLOY_DIR_IMAGE, an image layout. Only do_fetch uses the network. It puts the image into DL_DIR,
# where later builds find it; every blob is checked against the digest each time.
#

inherit deploy nopackages oci-rs-engine

OCI_FETCH_IMAGE ?= ""
OCI_FETCH_IMAGE[doc] = "Image of a registry, such as docker.io/library/alpine:3.19. The digest decides what is fetched; the tag is for readers."
OCI_FETCH_DIGEST ?= ""
OCI_FETCH_DIGEST[doc] = "Digest of the image, sha256: and 64 hexadecimal digits: of a manifest, or of an index of manifests for several platforms."
OCI_FETCH_PLATFORM ?= "${@oci_fetch_rs_platform(d)}"
OCI_FETCH_PLATFORM[doc] = "Platform whose image is fetched, as os/architecture or os/architecture/variant, or all for every platform of an index. By default the machine's."
# The library finds it out.
OCI_FETCH_PLATFORM[vardepvalue] = "${OCI_FETCH_PLATFORM}"
OCI_FETCH_MIRRORS ?= ""
OCI_FETCH_MIRRORS[doc] = "List: PREFIX=MIRROR for repositories whose name begins with PREFIX/, tried in this order before the registry itself, such as docker.io=mirror.example/hub."
OCI_FETCH_TLS_VERIFY ?= "1"
OCI_FETCH_TLS_VERIFY[doc] = "Whether registries must use TLS with a valid certificate."
OCI_FETCH_DEPENDS ?= "${@'skopeo-native:do_populate_sysroot' if 'virtualization-layer' in d.getVar('BBFILE_COLLECTIONS').split() else ''}"
OCI_FETCH_DEPENDS[doc] = "Task that provides skopeo, by default meta-virtualization's if BBLAYERS has this layer; empty for the build machine's skopeo."
OCI_IMAGE_TAG ?= "latest"
OCI_IMAGE_TAG[doc] = "Tag under which the image is deployed, for OCI_BASE_IMAGE_TAG of images that are built upon it."

INHIBIT_DEFAULT_DEPS = "1"
# `bitbake world` fetches no images.
EXCLUDE_FROM_WORLD = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"
# Nothing to build or to install.
do_unpack[noexec] = "1"
do_patch[noexec] = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"
do_install[noexec] = "1"
# do_populate_lic stays: the licence manifest of an image that is built upon this one needs it.
deltask do_populate_sysroot

def oci_fetch_rs_platform(d):
    """The platform of the machine."""
    return oci_rs_own_library(d, 'bitbake.fetch').machine_platform(d)

python () {
    problem = oci_rs_own_library(d, 'bitbake.fetch').problem(d)
    if problem:
        raise bb.parse.SkipRecipe(problem)
}

# The library needs no engine, so none is built before something can be fetched.
python oci_fetch_rs_fetch () {
    oci_rs_own_library(d, 'bitbake.fetch').fetch_image(d)
}
do_fetch[postfuncs] += "oci_fetch_rs_fetch"
do_fetch[depends] += "${OCI_FETCH_DEPENDS}"
do_fetch[network] = "1"

python oci_fetch_rs_cleanall () {
    oci_rs_own_library(d, 'bitbake.fetch').remove_download(d)
}
do_cleanall[postfuncs] += "oci_fetch_rs_cleanall"

python do_deploy () {
    oci_rs_own_library(d, 'bitbake.fetch').deploy_image(d)
}
# The image is in DL_DIR: its blobs would only be there twice.
SSTATE_SKIP_CREATION:task-deploy = "1"
addtask deploy after do_fetch before do_build

# BitBake can't see what the library reads; tests/bitbake compares these lists with what it does read.
oci_rs_own_library[vardeps] = "OCI_FETCH_DIGEST OCI_FETCH_PLATFORM OCI_IMAGE_TAG PN"
# Read too, but the digest decides what is fetched.
oci_rs_own_library[vardepsexclude] = " \
    BB_FETCH_PREMIRRORONLY BB_NO_NETWORK DEPLOYDIR DL_DIR OCI_FETCH_IMAGE OCI_FETCH_MIRRORS OCI_FETCH_TLS_VERIFY PATH \
"
