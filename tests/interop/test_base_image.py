"""An image on a base image: whatever unpacks it, the result is the root filesystem."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from losses import assert_kept, empty_xattr, inherited_acl, time_after_2262
from nasty_image import image_spec

from image_oci_rs import Base, ImageSpec, build, validate
from rootfs_fixtures import nasty, tree
from rootfs_fixtures.attributes import Difference, Snapshot, of_directory, packed

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("busybox", "umoci")]


def any_time(difference: Difference, expected: Snapshot) -> bool:
    """What differs by its time alone is not stored again."""
    return difference.attribute == "mtime"


def copied_by_vfs(difference: Difference, expected: Snapshot) -> bool:
    """The storage driver vfs copies the layer below, without most attributes and names of what is no regular file."""
    if difference.attribute == "hard links":
        return expected[difference.path].kind != "file"
    return difference.attribute.startswith("xattr ") and difference.actual is None


LOSSES = [any_time, empty_xattr, inherited_acl, time_after_2262]


def change(rootfs: Path) -> None:
    """Changes something of every kind."""
    (rootfs / "modes/setuid").chmod(0o755)
    os.chown(rootfs / "kinds/fifo", 77, 88)
    os.removexattr(rootfs / "xattrs/capability-v3", "security.capability")
    os.setxattr(rootfs / "xattrs/user", "user.binary", b"other")
    (rootfs / "tmp").chmod(0o700)
    os.utime(rootfs / "kinds/block", (1, 1))
    (rootfs / "kinds/null").unlink()
    os.mknod(rootfs / "kinds/null", 0o20666, os.makedev(1, 5))
    (rootfs / "links/z/other-directory").unlink()
    os.link(rootfs / "modes/setuid", rootfs / "added-name")
    # What was a directory is a file, what was a file a directory, what was a link a directory; and some are gone.
    (rootfs / "kinds/empty.d").rmdir()
    (rootfs / "kinds/empty.d").write_text("a file")
    (rootfs / "kinds/empty").unlink()
    (rootfs / "kinds/empty").mkdir()
    (rootfs / "kinds/empty/inside").write_text("inside")
    (rootfs / "links/dangling").unlink()
    (rootfs / "links/dangling").mkdir(mode=0o711)
    (rootfs / "links/dangling/inside").write_text("inside")
    shutil.rmtree(rootfs / "times")
    (rootfs / "added").mkdir(mode=0o2750)
    (rootfs / "added/file").write_text("added")


Layered = Callable[..., ImageSpec]


@pytest.fixture
def trees(workspace: Path) -> Iterator[tuple[Path, Path]]:
    """A tree with every kind of entry and attribute, and a changed copy of it."""
    lower, upper = workspace / "lower", workspace / "upper"
    for rootfs in (lower, upper):
        rootfs.mkdir()
        tree.build(rootfs, nasty.table())
    change(upper)
    yield lower, upper


@pytest.fixture
def on_base(trees: tuple[Path, Path], workspace: Path) -> Layered:
    """Builds an image of the changed tree on one of the other."""

    def make(mode: str, compression: str = "gzip") -> ImageSpec:
        below = image_spec(trees[0], workspace / "below", compression)
        build(below)
        assert below.output.layout is not None
        above = replace(image_spec(trees[1], workspace / "above"), base=Base(below.output.layout, mode=mode))
        build(above)
        assert above.output.layout is not None
        report = validate(above.output.layout)
        assert report.valid, report.findings
        return above

    return make


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_exact_unpacked_by_umoci_is_the_root_filesystem(
    on_base: Layered, trees: tuple[Path, Path], workspace: Path, compression: str
) -> None:
    spec = on_base("exact", compression)
    run("umoci", "unpack", "--image", f"{spec.output.layout}:{spec.tag}", workspace / "bundle")
    assert_kept(packed(of_directory(trees[1])), workspace / "bundle/rootfs", LOSSES)


@pytest.mark.needs("podman")
def test_exact_unpacked_by_podman_is_the_root_filesystem(
    on_base: Layered, trees: tuple[Path, Path], workspace: Path
) -> None:
    spec = on_base("exact")
    store = ["--root", f"{workspace}/store", "--runroot", f"{workspace}/run", "--storage-driver", "vfs"]
    run("podman", *store, "load", "--input", spec.output.archives[0].path)
    mounted = run("podman", *store, "image", "mount", f"{spec.name}:{spec.tag}")
    try:
        assert_kept(packed(of_directory(trees[1])), mounted, [*LOSSES, copied_by_vfs])
    finally:
        run("podman", *store, "image", "umount", "--all")


def test_overlay_keeps_what_the_base_has(on_base: Layered, trees: tuple[Path, Path], workspace: Path) -> None:
    spec = on_base("overlay")
    run("umoci", "unpack", "--image", f"{spec.output.layout}:{spec.tag}", workspace / "bundle")
    unpacked = workspace / "bundle/rootfs"
    assert (unpacked / "times/epoch").exists()
    lower, upper = packed(of_directory(trees[0])), packed(of_directory(trees[1]))
    gone = {path: record for path, record in lower.items() if path not in upper}
    # A name of a file that is gone from the root filesystem is the base's file still.
    assert_kept({**gone, **upper}, unpacked, [*LOSSES, hard_links])


def hard_links(difference: Difference, expected: Snapshot) -> bool:
    """Which names a file has follows from both images."""
    return difference.attribute == "hard links"
