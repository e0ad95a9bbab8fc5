# Image types and conversions that tests use beside oci. The commands are written as image.bbclass expects them.

IMAGE_BASENAME ?= "${PN}"
IMAGE_NAME_SUFFIX ??= ".rootfs"
IMAGE_MACHINE_SUFFIX ??= "-${MACHINE}"
IMAGE_VERSION_SUFFIX ?= "-${DATETIME}"
IMAGE_VERSION_SUFFIX[vardepsexclude] += "DATETIME SOURCE_DATE_EPOCH"
IMAGE_LINK_NAME ?= "${IMAGE_BASENAME}${IMAGE_MACHINE_SUFFIX}${IMAGE_NAME_SUFFIX}"
IMAGE_NAME ?= "${IMAGE_LINK_NAME}${IMAGE_VERSION_SUFFIX}"

IMAGE_TYPES_MASKED ?= ""
EXTRANATIVEPATH += "python3-native"

IMAGE_CMD:tar = "tar --sort=name --format=posix --numeric-owner -cf ${IMGDEPLOYDIR}/${IMAGE_NAME}.tar -C ${IMAGE_ROOTFS} ."

CONVERSIONTYPES = "bz2 gz sha256sum zst"
CONVERSION_CMD:bz2 = "bzip2 -f -k ${IMAGE_NAME}.${type}"
CONVERSION_CMD:gz = "gzip -f -9 -n -c ${IMAGE_NAME}.${type} > ${IMAGE_NAME}.${type}.gz"
CONVERSION_CMD:sha256sum = "sha256sum ${IMAGE_NAME}.${type} > ${IMAGE_NAME}.${type}.sha256sum"
CONVERSION_CMD:zst = "zstd -q -f -k -c ${IMAGE_NAME}.${type} > ${IMAGE_NAME}.${type}.zst"
