SUMMARY = "A web server on top of oci-example-minimal"
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci"
# All that the container has: what the base image has already is not stored again.
IMAGE_INSTALL = "base-files base-passwd busybox lighttpd lighttpd-module-accesslog"
OCI_CONTAINER_ROOTFS = "1"

# A recipe of this class, which is built first; or the path of a layout or archive.
OCI_BASE_IMAGE = "oci-example-minimal"

OCI_IMAGE_ENTRYPOINT = "/usr/sbin/lighttpd -D"
OCI_IMAGE_CMD = "-f /etc/lighttpd/lighttpd.conf"
OCI_IMAGE_PORTS = "80"
OCI_IMAGE_STOPSIGNAL = "SIGINT"
OCI_IMAGE_VOLUMES = "/www/pages"
OCI_IMAGE_LABELS[org.opencontainers.image.title] = "A web server"
