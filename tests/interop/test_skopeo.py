"""skopeo reads the layout and the archive, and copies them bit by bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import copy, run
from daemons import Daemon
from images import WITH_ZSTD, Image, layout_digest
from nasty_image import CONFIG, GREETING, REFERENCE, TAG

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "busybox", "zstd", "skopeo")]
with_zstd = pytest.mark.parametrize("image", WITH_ZSTD, indirect=True)


@with_zstd
@pytest.mark.parametrize("transport", ["oci", "oci-archive"])
def test_a_copy_has_the_same_digest(image: Image, transport: str, workspace: Path) -> None:
    source = image.layout if transport == "oci" else image.archive
    copy(f"{transport}:{source}:{TAG}", f"oci:{workspace}/copy:{TAG}")
    assert layout_digest(workspace / "copy") == image.digest


@with_zstd
def test_no_tag_is_needed(image: Image, workspace: Path) -> None:
    copy(f"oci:{image.layout}", f"oci:{workspace}/copy:any")
    assert layout_digest(workspace / "copy") == image.digest


@with_zstd
@pytest.mark.parametrize("reference", ["", f":{REFERENCE}"])
def test_the_archive_is_a_docker_archive(image: Image, reference: str, workspace: Path) -> None:
    # Into a directory: a layout can't keep a manifest of docker's kind.
    copy(f"docker-archive:{image.archive}{reference}", f"dir:{workspace}/copy")
    configuration = json.loads(run("skopeo", "inspect", "--config", "--raw", f"dir:{workspace}/copy"))
    assert configuration["rootfs"]["diff_ids"] == [image.diff_id]


def test_inspect_shows_the_configuration(image: Image) -> None:
    shown = json.loads(run("skopeo", "inspect", "--config", f"oci:{image.layout}:{TAG}"))
    assert shown["author"] == "The Keeper <keeper@example.org>"
    assert shown["config"] == {
        "User": "keeper",
        "ExposedPorts": {"80/tcp": {}, "5353/udp": {}},
        "Env": ["PATH=/usr/bin:/bin", f"GREETING={GREETING}"],
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": list(CONFIG.cmd or ()),
        "Volumes": {"/var/lib/data": {}},
        "WorkingDir": "/home/keeper",
        "Labels": {"org.example.purpose": "to be kept", "org.example.text": GREETING},
        "StopSignal": "SIGUSR1",
    }
    manifest = json.loads(run("skopeo", "inspect", "--raw", f"oci:{image.layout}:{TAG}"))
    assert manifest["annotations"]["org.example.annotation"] == GREETING


@with_zstd
@pytest.mark.needs("docker-registry")
def test_a_registry_gives_back_what_was_pushed(image: Image, registry: Daemon, workspace: Path) -> None:
    digest = image.digest
    remote = f"docker://{registry.address}/team/nasty"
    copy(f"oci-archive:{image.archive}:{TAG}", f"{remote}:{TAG}")
    inspected = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"{remote}:{TAG}"))
    assert inspected["Digest"] == digest
    copy(f"{remote}@{digest}", f"oci:{workspace}/pulled:{TAG}")
    assert layout_digest(workspace / "pulled") == digest
