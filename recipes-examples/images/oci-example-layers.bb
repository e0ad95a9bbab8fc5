SUMMARY = "A web server whose layers change one by one"
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci"
IMAGE_INSTALL = "base-files base-passwd busybox lighttpd lighttpd-module-accesslog"
OCI_CONTAINER_ROOTFS = "1"

# Lowest first, what changes most last; each with what its packages depend on. IMAGE_INSTALL need not repeat the packages.
# `auto` does it by recipe, without a list.
OCI_LAYER_MODE = "multi"
OCI_LAYERS = "\
    system:packages:base-files+base-passwd+busybox \
    server:packages:lighttpd+lighttpd-module-accesslog \
    pages:directories:/www/pages \
"

OCI_IMAGE_ENTRYPOINT = "/usr/sbin/lighttpd -D -f /etc/lighttpd/lighttpd.conf"
OCI_IMAGE_PORTS = "80"
OCI_IMAGE_LABELS[org.opencontainers.image.title] = "A web server in layers"
