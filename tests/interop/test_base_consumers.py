"""Every consumer unpacks an image on a base image, and gets what the root filesystem and the mode say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from base_pairs import after, before, laid_over
from commands import run
from daemons import Containerd, Docker
from losses import (
    Loss,
    assert_kept,
    attributes_of_root,
    copied_by_native,
    copied_by_vfs,
    empty_xattr,
    inherited_acl,
    time_after_2262,
    time_before_1970,
    time_of_root,
)
from nasty_image import REFERENCE, TAG, image_spec

from image_oci_rs import api
from image_oci_rs.spec import Base, ImageSpec, Output
from rootfs_fixtures import attributes, tree
from rootfs_fixtures.attributes import Difference, Snapshot
from rootfs_fixtures.tree import SECOND, USUAL_TIME

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "busybox", "skopeo", "zstd")]

# How the base came to be, and in which form. `layered` has a layer on top of another root filesystem's.
FORMS = ["gzip", "one-member", "zstd", "none", "docker-archive", "layered"]


@dataclass(frozen=True)
class Bases:
    """The root filesystems, and base images of the first.

    Attributes:
        rootfs: The root filesystem of the image that stands on a base.
        forms: The base in each form, as a path.
        exact: What the image must be with the mode `exact`.
        overlay: What it must be with the mode `overlay`.
    """

    rootfs: Path
    forms: Mapping[str, str]
    exact: Snapshot
    overlay: Snapshot


@pytest.fixture(scope="module")
def bases(scratch: Path) -> Bases:
    directory = scratch / "bases"
    directory.mkdir()
    below, rootfs = directory / "below", directory / "rootfs"
    tree.build(below, before())
    tree.build(rootfs, after())
    forms = {}
    for algorithm in ("gzip", "zstd", "none"):
        spec = image_spec(below, directory / algorithm, algorithm)
        api.build(spec)
        forms[algorithm] = f"{directory / algorithm}.oci"
    # As others write it: one member, other documents.
    forms["one-member"] = f"{directory}/one-member"
    run(
        *("skopeo", "--insecure-policy", "copy", "--dest-compress", "--dest-compress-format", "gzip"),
        *(f"oci:{forms['none']}", f"oci:{forms['one-member']}:{TAG}"),
    )
    forms["docker-archive"] = f"{directory}/docker-archive.tar"
    run(
        *("skopeo", "--insecure-policy", "copy"),
        *(f"oci:{forms['none']}", f"docker-archive:{forms['docker-archive']}:{REFERENCE}"),
    )
    other = replace(image_spec(rootfs, directory / "other"), output=Output(layout=f"{directory}/other.oci"))
    api.build(other)
    api.build(on(Base(f"{directory}/other.oci", mode="exact"), below, directory / "layered"))
    forms["layered"] = f"{directory}/layered.oci"
    base, exact = (attributes.packed(tree.expected(table)) for table in (before(), after()))
    return Bases(rootfs, forms, exact, laid_over(base, exact))


def on(base: Base, rootfs: Path, output: Path) -> ImageSpec:
    """The image of `rootfs` on `base`."""
    return replace(image_spec(rootfs, output), base=base)


def time_of_what_is_the_same(difference: Difference, expected: Snapshot) -> bool:
    """A file that differs by its time alone is the base's."""
    return difference.path == b"pairs/same-but-later/x" and difference.actual == USUAL_TIME // SECOND


