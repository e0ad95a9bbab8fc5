"""The same root filesystem gives the same bytes, whatever differs between two builds of it."""

from __future__ import annotations

import hashlib
import io
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import run
from images import Image, Images
from losses import assert_same
from nasty_image import image_spec, outputs

from image_oci_rs import api
from image_oci_rs.spec import Compression
from rootfs_fixtures import attributes, nasty, tree
from rootfs_fixtures.attributes import of_layer

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "busybox", "zstd")]

# Enough for many members, which threads finish in any order.
BULK = 24 << 20


@pytest.fixture(scope="module")
def large_rootfs(scratch: Path) -> Path:
    """The nasty root filesystem, with thousands of files more, and large ones of all degrees of disorder."""
    rootfs = scratch / "large"
    noise = random.Random(0).randbytes(BULK)
    contents = {b"noise": noise, b"text": noise.hex().encode()[:BULK], b"zeros": bytes(BULK)}
    bulk = [tree.File(b"usr/share/" + name, content=content) for name, content in contents.items()]
    tree.build(rootfs, [*nasty.table(many=2500), *bulk])
    return rootfs


@pytest.fixture
def tmpfs(workspace: Path) -> Iterator[Path]:
    """A file system that lists a directory in an order that follows from the order of creation."""
    run("mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", workspace)
    yield workspace
    run("umount", workspace)


def build(rootfs: Path, output: Path, algorithm: str = "gzip", **changes: Any) -> tuple[str, str]:
    """The digests of the manifest and of the archive, which has all the bytes of the layout."""
    spec = image_spec(rootfs, output, algorithm, **changes)
    digest = api.build(spec).manifest.digest
    _, archive = outputs(spec)
    return digest, hashlib.sha256(archive.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "compression", [Compression("gzip"), Compression("gzip", 1), Compression("zstd"), Compression("none")], ids=str
)
def test_threads_change_nothing(large_rootfs: Path, workspace: Path, compression: Compression) -> None:
    built = {
        threads: build(large_rootfs, workspace / str(threads), compression=compression, threads=threads)
        for threads in (1, 2, 7)
    }
    assert len(set(built.values())) == 1, built


def test_the_order_of_creation_changes_nothing(images: Images, tmpfs: Path) -> None:
    table = tree.without(nasty.table(), () if _holds_user_xattrs(tmpfs) else [tree.Limit.USER_XATTRS])
    orders, digests = set(), set()
    for seed in (1, 2, 3):
        rootfs = tmpfs / f"rootfs-{seed}"
        tree.build(rootfs, table, shuffle=seed)
        orders.add(tuple(os.listdir(rootfs / "names")))
        digests.add(build(rootfs, tmpfs / f"image-{seed}"))
    assert len(orders) == 3, "the file system listed all three in one order, which proves nothing"
    assert len(digests) == 1
    if _holds_user_xattrs(tmpfs):
        assert {manifest for manifest, _ in digests} == {images.get("root-gzip").digest}


def test_surroundings_change_nothing(images: Images, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.chdir(workspace)
    time.tzset()
    before = os.umask(0o077)
    try:
        _, archive = build(images.rootfs, workspace / "elsewhere")
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert archive == hashlib.sha256(images.get("root-gzip").archive.read_bytes()).hexdigest()


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_the_time_of_the_image_is_the_latest_in_it(
    images: Images, workspace: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    latest = 1_600_000_000
    if way == "environment":
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(latest))
    spec = image_spec(images.rootfs, workspace / "image", created=latest if way == "argument" else None)
    assert api.build(spec).created == "2020-09-13T12:26:40Z"
    image = Image(*outputs(spec), attributes.packed(images.expected, latest=latest))
    assert_same(image.expected, of_layer(io.BytesIO(image.layer)))


def _holds_user_xattrs(directory: Path) -> bool:
    """tmpfs does from Linux 6.6 on."""
    try:
        os.setxattr(directory, "user.test", b"")
        os.removexattr(directory, "user.test")
    except OSError:
        return False
    return True
