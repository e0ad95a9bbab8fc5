"""umoci unpacks the image, and runc runs what it has unpacked."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from commands import run
from images import Image
from losses import assert_kept, empty_xattr, time_after_2262
from nasty_image import PRINTED, TAG

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "busybox", "umoci")]


@pytest.fixture
def bundle(image: Image, workspace: Path) -> Path:
    """The image, unpacked; and told not to ask for a terminal."""
    bundle = workspace / "bundle"
    run("umoci", "unpack", "--image", f"{image.layout}:{TAG}", bundle)
    config = bundle / "config.json"
    settings = json.loads(config.read_text())
    settings["process"]["terminal"] = False
    config.write_text(json.dumps(settings))
    return bundle


def test_umoci_unpacks_every_attribute(image: Image, bundle: Path) -> None:
    assert_kept(image.expected, bundle / "rootfs", [empty_xattr, time_after_2262])


def test_umoci_understands_the_configuration(bundle: Path) -> None:
    process = json.loads((bundle / "config.json").read_text())["process"]
    assert (process["user"]["uid"], process["user"]["gid"]) == (4242, 4343)
    assert process["cwd"] == "/home/keeper"


@pytest.mark.needs("runc")
def test_runc_runs_it(bundle: Path, workspace: Path) -> None:
    container = f"nasty-{uuid.uuid4().hex}"
    printed = run("runc", "--root", workspace / "state", "run", "--bundle", bundle, container)
    assert printed.splitlines() == PRINTED
