SUMMARY = "Every kind of entry and attribute that an image has to keep"
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci oci.tar.zst oci.tar.gz"
PREPARED_ROOTFS = "PYTHONPATH=${OE_HOST}/python python3 -m rootfs_fixtures nasty ."
# The files that are compared are those of PREPARED_ROOTFS and no others.
ROOTFS_POSTPROCESS_COMMAND:forcevariable = ""
IMAGE_LINGUAS = ""
EXTRA_IMAGEDEPENDS:forcevariable = ""
KERNELDEPMODDEPEND = ""
KERNEL_DEPLOY_DEPEND = ""

OCI_IMAGE_NAME = "registry.example/team/every-attribute"
OCI_IMAGE_ENTRYPOINT = "/bin/sh"
OCI_IMAGE_ENV_VARS = "GREETING='hello world'"
# What recipes for image-oci.bbclass append sees what that class leaves behind.
IMAGE_CMD:oci:append () {
	echo "appended to IMAGE_CMD: $(pwd) $image_name $image_tag"
}
do_image_oci:append () {
	echo "appended to do_image_oci: $(pwd) $image_name $image_tag"
}

OCI_IMAGE_LABELS[org.opencontainers.image.title] = "Bob's "best" app"

# What the task has loaded, to be compared with the file that was staged.
python note_engine () {
    import sys
    bb.note('engine %s' % sys.modules['image_oci_rs._core'].__file__)
}
do_image_oci[postfuncs] += "note_engine"
