SUMMARY = "A container that runs as a user without rights"
LICENSE = "MIT"

inherit image image-oci-rs extrausers

IMAGE_FSTYPES = "oci"
IMAGE_INSTALL = "base-files base-passwd busybox"
IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
NO_RECOMMENDATIONS = "1"
KERNELDEPMODDEPEND = ""
KERNEL_DEPLOY_DEPEND = ""

# The user is made in the root filesystem; its home directory keeps its owner in the image.
EXTRA_USERS_PARAMS = "groupadd --gid 1000 app; useradd --uid 1000 --gid app --create-home --shell /bin/sh app;"

# By number, because Kubernetes' runAsNonRoot refuses a name.
OCI_IMAGE_RUNTIME_UID = "1000:1000"
OCI_IMAGE_WORKINGDIR = "/home/app"
OCI_IMAGE_ENV_VARS = "HOME=/home/app"
OCI_IMAGE_CMD = "/bin/sh"
OCI_IMAGE_LABELS[org.opencontainers.image.title] = "A shell without rights"
