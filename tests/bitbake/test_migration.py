"""Recipes that people wrote for image-oci.bbclass build with one word changed, and mean what they meant.

The variables are those of published recipes; what stands around them is this project's.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE, SMALL_ROOTFS, layout_json

# The recipe as it was; only its `inherit` is changed.
AROUND = f"""\
IMAGE_FSTYPES = "container oci"
inherit image
inherit image-oci
OCI_IMAGE_AUTO_LABELS = "0"
ROOTFS_COMMAND = "{SMALL_ROOTFS}"
"""

# Variables, the tag in the name of the link, and what the configuration has.
RECIPES: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "a browser on a set-top box",
        """
        OCI_IMAGE_ENTRYPOINT = "/usr/bin/ignition"
        OCI_IMAGE_AUTHOR = "LGi"
        OCI_IMAGE_AUTHOR_EMAIL = "info@example.com"
        OCI_IMAGE_ENTRYPOINT_ARGS = "--log-level=ALL:INFO"
        OCI_IMAGE_WORKINGDIR = "/usr/persist/"
        OCI_IMAGE_ENV_VARS += "GST_DEBUG_DUMP_DOT_DIR=/tmp/gst"
        OCI_IMAGE_ENV_VARS += "GST_DEBUG="*:3""
        OCI_IMAGE_LABELS += "public.requires.rialto=1"
        OCI_IMAGE_LABELS += "public.requires.ocdm=1"
        """,
        "latest",
        {
            "author": "LGi <info@example.com>",
            "Entrypoint": ["/usr/bin/ignition"],
            "Cmd": ["--log-level=ALL:INFO"],
            "WorkingDir": "/usr/persist/",
            "Env": ["GST_DEBUG_DUMP_DOT_DIR=/tmp/gst", "GST_DEBUG=*:3"],
            "Labels": {"public.requires.rialto": "1", "public.requires.ocdm": "1"},
        },
    ),
    (
        "quotes around a whole assignment, arguments that are there and empty",
        """
        OCI_IMAGE_ENTRYPOINT = "/usr/bin/glmark2.sh"
        OCI_IMAGE_ENV_VARS = '"PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin"'
        OCI_IMAGE_ENTRYPOINT_ARGS = ""
        """,
        "latest",
        {
            "Entrypoint": ["/usr/bin/glmark2.sh"],
            "Cmd": None,
            "Env": ["PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin"],
        },
    ),
    (
        "a shell as the entrypoint, its arguments on lines of their own",
        """
        OCI_IMAGE_TAG = "local"
        OCI_IMAGE_ENTRYPOINT = "sh"
        OCI_IMAGE_ENTRYPOINT_ARGS = " \\
            -c \\
            /root/ota/goldvip_uas \\
        "
        """,
        "local",
        {"Entrypoint": ["sh"], "Cmd": ["-c", "/root/ota/goldvip_uas"]},
    ),
    (
        "a name in the tag",
        """
        OCI_IMAGE_TAG = "self-update-agent:latest"
        OCI_IMAGE_ENTRYPOINT = "/usr/bin/self-update-agent"
        OCI_IMAGE_ENTRYPOINT_ARGS = "-p /data/selfupdates --host mosquitto:1883"
        """,
        "self-update-agent_latest",
        {
            "Entrypoint": ["/usr/bin/self-update-agent"],
            "Cmd": ["-p", "/data/selfupdates", "--host", "mosquitto:1883"],
        },
    ),
    (
        "a web server without a command, but with arguments that have blanks",
        """
        OCI_IMAGE_CMD = ""
        OCI_IMAGE_ENTRYPOINT = "/usr/sbin/nginx"
        OCI_IMAGE_ENTRYPOINT_ARGS = "-g 'daemon off; error_log stderr notice;'"
        OCI_IMAGE_PORTS = "80/tcp"
        OCI_IMAGE_RUNTIME_UID = "65532"
        """,
        "latest",
        {
            "Entrypoint": ["/usr/sbin/nginx"],
            "Cmd": ["-g", "daemon off; error_log stderr notice;"],
            "ExposedPorts": {"80/tcp": {}},
            "User": "65532",
        },
    ),
    (
        "a graphical client of a user without rights",
        """
        OCI_IMAGE_TAG = "2.0"
        OCI_IMAGE_ENTRYPOINT = "/usr/bin/weston-simple-shm"
        OCI_IMAGE_RUNTIME_UID = "200:200"
        OCI_IMAGE_STOPSIGNAL = "SIGINT"
        """,
        "2.0",
        {"Entrypoint": ["/usr/bin/weston-simple-shm"], "User": "200:200", "StopSignal": "SIGINT"},
    ),
    (
        "a toolchain, started by whatever is run",
        """
        ROS_DISTRO = "jazzy"
        OCI_IMAGE_ENV_VARS = "LDFLAGS=-Wl,-O1,--hash-style=gnu,--as-needed"
        OCI_IMAGE_ENTRYPOINT = ""
        OCI_IMAGE_TAG = "${ROS_DISTRO}"
        OCI_IMAGE_LABELS = " \\
            org.example.buildx.kind=yocto-native \\
            org.example.buildx.target-platform=linux/arm64 \\
        "
        """,
        "jazzy",
        {
            "Entrypoint": None,
            "Cmd": ["/bin/sh"],
            "Env": ["LDFLAGS=-Wl,-O1,--hash-style=gnu,--as-needed"],
            "Labels": {"org.example.buildx.kind": "yocto-native", "org.example.buildx.target-platform": "linux/arm64"},
        },
    ),
    (
        "an init with a double dash, and ports",
        """
        TCLIBC = "musl"
        OCI_IMAGE_TAG = "1.37.0${@['', '-${TCLIBC}'][d.getVar('TCLIBC') == 'musl']}"
        OCI_IMAGE_ENTRYPOINT = "/usr/bin/catatonit --"
        OCI_IMAGE_CMD = "/usr/bin/llama-server --host 0.0.0.0 --port 8080"
        OCI_IMAGE_PORTS = "8080/tcp 7447/udp"
        """,
        "1.37.0-musl",
        {
            "Entrypoint": ["/usr/bin/catatonit", "--"],
            "Cmd": ["/usr/bin/llama-server", "--host", "0.0.0.0", "--port", "8080"],
            "ExposedPorts": {"8080/tcp": {}, "7447/udp": {}},
        },
    ),
    ("nothing but a tag", 'OCI_IMAGE_TAG = "1.0"', "1.0", {"Entrypoint": ["sh"], "Cmd": None}),
]


def migrated(kit: Kit, variables: str) -> BuildDirectory:
    recipe = AROUND + variables.replace("\n        ", "\n") + "\n"
    return kit.build_directory(recipe.replace("inherit image-oci\n", "inherit image-oci-rs\n"))


def built(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


@pytest.mark.parametrize(
    ("variables", "tag", "expected"), [row[1:] for row in RECIPES], ids=[row[0].replace(" ", "-") for row in RECIPES]
)
def test_the_configuration_is_what_the_variables_mean(
    kit: Kit, variables: str, tag: str, expected: dict[str, Any]
) -> None:
    outcome = built(migrated(kit, variables))
    layout = outcome.deployed / f"app-{tag}-oci"
    _, _, config = layout_json(layout)
    for key, value in expected.items():
        assert (config if key == "author" else config["config"]).get(key) == value
    for ending in ("oci.tar", "oci-dir.tar"):
        assert (outcome.deployed / f"app-{tag}-{ending}").exists()


LAYERED = """
        OCI_BASE_IMAGE = "container-base"
        OCI_IMAGE_CMD = "/bin/sh -c 'echo Hello from layered container'"
