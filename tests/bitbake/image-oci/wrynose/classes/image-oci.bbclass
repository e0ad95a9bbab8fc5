# A stand-in for meta-virtualization's image-oci.bbclass from wrynose on: the variables with their defaults, what
# do_image_oci depends on, what the anonymous function adds, and how a backend is found.

ROOTFS_BOOTSTRAP_INSTALL = ""
IMAGE_TYPEDEP:oci = "container tar.bz2"

OCI_IMAGE_BACKEND ?= "umoci"
do_image_oci[depends] += "${OCI_IMAGE_BACKEND}-native:do_populate_sysroot"
do_image_oci[depends] += "jq-native:do_populate_sysroot"
OCI_PM_DEPENDS = "${@stand_in_pm_depends(d)}"
do_image_oci[depends] += "${OCI_PM_DEPENDS}"

OCI_IMAGE_AUTHOR ?= "${PATCH_GIT_USER_NAME}"
OCI_IMAGE_AUTHOR_EMAIL ?= "${PATCH_GIT_USER_EMAIL}"
OCI_IMAGE_TAG ?= "latest"
OCI_IMAGE_RUNTIME_UID ??= ""
OCI_IMAGE_ARCH ?= "${TARGET_ARCH}"
OCI_IMAGE_SUBARCH ?= ""
OCI_IMAGE_ENTRYPOINT ?= ""
OCI_IMAGE_ENTRYPOINT_ARGS ?= ""
OCI_IMAGE_CMD ?= "/bin/sh"
OCI_IMAGE_WORKINGDIR ?= ""
OCI_IMAGE_STOPSIGNAL ?= ""
OCI_IMAGE_PORTS ?= ""
OCI_IMAGE_LABELS ?= ""
OCI_IMAGE_ENV_VARS ?= ""
OCI_IMAGE_APP_RECIPE ?= ""
OCI_IMAGE_REVISION ?= ""
OCI_IMAGE_BRANCH ?= ""
OCI_IMAGE_BUILD_DATE ?= ""
OCI_IMAGE_AUTO_LABELS ?= "1"
OCI_BASE_IMAGE ?= ""
OCI_BASE_IMAGE_TAG ?= "latest"
OCI_LAYER_MODE ?= "single"
OCI_LAYERS ?= ""
OCI_LAYER_CACHE ?= "1"
OCI_LAYER_CACHE_DIR ?= "${TOPDIR}/oci-layer-cache/${MACHINE}"
OCI_IMAGE_TAR_OUTPUT ?= "true"

STAND_IN_TOOLS = "${@{'ipk': 'opkg', 'rpm': 'dnf', 'deb': 'apt'}[d.getVar('IMAGE_PKGTYPE') or 'ipk']}-native:do_populate_sysroot"

def stand_in_packages(d):
    """The packages of all layers of that type."""
    layers = [layer.split(':', 2) for layer in d.getVar('OCI_LAYERS').split() if d.getVar('OCI_LAYER_MODE') == 'multi']
    return sorted({package for _, kind, content in layers if kind == 'packages' for package in content.split('+')})

def stand_in_pm_depends(d):
    return d.expand('rsync-native:do_populate_sysroot ${STAND_IN_TOOLS}') if stand_in_packages(d) else ''

python () {
    packages, base = stand_in_packages(d), d.getVar('OCI_BASE_IMAGE')
    if packages:
        d.appendVarFlag('do_image_oci', 'depends', d.expand(' ${STAND_IN_TOOLS}'))
        if d.getVar('IMAGE_PKGTYPE') in (None, 'ipk'):
            d.appendVarFlag('do_image_oci', 'depends', ' opkg-utils-native:do_populate_sysroot')
        d.appendVar('IMAGE_INSTALL', ' ' + ' '.join(packages))
    if base:
        d.setVar('_OCI_BASE_PATH' if base.startswith('/') else '_OCI_BASE_RECIPE', base)
        task = '' if base.startswith('/') else ' %s:do_build' % base
        d.appendVarFlag('do_image_oci', 'depends', task + ' rsync-native:do_populate_sysroot')
}

OCI_IMAGE_BACKEND_INC ?= "image-oci-${OCI_IMAGE_BACKEND}.inc"
include ${OCI_IMAGE_BACKEND_INC}
