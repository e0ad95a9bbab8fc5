"""podman and buildah, that is containers/storage, load the image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import copy, run
from daemons import Daemon
from images import WITH_ZSTD, Image
from losses import (
    assert_kept,
    empty_xattr,
    inherited_acl,
    time_after_2262,
    time_before_1970,
    time_of_root,
)
from nasty_image import PRINTED, REFERENCE, SCRIPT, image_spec

from image_oci_rs import build

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "busybox", "zstd", "podman")]
with_zstd = pytest.mark.parametrize("image", WITH_ZSTD, indirect=True)
LOSSES = [empty_xattr, inherited_acl, time_after_2262, time_before_1970, time_of_root]

Command = Callable[..., str]


@pytest.fixture
def storage(workspace: Path) -> list[str]:
    """An empty store of its own for each test."""
    return ["--root", f"{workspace}/store", "--runroot", f"{workspace}/run", "--storage-driver", "vfs"]


@pytest.fixture
def podman(storage: list[str]) -> Iterator[Command]:
    def podman(*arguments: str | Path) -> str:
        return run("podman", *storage, "--cgroup-manager", "cgroupfs", *arguments)

    yield podman
    podman("image", "umount", "--all")


@with_zstd
def test_load_keeps_every_attribute(image: Image, podman: Command) -> None:
    assert REFERENCE in podman("load", "--input", image.archive)
    assert podman("images", "--format", "{{.Repository}}:{{.Tag}}") == REFERENCE
    assert_kept(image.expected, podman("image", "mount", REFERENCE), LOSSES)


@with_zstd
@pytest.mark.needs("runc")
def test_a_container_runs(image: Image, podman: Command) -> None:
    podman("load", "--input", image.archive)
    # Not podman's own limits: they may exceed those of a machine that is itself a container.
    limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]
    # Not crun: it refuses machines that have both versions of cgroups.
    printed = podman("--runtime=runc", "run", "--rm", "--network=none", *limits, REFERENCE)
    assert printed.splitlines() == PRINTED


@with_zstd
@pytest.mark.needs("docker-registry", "skopeo")
def test_pull_keeps_every_attribute(image: Image, podman: Command, registry: Daemon) -> None:
    remote = f"{registry.address}/team/for-podman:v1.2"
    copy(f"oci:{image.layout}", f"docker://{remote}")
    podman("pull", "--tls-verify=false", remote)
    (pulled,) = json.loads(podman("image", "inspect", remote))
    assert pulled["Digest"] == image.digest
    assert_kept(image.expected, podman("image", "mount", remote), LOSSES)


@with_zstd
@pytest.mark.needs("buildah")
def test_buildah_builds_on_it(image: Image, storage: list[str]) -> None:
    # The limits that newer ones (1.39) take by default are above what a sandbox may have.
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
    container = run("buildah", *storage, "from", *limits, f"docker-archive:{image.archive}")
    # Into a file: what goes through its pipes is sometimes cut off (1.28).
    script = f"({SCRIPT}) > /tmp/printed"
    run("buildah", *storage, "run", "--isolation=chroot", container, "--", "/bin/sh", "-c", script)
    printed = Path(run("buildah", *storage, "mount", container), "tmp/printed").read_text()
    assert printed.splitlines() == PRINTED
    run("buildah", *storage, "rm", container)


def test_further_tags_are_those_of_the_docker_archive(tmp_path: Path, podman: Command) -> None:
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs/file").write_text("content")
    build(image_spec(tmp_path / "rootfs", tmp_path / "tagged", extra_tags=("further", "r.example/other:2")))
    archive = tmp_path / "tagged.tar"
    # It takes the archive for an OCI archive, whose index.json has one name.
    podman("load", "--input", archive)
    assert podman("images", "--format", "{{.Repository}}:{{.Tag}}") == REFERENCE
    podman("pull", f"docker-archive:{archive}")
    listed = podman("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    assert set(listed) == {REFERENCE, f"{REFERENCE.rpartition(':')[0]}:further", "r.example/other:2"}
