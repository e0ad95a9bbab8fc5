"""Compares what a consumer has unpacked with what the layer holds.

A consumer may lose only what is named here, and only what its own limits make it lose. That the layer does hold these
attributes is proven by test_layer.py, for every image that a consumer gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from posixpath import dirname

from rootfs_fixtures.attributes import ROOT, Difference, Snapshot, compare, of_directory

Loss = Callable[[Difference, Snapshot], bool]

# 2^63 nanoseconds: 2262-04-11.
END_OF_GO_TIME = 2**63 // 10**9


def empty_xattr(difference: Difference, expected: Snapshot) -> bool:
    """POSIX says that an empty value in a pax header deletes the record, and Go's archive/tar does so."""
    return difference.attribute.startswith("xattr ") and difference.expected == b"" and difference.actual is None


def time_before_1970(difference: Difference, expected: Snapshot) -> bool:
    """containerd and containers/storage (as did moby) put these times to 1970."""
    return difference.attribute == "mtime" and expected[difference.path].mtime < 0 == difference.actual


def time_after_2262(difference: Difference, expected: Snapshot) -> bool:
    """Where Go programs count time in nanoseconds, it ends there."""
    return difference.attribute == "mtime" and expected[difference.path].mtime > END_OF_GO_TIME


def inherited_acl(difference: Difference, expected: Snapshot) -> bool:
    """A directory gets its default ACL before its files are made, which then inherit it."""
    parent = expected.get(dirname(difference.path))
    inherits = parent is not None and "system.posix_acl_default" in dict(parent.xattrs)
    return inherits and difference.attribute.startswith("xattr system.posix_acl_") and difference.expected is None


def time_of_root(difference: Difference, expected: Snapshot) -> bool:
    """The root is made, and touched again when the container's directories are put into it."""
    return difference.path == ROOT and difference.attribute == "mtime"


def attributes_of_root(difference: Difference, expected: Snapshot) -> bool:
    """containerd leaves out what resolves to the root (archive/tar.go, applyNaive), and so does newer docker."""
    return difference.path == ROOT and difference.attribute != "entry"


def copied_by_vfs(difference: Difference, expected: Snapshot) -> bool:
    """The driver vfs copies lower layers without most extended attributes, and links between regular files alone."""
    if difference.attribute == "hard links":
        return difference.actual == () and expected[difference.path].kind != "file"
    return difference.attribute.startswith("xattr ") and difference.actual is None


def copied_by_native(difference: Difference, expected: Snapshot) -> bool:
    """The snapshotter native of containerd 1.7 loses directories' times in lower layers, and links as vfs does."""
    if difference.attribute == "hard links":
        return difference.actual == () and expected[difference.path].kind != "file"
    return difference.attribute == "mtime" and expected[difference.path].kind == "directory"


def assert_kept(expected: Snapshot, directory: Path | str, losses: Sequence[Loss] = ()) -> None:
    """Fails with every attribute of the tree in `directory` that is not as expected, except for `losses`."""
    assert_same(expected, of_directory(directory), losses)


def assert_same(expected: Snapshot, actual: Snapshot, losses: Sequence[Loss] = ()) -> None:
    """Fails with every difference that is none of `losses`."""
    differences = [
        difference for difference in compare(expected, actual) if not any(loss(difference, expected) for loss in losses)
    ]
    assert not differences, f"{len(differences)} differences:\n" + "\n".join(map(str, differences))
