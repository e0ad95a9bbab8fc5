"""oci-fetch-rs fetches an image of a registry, and an image is built upon it."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.kit import Kit
from commands import run
from daemons import Daemon
from nasty_image import image_spec

from image_oci_rs import Archive, Config, IndexSpec, Output, Platform, build, index, validate

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "skopeo", "docker-registry")]
PLATFORMS = (Platform("amd64"), Platform("arm", "linux", "v6"), Platform("arm64", "linux", "v8"))


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with Kit.make() as kit:
        yield kit


@pytest.fixture(scope="module")
def pushed(scratch: Path, registry: Daemon) -> str:
    """The repository of images for several platforms; `docker` is the tag of one as docker's manifests have it."""
    place = scratch / "pushed"
    images = []
    for platform in PLATFORMS:
        rootfs = place / f"rootfs-{platform.architecture}"
        (rootfs / "etc").mkdir(parents=True)
        (rootfs / "etc/platform").write_text(platform.architecture)
        spec = replace(image_spec(rootfs, place / platform.architecture), platform=platform, config=Config(cmd=("sh",)))
        build(spec)
        images.append(str(spec.output.layout))
    output = Output(f"{place}/all.oci", (Archive(f"{place}/all.tar"),))
    index(IndexSpec(tuple(images), "registry.example/all", output, "1.0"))
    name = f"{registry.address}/team/all"
    skopeo = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false"]
    run(*skopeo, "--all", "--preserve-digests", f"oci:{place}/all.oci", f"docker://{name}:1.0")
    run(*skopeo, "--format", "v2s2", f"oci:{images[0]}", f"docker://{name}:docker")
    return name


def digest(reference: str) -> str:
    """What the documentation tells people to run."""
    return run("skopeo", "inspect", "--format", "{{.Digest}}", "--tls-verify=false", f"docker://{reference}")


def recipe(name: str, pinned: str, *lines: str) -> str:
    values = [f'OCI_FETCH_IMAGE = "{name}"', f'OCI_FETCH_DIGEST = "{pinned}"', 'OCI_FETCH_TLS_VERIFY = "0"']
    return "\n".join(["inherit oci-fetch-rs", *values, *lines]) + "\n"


def fetched(build: BuildDirectory) -> tuple[Path, dict[str, Any]]:
    """The layout that was deployed, and the entry of its index.json."""
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    layout = outcome.deployed / "lower-latest-oci"
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return layout, entry


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64", "linux/arm/v7", "all"])
def test_what_is_fetched_is_a_valid_image(kit: Kit, pushed: str, workspace: Path, platform: str) -> None:
    pinned = digest(f"{pushed}:1.0")
    text = recipe(f"{pushed}:1.0", pinned, f'OCI_FETCH_PLATFORM = "{platform}"')
    layout, entry = fetched(kit.build_directory(text, "lower"))
    assert validate(layout).findings == ()
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{pushed}@{entry['digest']}")
    assert (layout / "blobs" / entry["digest"].replace(":", "/")).read_text().strip() == raw.strip()
    assert (entry["digest"] == pinned) == (platform == "all")
    everything = ["--all"] if platform == "all" else []
    run("skopeo", "--insecure-policy", "copy", *everything, f"oci:{layout}:latest", f"oci:{workspace}/copy:1")


@pytest.mark.parametrize("tag", ["1.0", "docker"])
def test_an_image_is_built_upon_it_without_network(kit: Kit, pushed: str, workspace: Path, tag: str) -> None:
    text = recipe(f"{pushed}:{tag}", digest(f"{pushed}:{tag}"), 'OCI_FETCH_PLATFORM = "linux/amd64"')
    first = kit.build_directory(text, "lower")
    fetched(first)
    # The same again, out of DL_DIR alone.
    offline = f'DL_DIR = "{first.top}/downloads"\nBB_NO_NETWORK = "1"\n'
    layout, entry = fetched(kit.build_directory(text, "lower", offline))
    upper = f"""\
inherit image image-oci-rs
IMAGE_FSTYPES = "oci"
IMAGE_TYPEDEP:oci = ""
ROOTFS_COMMAND = "mkdir etc; echo upper > etc/upper"
OCI_IMAGE_ARCH = "amd64"
OCI_BASE_IMAGE = "lower"
DEPLOY_DIR_IMAGE:task-image-oci = "{layout.parent}"
"""
    outcome = kit.build_directory(upper).run()
    assert outcome.succeeded, outcome.output
    archive = outcome.deployed / "app-latest-oci.tar"
    assert validate(archive).findings == ()
    shutil.copyfile(archive, workspace / "app.tar")
    run("skopeo", "--insecure-policy", "copy", f"oci-archive:{workspace}/app.tar", f"dir:{workspace}/app")
    manifest = json.loads((workspace / "app/manifest.json").read_text())
    names = []
    for layer in manifest["layers"]:
        with tarfile.open(workspace / "app" / layer["digest"].removeprefix("sha256:")) as file:
            names.append([member.name for member in file if member.isfile()])
    assert names == [["etc/platform"], ["etc/upper"]]
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == entry["digest"]


@pytest.mark.parametrize(
    ("pin", "line", "message"),
    [
        (f"sha256:{'1' * 64}", "", "manifest unknown"),
        ("", 'OCI_FETCH_PLATFORM = "linux/riscv64"', "has no image for linux/riscv64, only for linux/"),
        ("", 'OCI_FETCH_TLS_VERIFY = "1"', "HTTP response to HTTPS client"),
    ],
)
def test_a_fetch_that_fails_leaves_nothing(kit: Kit, pushed: str, pin: str, line: str, message: str) -> None:
    build = kit.build_directory(recipe(f"{pushed}:1.0", pin or digest(f"{pushed}:1.0"), line), "lower")
    outcome = build.run()
    assert not outcome.succeeded
    assert f"cannot be fetched from {pushed}: " in outcome.output and message in outcome.output
    assert list((build.top / "downloads").iterdir()) == []
