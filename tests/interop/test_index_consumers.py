"""Consumers take the image for the platform that they want out of an index, or all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from daemons import Containerd, Daemon
from nasty_image import image_spec

from image_oci_rs import Archive, Config, IndexResult, IndexSpec, Output, Platform, build, index

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("skopeo", "umoci")]
NAME = "registry.example/team/several"
PLATFORMS = {
    "linux/amd64": Platform("amd64"),
    "linux/arm/v6": Platform("arm", "linux", "v6"),
    "linux/arm/v7": Platform("arm", "linux", "v7"),
    "linux/arm64/v8": Platform("arm64", "linux", "v8"),
}


@pytest.fixture
def made(workspace: Path) -> IndexResult:
    """An index of images whose root filesystems tell for which platform they are."""
    images = []
    for number, (name, platform) in enumerate(PLATFORMS.items()):
        rootfs = workspace / f"rootfs{number}"
        (rootfs / "etc").mkdir(parents=True)
        (rootfs / "etc/platform").write_text(name)
        spec = replace(image_spec(rootfs, workspace / f"{number}"), platform=platform, config=Config())
        build(spec)
        images.append(str(spec.output.layout))
    output = Output(f"{workspace}/several.oci", (Archive(f"{workspace}/several.tar"),))
    return index(IndexSpec(tuple(images), NAME, output, "1.0"))


@pytest.mark.needs("docker-registry")
def test_skopeo_copies_all_of_them_or_one(made: IndexResult, workspace: Path, registry: Daemon) -> None:
    remote = f"docker://{registry.address}/team/several:1.0"
    skopeo = ["skopeo", "--insecure-policy"]
    copy = ["copy", "--all", "--preserve-digests", "--dest-tls-verify=false"]
    run(*skopeo, *copy, f"oci-archive:{made.archives[0]}", remote)
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", remote)
    assert json.loads(raw) == json.loads(
        Path(str(made.layout), "blobs", made.index.digest.replace(":", "/")).read_text()
    )
    assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [image.digest for image in made.images]
    for platform in PLATFORMS:
        os, architecture, *variant = platform.split("/")
        override = [f"--override-os={os}", f"--override-arch={architecture}"]
        override += [f"--override-variant={name}" for name in variant]
        target = workspace / platform.replace("/", "-")
        run(*skopeo, *override, "copy", "--src-tls-verify=false", remote, f"oci:{target}:one")
        run("umoci", "unpack", "--image", f"{target}:one", f"{target}.bundle")
        assert Path(f"{target}.bundle/rootfs/etc/platform").read_text() == platform


@pytest.mark.needs("podman")
@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_podman_takes_the_one_for_its_platform(made: IndexResult, workspace: Path, form: str) -> None:
    storage = ["--root", f"{workspace}/store", "--runroot", f"{workspace}/run", "--storage-driver", "vfs"]
    # Without the tag, podman 5 gives every image from a layout the ID of the one for this machine.
    source = f"{made.layout}:1.0" if form == "oci" else made.archives[0]
    for platform in ("linux/amd64", "linux/arm64/v8", "linux/arm/v6"):
        pulled = run("podman", *storage, "pull", "--quiet", f"--platform={platform}", f"{form}:{source}")
        mounted = run("podman", *storage, "image", "mount", pulled)
        try:
            assert Path(mounted, "etc/platform").read_text() == platform
        finally:
            run("podman", *storage, "image", "umount", "--all")


@pytest.mark.needs("containerd", "ctr")
def test_containerd_imports_all_of_them(made: IndexResult, workspace: Path, containerd: Containerd) -> None:
    imported = ["images", "import", "--all-platforms", "--no-unpack", made.archives[0]]
    containerd.ctr(*imported)
    try:
        (line,) = [line for line in containerd.ctr("images", "list").splitlines() if line.startswith(f"{NAME}:1.0 ")]
        assert made.index.digest in line
        assert all(platform.removesuffix("/v8") in line for platform in PLATFORMS)
    finally:
        containerd.ctr("images", "rm", "--sync", f"{NAME}:1.0")
