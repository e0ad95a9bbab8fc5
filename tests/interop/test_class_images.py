"""Containers of images that recipes make, with the defaults of each release; and the image type docker-archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bitbake_harness.kit import Kit
from commands import run
from daemons import Docker

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs("setpriv", "pseudo", "busybox", "dockerd", "docker", "containerd", "ctr"),
]
BUSYBOX = shutil.which("busybox")
ROOTFS = f"mkdir bin etc; cp {BUSYBOX} bin/busybox; ln -s busybox bin/sh; ln -s busybox bin/ls; echo app > etc/hostname"
Load = Callable[..., str]


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with Kit.make() as kit:
        yield kit


@pytest.fixture
def deployed(kit: Kit) -> Callable[..., Path]:
    """Builds an image recipe and returns the directory that it is deployed to."""

    def build(inherit: str, *lines: str, conf: str = "", types: str = "oci") -> Path:
        recipe = [f"inherit image {inherit}", f'IMAGE_FSTYPES = "{types}"', f'ROOTFS_COMMAND = "{ROOTFS}"', *lines]
        outcome = kit.build_directory("\n".join(recipe) + "\n", "container-base", conf).run()
        assert outcome.succeeded, outcome.output
        return outcome.deployed

    return build


@pytest.fixture
def load(docker: Docker) -> Iterator[Load]:
    """Loads an archive into docker, and returns the image's name."""
    loaded: list[str] = []

    def load(archive: Path) -> str:
        loaded.append(docker.docker("load", "--input", archive).removeprefix("Loaded image: "))
        return loaded[-1]

    yield load
    for name in loaded:
        docker.docker("image", "rm", "--force", name)


# What is inherited, the release, and lines of a recipe whose containers run what they are given.
CONTAINER_BASES = [
    ("image-oci", "wrynose", 'OCI_IMAGE_ENTRYPOINT ?= ""'),
    ("image-oci", "scarthgap", 'OCI_IMAGE_ENTRYPOINT = ""'),
    ("image-oci-rs", "wrynose", 'OCI_IMAGE_DEFAULTS = "wrynose"'),
    ("image-oci-rs", "scarthgap", 'OCI_IMAGE_ENTRYPOINT = ""'),
]


@pytest.mark.parametrize(("inherit", "release", "line"), CONTAINER_BASES)
def test_container_base_lists_files(
    deployed: Callable[..., Path], load: Load, kit: Kit, docker: Docker, inherit: str, release: str, line: str
) -> None:
    conf = kit.image_oci(release) + 'OCI_IMAGE_BACKEND = "image-oci-rs"\n'
    name = load(deployed(inherit, line, conf=conf) / "container-base-latest-oci.tar")
    options = ("run", "--rm", "--network", "none")
    assert {"bin", "etc"} <= set(docker.docker(*options, name, "ls").split())
    # Without a command, the shell; its input is empty.
    assert docker.docker(*options, name) == ""


@pytest.mark.needs("podman", "skopeo")
@pytest.mark.parametrize("archives", ["true", ""])
def test_docker_archive_is_loaded_by_name(
    deployed: Callable[..., Path], load: Load, workspace: Path, archives: str
) -> None:
    lines = (f'OCI_IMAGE_TAR_OUTPUT = "{archives}"', 'OCI_IMAGE_TAG = "1.0"')
    directory = deployed("image-oci-rs", *lines, types="docker-archive docker-archive.gz")
    plain, compressed = (
        directory / f"container-base-qemux86-64.rootfs.{ending}" for ending in ("docker-archive", "docker-archive.gz")
    )
    for number, archive in enumerate((plain, compressed)):
        assert load(archive) == "container-base:1.0"
        store = ["--root", f"{workspace}/{number}", "--runroot", f"{workspace}/run", "--storage-driver", "vfs"]
        run("podman", *store, "load", "--input", archive)
        listed = run("podman", *store, "images", "--format", "{{.Repository}}:{{.Tag}}")
        assert listed == "docker.io/library/container-base:1.0"
    # skopeo (1.9) reads no such archive that is compressed, its own neither.
    assert "docker.io/library/container-base:1.0" in run("skopeo", "list-tags", f"docker-archive:{plain}")
    run("skopeo", "inspect", f"docker-archive:{plain}:container-base:1.0")