"""


def test_a_layer_on_a_base_recipe(kit: Kit) -> None:
    base = built(kit.build_directory(SMALL_IMAGE + 'OCI_IMAGE_ENV_VARS = "A=1"\n', name="container-base"))
    build = migrated(kit, LAYERED)
    place = build.top / "deployed-before"
    shutil.copytree(base.deployed, place, symlinks=True)
    build.write(build.recipe.read_text() + f'DEPLOY_DIR_IMAGE:task-image-oci = "{place}"\n')
    outcome = built(build)
    _, manifest, config = layout_json(outcome.deployed / "app-latest-oci")
    _, below, _ = layout_json(place / "container-base-latest-oci")
    assert manifest["layers"] == below["layers"]
    assert config["config"]["Cmd"] == ["/bin/sh", "-c", "echo Hello from layered container"]
    assert config["config"]["Env"] == ["A=1"]


SPLIT = """
        PKGDATA_DIR = "${TOPDIR}/pkgdata"
        PACKAGECONFIG = "dev"
        CONTAINER_SHELL = "busybox"
        OCI_LAYER_MODE = "multi"
        OCI_LAYERS = "\\
            base:packages:base-files+base-passwd \\
            ${@bb.utils.contains('PACKAGECONFIG', 'dev', 'shell:packages:${CONTAINER_SHELL}', '', d)} \\
            devices:directories:/dev \\
        "
        OCI_IMAGE_ENTRYPOINT = "curl"
        OCI_IMAGE_ENTRYPOINT_ARGS = "--help"
"""


def test_layers_of_packages(kit: Kit) -> None:
    build = migrated(kit, SPLIT + 'ROOTFS_COMMAND:append = "; mkdir etc; echo x > etc/hosts; echo x > etc/passwd"')
    files = {"base-files": "/etc/hosts", "base-passwd": "/etc/passwd", "busybox": "/bin/sh"}
    runtime = build.top / "pkgdata/runtime"
    runtime.mkdir(parents=True)
    for package, path in files.items():
        listed = json.dumps({path: 2})
        (runtime / package).write_text(f"PN: {package}\nPKGV:{package}: 1.0\nFILES_INFO:{package}: {listed}\n")
    _, manifest, config = layout_json(built(build).deployed / "app-latest-oci")
    names = [layer["annotations"]["io.github.image-oci-rs.layer.name"] for layer in manifest["layers"]]
    assert names == ["base", "shell", "devices"]
    assert (config["config"]["Entrypoint"], config["config"]["Cmd"]) == (["curl"], ["--help"])


def test_a_name_in_an_annotation_names_the_image(kit: Kit) -> None:
    annotation = 'OCI_IMAGE_ANNOTATIONS = "io.containerd.image.name=docker.io/library/goldvip-ota-client:local"'
    build = migrated(kit, f'{annotation}\nOCI_IMAGE_TAG = "local"')
    outcome = built(build)
    index, manifest, _ = layout_json(outcome.deployed / "app-local-oci")
    assert index["manifests"][0]["annotations"] == {
        "io.containerd.image.name": "docker.io/library/goldvip-ota-client:local",
        "org.opencontainers.image.ref.name": "local",
    }
    assert "annotations" not in manifest
    assert "the image is named docker.io/library/goldvip-ota-client:local" in outcome.log("do_image_oci")
