# An image whose root filesystem is not made of packages, but of what stands for them. PREPARED_ROOTFS is the shell
# command that fills it.

PREPARED_ROOTFS ?= "${OE_HOST}/image-oci-rs/scripts/oe/packages.sh ${IMAGE_INSTALL} ${@'a-user' if d.getVar('EXTRA_USERS_PARAMS') else ''}"
OCI_LAYER_PACKAGES = "pkgdata:${OE_HOST}/pkgdata"

PACKAGE_INSTALL = ""
# extrausers.bbclass appends them.
PACKAGE_INSTALL:remove = "base-passwd shadow"
IMAGE_LINGUAS = ""
LINGUAS_INSTALL = ""
EXTRA_IMAGEDEPENDS = ""
KERNELDEPMODDEPEND = ""
KERNEL_DEPLOY_DEPEND = ""

fakeroot do_rootfs () {
	${PREPARED_ROOTFS}
}
do_rootfs[dirs] = "${IMAGE_ROOTFS}"
do_rootfs[cleandirs] = "${IMAGE_ROOTFS} ${IMGDEPLOYDIR}"
