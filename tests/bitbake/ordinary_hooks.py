"""Recipes that do ordinary things around an image: none of them deserves a warning when it is parsed."""

from __future__ import annotations


def shell(name: str, body: str, place: str) -> str:
    """A shell function, and the list that it is in."""
    return f'{name} () {{\n\t{body}\n}}\n{place} += "{name}"\n'


def python(name: str, body: str, place: str) -> str:
    """The same in Python."""
    indented = "\n    ".join(body.splitlines())
    return f'python {name} () {{\n    {indented}\n}}\n{place} += "{name}"\n'


POST, PRE = "do_image_oci[postfuncs]", "do_image_oci[prefuncs]"
ROOTFS, IMAGE = "ROOTFS_POSTPROCESS_COMMAND", "IMAGE_PREPROCESS_COMMAND"
UMOCI = 'do_image_oci[depends] += "umoci-native:do_populate_sysroot"\n'

ORDINARY: dict[str, str] = {
    "resolv.conf": shell("no_resolv", "rm -f ${IMAGE_ROOTFS}/etc/resolv.conf", ROOTFS),
    "a list with semicolons": 'ROOTFS_POSTPROCESS_COMMAND += "set_motd; set_motd; "\nset_motd () {\n\ttrue\n}\n',
    "volatile directories": shell("volatile", "install -d -m 1777 ${IMAGE_ROOTFS}/var/volatile/tmp", IMAGE),
    "services": shell("mask", "ln -sf /dev/null ${IMAGE_ROOTFS}/etc/systemd/system/udev.service", ROOTFS),
    "an entrypoint": shell("entry", "printf '#!/bin/sh\\nexec app\\n' > ${IMAGE_ROOTFS}/entrypoint.sh", ROOTFS),
    "a here-document": shell("entry", "cat > ${IMAGE_ROOTFS}/e <<EOF\numoci config\nEOF", ROOTFS),
    "a whiteout of the past": shell("no_marker", "rm -f ${IMAGE_ROOTFS}/etc/.wh.resolv.conf", ROOTFS),
    "a user": 'inherit extrausers\nEXTRA_USERS_PARAMS = "useradd -u 1000 app;"\n',
    "python in the root filesystem": python("note", "open(d.expand('${IMAGE_ROOTFS}/etc/id'), 'w').close()", ROOTFS),
    "python with a comment": python("note", "# umoci config would do it later\npass", PRE),
    "python with a docstring": python("note", '"""Instead of umoci config, for OCI_LAYER_COUNT layers."""\npass', PRE),
    "python with a message": python("note", "bb.note('no umoci config for OCI_LAYER_1_ROOTFS')", PRE),
    "python with a URL": python("note", "d.setVar('SITE', 'https://github.com/opencontainers/umoci')", PRE),
    "python that raises": python("note", "if not d.getVar('PN'):\n    raise ValueError('umoci config failed')", PRE),
    "python that reads layers": python("note", "d.setVar('N', str(len(d.getVar('OCI_LAYERS').split())))", PRE),
    "python that renames packages": python("names", "d.setVar('OCI_LAYERS', d.getVar('OCI_LAYERS') or '')", PRE),
    "python with skopeo": python("push", "import subprocess\nargs = ['skopeo', 'copy', 'oci:a', 'dir:b']", POST),
    "a comment": shell("note", "# umoci config --image $image_name:latest\n\ttrue", POST),
    "a comment behind a command": shell("note", "true # umoci repack --image x y", POST),
    "a message": shell("note", 'bbnote "umoci config is not needed, nor ${WORKDIR}/oci-layer-rootfs"', POST),
    "a message by echo": shell("note", "echo 'run umoci unpack --image app:latest bundle'", POST),
    "a URL": shell("note", "URL=https://github.com/opencontainers/umoci; export URL", POST),
    "a package of that name": 'IMAGE_INSTALL = "umoci skopeo"\n',
    "its documentation": shell("no_docs", "rm -rf ${IMAGE_ROOTFS}/usr/share/doc/umoci", ROOTFS),
    "its binary in the image": shell("chmod_it", "chmod 4755 ${IMAGE_ROOTFS}/usr/bin/umoci", ROOTFS),
    "umoci stat": UMOCI + shell("stat", 'umoci stat --image "${IMAGE_NAME}-oci:latest" > ${T}/stat', POST),
    "umoci ls": UMOCI + shell("tags", "for tag in $(umoci ls --layout $layout); do true; done", POST),
    "umoci unpack": UMOCI + shell("unpack", "umoci --log=info unpack --image ${IMAGE_NAME}-oci:1 ${WORKDIR}/b", POST),
    "umoci of the build machine": 'HOSTTOOLS += "umoci"\n' + shell("stat", "umoci stat --image $layout:1", POST),
    "umoci in DEPENDS": 'DEPENDS += "umoci-native"\n' + shell("stat", "umoci stat --image $layout:1", POST),
    "umoci for another image": UMOCI
    + shell("data", "umoci new --image ${WORKDIR}/data:1", "IMAGE_POSTPROCESS_COMMAND"),
    "a bundle of its own": UMOCI + shell("unpack", "umoci unpack --image $o:1 ${WORKDIR}/oci-bundle", POST),
    "another task": "do_sign () {\n\tumoci config --image ${IMAGE_NAME}-oci:1 --author me\n}\n"
    "addtask sign after do_image_oci before do_image_complete\n",
    "skopeo inspect": shell("inspect", 'skopeo inspect "oci:${IMAGE_NAME}${IMAGE_NAME_SUFFIX}-oci"', POST),
    "appended: image_name": "IMAGE_CMD:oci:append () {\n\tln -sf $image_name current\n}\n",
    "appended: image_tag": "IMAGE_CMD:oci:append () {\n\tcp ${IMAGE_BASENAME}-$image_tag-oci.tar app.tar\n}\n",
    "appended: skopeo": "IMAGE_CMD:oci:append () {\n\tskopeo copy oci-archive:$image_name.tar dir:x\n}\n",
    "appended to the task": "do_image_oci:append () {\n\ttar -cf x.tar -C $image_name .\n}\n",
    "appended: jq": "IMAGE_CMD:oci:append () {\n\tjq -r '.manifests[0].digest' $image_name/index.json\n}\n",
    "quotes within substitution": shell(
        "q", 'x="$(basename "$(pwd)" | tr -d "\'")"; [ "$x" ] || x=\'umoci config\'', POST
    ),
    "a case": shell("choose", 'case "$1" in umoci) true;; *) false;; esac', POST),
    "bitbake's own expansion": shell("feature", "${@'true' if d.getVar('PN') == \"umoci\" else 'false || true'}", POST),
    "a helper": "helper () {\n\ttrue\n}\n" + shell("caller", "helper", POST),
    "names in other namespaces": 'OCI_MULTIARCH_RECIPE = "app"\nOCI_ARCH_TO_PLATFORM[aarch64] = "arm64"\n',
    "a variable of its own": 'OCI_APP_PORT = "8080"\nOCI_IMAGE_PORTS = "${OCI_APP_PORT}"\n',
    "a near name that is read": 'OCI_IMAGE_USER = "1000"\nOCI_IMAGE_RUNTIME_UID = "${OCI_IMAGE_USER}"\n',
    "a near name that code reads": 'OCI_IMAGE_GID = "1"\nIMAGE_CMD:oci:append () {\n\techo ${OCI_IMAGE_GID}\n}\n',
    "a near name that Python reads": 'OCI_IMAGE_USER = "1"\n' + python("u", "d.getVar('OCI_IMAGE_USER')", PRE),
    "a near name that a flag reads": 'OCI_IMAGE_ARGS = "a"\ndo_image_oci[vardeps] += "OCI_IMAGE_ARGS"\n',
    "a near name with a description": 'OCI_IMAGE_USER = "1"\nOCI_IMAGE_USER[doc] = "For the deployment."\n',
    "overrides": 'OCI_IMAGE_TAG:qemux86-64 = "x"\nOCI_IMAGE_LABELS:append:pn-app = " a=b"\n',
    "caches of image-oci.bbclass": 'OCI_LAYER_CACHE = "0"\nOCI_LAYER_CACHE_DIR = "/x"\nOCI_IMAGE_APP_RECIPE = "app"\n',
    "non-root class": "python oci_nonroot_inject_user () {\n    d.getVar('OCI_LAYER_COUNT')\n}\n"
    + f'{PRE} += "oci_nonroot_inject_user"\n'
    + shell("fix_oci_home_perms", 'umoci raw add-layer --image "$image_name:1" "$layer_tar"', POST),
}
