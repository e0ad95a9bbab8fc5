"""meta-virtualization's own recipes, unchanged, with this engine: see ../upstream-tests.py."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oe.checks import documents, validate
from oe.host import become, give_away
from oe.release import Release, fail

BACKEND = "image-oci-rs"
# Programs of the engines that upstream's class would use.
UNWANTED = ("umoci-native", "sloci-image-native")
# The directory in OE_HOST with the image for alpine-oci-base, which cannot fetch its own.
FETCHED = "fetched-base"


@dataclass(frozen=True)
class Demo:
    """A recipe of meta-virtualization, and the expected image.

    Attributes:
        file: The recipe, below the layer.
        installs: Packages that IMAGE_INSTALL must name.
        config: Fields of the configuration.
        layers: The number of layers, with one for files that no layer names.
        fails: Part of the message with which the build is known to fail.
    """

    file: str
    installs: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    layers: int = 1
    fails: str = ""

    @property
    def name(self) -> str:
        """PN."""
        return Path(self.file).stem.partition("_")[0]


BASE = ("base-files", "base-passwd", "netbase")
HELLO = ["/bin/sh", "-c"]
DEMOS = (
    Demo("recipes-extended/images/container-base.bb", (*BASE, "busybox"), {"Cmd": ["/bin/sh"], "Entrypoint": None}),
    Demo(
        "recipes-demo/images/app-container-multilayer.bb",
        (*BASE, "busybox", "curl"),
        {"Cmd": [*HELLO, "echo Hello from multi-layer container && curl --version"]},
        layers=4,
    ),
    Demo(
        "recipes-demo/images/app-container-layered.bb",
        (*BASE, "busybox", "curl"),
        {"Cmd": [*HELLO, "echo Hello from layered container"]},
        layers=2,
    ),
    Demo(
        "recipes-demo/images/app-container-alpine.bb",
        (*BASE, "busybox"),
        {"Cmd": [*HELLO, "echo Hello from Alpine-based Yocto container"]},
        layers=2,
    ),
    Demo(
        "recipes-containers/images/app-container-curl.bb",
        (*BASE, "curl", "ca-certificates"),
        {"Entrypoint": ["curl"], "Cmd": ["--help"], "User": "65532", "Env": ["HOME=/home/nonroot"]},
        layers=3,
        fails="fix_oci_home_perms",
    ),
    Demo(
        "recipes-containers/images/app-container-nginx.bb",
        (*BASE, "nginx"),
        {
            "Entrypoint": ["/usr/sbin/nginx"],
            "Cmd": ["-g", "daemon off; error_log stderr notice;"],
            "User": "65532",
            "ExposedPorts": {"80/tcp": {}},
        },
        layers=4,
        fails="no such path in the root filesystem (got '/run/nginx')",
    ),
    # For upstream's tests.
    Demo("recipes-demo/images/app-container.bb", (*BASE, "busybox"), {"Entrypoint": ["/usr/bin/flask-app"]}),
)
OTHERS = ("recipes-containers/oci-base-images/",)


def add_layer(release: Release, layer: Path, backend: str = BACKEND) -> None:
    """Adds meta-virtualization to the build directory, with the recipes above and no others."""
    supported = declared(layer, "LAYERSERIES_COMPAT_virtualization-layer")
    if release.series not in supported.split():
        fail(f"{layer} is for {supported or 'no series'}, and {release.checkout} is {release.series}")
    wanted = "|".join(re.escape(path) for path in (*(demo.file for demo in DEMOS), *OTHERS))
    with open(release.build / "conf/bblayers.conf", "a") as file:
        file.write(f'BBLAYERS += "{layer}"\n')
    with open(release.build / "conf/local.conf", "a") as file:
        file.write(
            f'OCI_IMAGE_BACKEND = "{backend}"\nrequire conf/virtualization.conf\n'
            f'BBMASK += "^{re.escape(str(layer))}/(?!{wanted})"\n'
        )
    give_away(release.build / "conf")


def declared(layer: Path, variable: str) -> str:
    """The value of a variable in the layer's configuration."""
    text = (layer / "conf/layer.conf").read_text()
    return "".join(re.findall(rf'^{re.escape(variable)} = "(.*)"$', text, re.MULTILINE))


def copy_fetched_base(release: Release, layout: Path) -> None:
    """Puts the image where the stand-in for the fetch from a registry finds it."""
    place = release.host.directory / FETCHED
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(layout, place)
    give_away(place)


def graph(release: Release) -> str:
    """Asks bitbake for the dependencies of all demos: no task is missing, and no other engine is built."""
    release.bitbake("dependencies of the demo recipes", "-g", *(demo.name for demo in DEMOS))
    found = (release.build / "task-depends.dot").read_text()
    others = [name for name in UNWANTED if f'"{name}.' in found]
    if others:
        fail(f"the demo recipes depend on {' and '.join(others)}")
    return f"{len(DEMOS)} recipes, {found.count(' -> ')} dependencies, none of {' or '.join(UNWANTED)}"


def check(release: Release, demo: Demo) -> str:
    """Builds a demo and checks its image.

    Returns:
        Its digest and number of layers.

    Raises:
        Wrong: The build fails, or the image is not as expected.
    """
    done = subprocess.run(
        [*become(), release.checkout / "bitbake/bin/bitbake", demo.name],
        cwd=release.build, env=release.environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        errors = re.findall("^ERROR: .*", done.stdout, re.MULTILINE)
        raise Wrong(errors[0] if errors else done.stdout[-500:])
    installs = variable(release, demo.name, "IMAGE_INSTALL").split()
    missing = [package for package in demo.installs if package not in installs]
    if missing or len(installs) != len(set(installs)):
        raise Wrong(f"IMAGE_INSTALL is {' '.join(installs)}")
    digest = validate(release, demo.name)
    manifest, config = documents(release, demo.name)
    for key, value in demo.config.items():
        if config["config"].get(key) != value:
            raise Wrong(f"{key} is {config['config'].get(key)}, not {value}")
    if len(manifest["layers"]) != demo.layers:
        raise Wrong(f"{len(manifest['layers'])} layers, not {demo.layers}")
    return f"{digest}, layers: {demo.layers}"


def variable(release: Release, recipe: str, name: str) -> str:
    """The value of a variable of a recipe."""
    text = release.output("-e", recipe)
    return "".join(re.findall(rf'^{name}="(.*)"$', text, re.MULTILINE))


class Wrong(Exception):
    """An image that is not as expected, or that cannot be built."""
