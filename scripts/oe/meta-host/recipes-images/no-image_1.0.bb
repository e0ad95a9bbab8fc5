SUMMARY = "Deploys an image, and is no image recipe itself"
DESCRIPTION = "As recipes do that fetch one. It has no do_image_complete."
LICENSE = "MIT"

inherit deploy nopackages

INHIBIT_DEFAULT_DEPS = "1"
EXCLUDE_FROM_WORLD = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"
do_configure[noexec] = "1"
do_compile[noexec] = "1"
do_install[noexec] = "1"
deltask do_populate_sysroot

do_deploy () {
	cp -rL ${DEPLOY_DIR_IMAGE}/oci-example-minimal-latest-oci ${DEPLOYDIR}/${PN}-${PV}-oci
	ln -s ${PN}-${PV}-oci ${DEPLOYDIR}/${PN}-latest-oci
}
do_deploy[depends] = "oci-example-minimal:do_image_complete"
addtask deploy after do_compile before do_build
