SUMMARY = "A minimal Debian that says hello"
LICENSE = "MIT"

inherit image image-oci-rs

IMAGE_FSTYPES = "oci"
# The default is "container tar.bz2"; nobody wants the bz2 here.
IMAGE_TYPEDEP:oci = "container"

OCI_IMAGE_NAME = "registry.example/demo/hello"
OCI_IMAGE_TAG = "1.0"

# Lists are words as in a shell: quotes group, nothing is expanded.
OCI_IMAGE_ENTRYPOINT = "/bin/sh -c"
OCI_IMAGE_CMD = "'. /etc/os-release; echo "$GREETING This is $PRETTY_NAME."; getcap /bin/ping; ls -ld /tmp /bin/su'"
OCI_IMAGE_ENV_VARS = "PATH=/usr/sbin:/usr/bin:/sbin:/bin GREETING='Hello, "world"!'"
OCI_IMAGE_PORTS = "8080 5353/udp"
OCI_IMAGE_LABELS = ".title='Hello from a minimal Debian' .licenses=MIT"
# As a varflag a value needs no quoting at all.
OCI_IMAGE_LABELS[com.example.motto] = "It's "quoted", costs $5 and has a \ in it"
OCI_IMAGE_STOPSIGNAL = "SIGTERM"
OCI_IMAGE_WORKINGDIR = "/srv"
