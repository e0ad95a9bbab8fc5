"""What the images of these tests are called, what they are configured to do, and what they print."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

from image_oci_rs.spec import Archive, Compression, Config, ImageSpec, Output, Platform, Source

NAME = "registry.example/team/nasty"
TAG = "v1.2"
REFERENCE = f"{NAME}:{TAG}"
AUTHOR = "The Keeper"
AUTHOR_EMAIL = "keeper@example.org"
ANNOTATION = "org.example.annotation"

GREETING = "a value with \"quotes\", 'more' of them, $HOME, a \\ and = é"
SCRIPT = "; ".join(
    [
        "busybox id -u",
        "busybox id -g",
        "busybox pwd",
        'echo "$GREETING"',
        'busybox stat -c "%a %u %g %h" /links/m',
        "busybox wc -c < /kinds/three-megabytes",
    ]
)
# What a container prints. It runs as the user keeper of the image's own /etc/passwd.
PRINTED = ["4242", "4343", "/home/keeper", GREETING, "4750 4242 0 4", str(2049 * 1500)]

CONFIG = Config(
    user="keeper",
    exposed_ports=("80/tcp", "5353/udp"),
    env=("PATH=/usr/bin:/bin", f"GREETING={GREETING}"),
    entrypoint=("/bin/sh", "-c"),
    cmd=(SCRIPT,),
    volumes=("/var/lib/data",),
    working_dir="/home/keeper",
    labels={"org.example.purpose": "to be kept", "org.example.text": GREETING},
    stop_signal="SIGUSR1",
)


def image_spec(rootfs: Path, output: Path, algorithm: str = "gzip", **changes: Any) -> ImageSpec:
    """The image of `rootfs`, as the layout directory `output`.oci and the archive `output`.tar."""
    spec = ImageSpec(
        sources=(Source(str(rootfs)),),
        name=NAME,
        tag=TAG,
        platform=Platform.from_names(platform.machine()),
        config=CONFIG,
        author=f"{AUTHOR} <{AUTHOR_EMAIL}>",
        annotations={ANNOTATION: GREETING},
        compression=Compression(algorithm),
        output=Output(layout=f"{output}.oci", archives=(Archive(f"{output}.tar"),)),
    )
    return replace(spec, **changes)


def outputs(spec: ImageSpec) -> tuple[Path, Path]:
    """The layout directory and the archive of an `image_spec`."""
    layout, archive = spec.output.paths
    return Path(layout), Path(archive)