@pytest.fixture(params=["exact", "overlay"])
def mode(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def built(bases: Bases, form: str, mode: str, workspace: Path) -> tuple[ImageSpec, Snapshot]:
    """An image on the base of this form, and what it must be."""
    spec = on(Base(bases.forms[form], mode=mode), bases.rootfs, workspace / "image")
    api.build(spec)
    assert api.validate(f"{workspace}/image.oci").findings == ()
    return spec, bases.exact if mode == "exact" else bases.overlay


def kept(expected: Snapshot, directory: Path | str, losses: Sequence[Loss]) -> None:
    assert_kept(expected, directory, [*losses, time_of_what_is_the_same])


def unpacked_by_podman(bases: Bases, form: str, mode: str, driver: str, workspace: Path, losses: list[Loss]) -> None:
    _, expected = built(bases, form, mode, workspace)
    storage = ["--root", f"{workspace}/store", "--runroot", f"{workspace}/run", "--storage-driver", driver]
    run("podman", *storage, "load", "--input", workspace / "image.tar")
    try:
        mounted = run("podman", *storage, "image", "mount", REFERENCE)
        kept(expected, mounted, [empty_xattr, inherited_acl, time_after_2262, time_before_1970, *losses])
    finally:
        run("podman", *storage, "image", "umount", "--all")


@pytest.mark.needs("podman")
@pytest.mark.parametrize("form", FORMS)
def test_podman(bases: Bases, form: str, mode: str, workspace: Path) -> None:
    unpacked_by_podman(bases, form, mode, "vfs", workspace, [copied_by_vfs, time_of_root])


@pytest.mark.needs("podman")
@pytest.mark.parametrize("form", FORMS)
def test_podman_with_overlays(bases: Bases, form: str, mode: str, workspace: Path, overlays: None) -> None:
    unpacked_by_podman(bases, form, mode, "overlay", workspace, [attributes_of_root])


@pytest.mark.needs("umoci")
@pytest.mark.parametrize("form", ["gzip", "layered"])
def test_umoci(bases: Bases, form: str, mode: str, workspace: Path) -> None:
    _, expected = built(bases, form, mode, workspace)
    run("umoci", "unpack", "--image", f"{workspace}/image.oci:{TAG}", workspace / "bundle")
    kept(expected, workspace / "bundle/rootfs", [empty_xattr, time_after_2262])


def unpacked_by_docker(bases: Bases, form: str, mode: str, docker: Docker, workspace: Path, losses: list[Loss]) -> None:
    _, expected = built(bases, form, mode, workspace)
    docker.docker("load", "--input", workspace / "image.tar")
    try:
        diff_ids = [layer.diff_id for layer in api.inspect(workspace / "image.oci").images[0].layers]
        with docker.mounted(diff_ids, workspace / "mounted") as mounted:
            kept(expected, mounted, [empty_xattr, inherited_acl, time_after_2262, time_before_1970, *losses])
    finally:
        docker.docker("image", "rm", "--force", REFERENCE)


@pytest.mark.needs("dockerd", "docker", "containerd", "ctr")
@pytest.mark.parametrize("form", ["gzip", "layered"])
def test_docker(bases: Bases, form: str, mode: str, workspace: Path, docker: Docker) -> None:
    unpacked_by_docker(bases, form, mode, docker, workspace, [copied_by_vfs, attributes_of_root])


@pytest.mark.needs("dockerd", "docker", "containerd", "ctr")
@pytest.mark.parametrize("form", ["gzip", "layered"])
def test_docker_with_overlays(
    bases: Bases, form: str, mode: str, workspace: Path, docker_with_overlays: Docker
) -> None:
    unpacked_by_docker(bases, form, mode, docker_with_overlays, workspace, [attributes_of_root])


def unpacked_by_containerd(
    bases: Bases, form: str, mode: str, containerd: Containerd, snapshotter: str, workspace: Path, losses: list[Loss]
) -> None:
    _, expected = built(bases, form, mode, workspace)
    place = workspace / "mounted"
    place.mkdir()
    containerd.ctr("images", "import", f"--snapshotter={snapshotter}", workspace / "image.tar")
    try:
        containerd.ctr("images", "mount", f"--snapshotter={snapshotter}", REFERENCE, place)
        losses += [attributes_of_root, empty_xattr, inherited_acl, time_after_2262, time_before_1970]
        kept(expected, place, losses)
    finally:
        containerd.ctr("images", "unmount", "--rm", f"--snapshotter={snapshotter}", place)
        containerd.ctr("images", "rm", "--sync", REFERENCE)


@pytest.mark.needs("containerd", "ctr")
@pytest.mark.parametrize("form", ["gzip", "zstd", "layered"])
def test_containerd(bases: Bases, form: str, mode: str, workspace: Path, containerd: Containerd) -> None:
    unpacked_by_containerd(bases, form, mode, containerd, "native", workspace, [copied_by_native])


@pytest.mark.needs("containerd", "ctr")
@pytest.mark.parametrize("form", ["gzip", "zstd", "layered"])
def test_containerd_with_overlays(
    bases: Bases, form: str, mode: str, workspace: Path, containerd: Containerd, overlays: None
) -> None:
    unpacked_by_containerd(bases, form, mode, containerd, "overlayfs", workspace, [])


def test_five_images_share_every_blob_of_their_base(bases: Bases, workspace: Path) -> None:
    base = Path(bases.forms["layered"])
    blobs = {blob.name: blob.stat().st_ino for blob in (base / "blobs/sha256").iterdir()}
    (below,) = api.inspect(base).images
    for number in range(5):
        rootfs = workspace / f"rootfs{number}"
        rootfs.mkdir()
        (rootfs / "own").write_text(f"{number}")
        spec = replace(on(Base(str(base)), rootfs, workspace / f"{number}"), output=Output(f"{workspace}/{number}.oci"))
        api.build(spec)
        (image,) = api.inspect(f"{workspace}/{number}.oci").images
        assert [layer.digest for layer in image.layers][:-1] == [layer.digest for layer in below.layers]
        for layer in below.layers:
            blob = workspace / f"{number}.oci/blobs/{layer.digest.replace(':', '/')}"
            assert blob.stat().st_ino == blobs[blob.name]
