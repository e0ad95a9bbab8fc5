# An image whose root filesystem is not made of packages, but of what stands for them. PREPARED_ROOTFS is the shell
# command that fills it. The functions in ROOTFS_POSTPROCESS_COMMAND then run as ever.

PREPARED_ROOTFS ?= "${OE_HOST}/image-oci-rs/scripts/oe/packages.sh ${IMAGE_INSTALL}"
OCI_LAYER_PACKAGES = "pkgdata:${OE_HOST}/pkgdata"

PACKAGE_INSTALL = ""
# extrausers.bbclass appends them.
PACKAGE_INSTALL:remove = "base-passwd shadow"

fakeroot do_rootfs () {
	${PREPARED_ROOTFS}
}
do_rootfs[dirs] = "${IMAGE_ROOTFS}"
do_rootfs[cleandirs] = "${IMAGE_ROOTFS} ${IMGDEPLOYDIR}"
do_rootfs[postfuncs] += "postprocess_prepared_rootfs"

python postprocess_prepared_rootfs () {
    import oe.utils
    # extrausers.bbclass calls the pseudo of the sysroot.
    pseudo = d.expand('${STAGING_DIR_NATIVE}${bindir}/pseudo')
    bb.utils.mkdirhier(os.path.dirname(pseudo))
    if not os.path.lexists(pseudo):
        os.symlink(d.getVar('FAKEROOTCMD'), pseudo)
    oe.utils.execute_pre_post_process(d, d.getVar('ROOTFS_POSTPROCESS_COMMAND'))
}
