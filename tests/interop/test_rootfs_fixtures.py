"""The fixtures themselves: a comparison that overlooks something would make every other test here worthless."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from daemons import Daemon

from rootfs_fixtures import attributes, nasty, tree
from rootfs_fixtures.build_user import BuildUser

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "busybox")]


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"X")


def unlink_and(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def keep_time(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Only the change itself may give it away, and not the time of the directory."""

    def change_only(path: Path) -> None:
        paths = [path, path.parent]
        times = [os.lstat(place).st_mtime_ns for place in paths]
        change(path)
        for place, time in zip(paths, times):
            if os.path.lexists(place):
                os.utime(place, ns=(time, time), follow_symlinks=False)

    return change_only


# What is done to which file, and the attributes that must be seen to differ.
CHANGES: list[tuple[str, Callable[[Path], object], set[str]]] = [
    ("modes/setuid", lambda path: path.chmod(0o755), {"mode"}),
    ("tmp", lambda path: path.chmod(0o777), {"mode"}),
    ("owners/largest", lambda path: os.chown(path, 0, -1), {"uid", "mode"}),
    ("owners/link", lambda path: os.chown(path, -1, 0, follow_symlinks=False), {"gid"}),
    ("kinds/block", overwrite, {"sha256"}),
    ("kinds/block", lambda path: os.truncate(path, 511), {"sha256", "size"}),
    ("kinds/empty", Path.unlink, {"entry"}),
    ("kinds/empty.d", lambda path: (path / "more").touch(), {"entry"}),
    ("kinds/fifo", unlink_and(Path.touch), {"kind", "mode", "sha256", "uid"}),
    ("links/dangling", unlink_and(lambda path: path.symlink_to("elsewhere")), {"target"}),
    ("kinds/null", unlink_and(lambda path: os.mknod(path, 0o20666, os.makedev(1, 5))), {"device", "mode"}),
    (
        "links/z/other-directory",
        unlink_and(Path.touch),
        {"hard links", "mode", "sha256", "size", "uid", "xattr user.shared"},
    ),
    ("xattrs/user", lambda path: os.removexattr(path, "user.empty"), {"xattr user.empty"}),
    ("xattrs/user", lambda path: os.setxattr(path, "user.binary", nasty.BINARY[:-1]), {"xattr user.binary"}),
    ("xattrs/user", lambda path: os.setxattr(path, "user.more", b""), {"xattr user.more"}),
    ("xattrs/capability-v3", lambda path: os.removexattr(path, "security.capability"), {"xattr security.capability"}),
    (
        "xattrs/default-acl",
        lambda path: os.removexattr(path, "system.posix_acl_default"),
        {"xattr system.posix_acl_default"},
    ),
]


@pytest.mark.parametrize(("path", "change", "seen"), CHANGES)
def test_every_change_is_seen(workspace: Path, path: str, change: Callable[[Path], object], seen: set[str]) -> None:
    table = nasty.table()
    tree.build(workspace / "rootfs", table)
    keep_time(change)(workspace / "rootfs" / path)
    differences = attributes.compare(tree.expected(table), attributes.of_directory(workspace / "rootfs"))
    assert {difference.attribute for difference in differences} == seen


def test_a_second_more_is_seen(workspace: Path) -> None:
    table = [tree.Directory(b"."), tree.Symlink(b"link", target=b"nowhere")]
    tree.build(workspace, table)
    time = tree.USUAL_TIME + tree.SECOND
    os.utime(workspace / "link", ns=(time, time), follow_symlinks=False)
    (difference,) = attributes.compare(tree.expected(table), attributes.of_directory(workspace))
    assert str(difference) == "b'link': mtime: expected 1700000000, is 1700000001"


def test_a_tree_that_does_not_become_what_was_asked_for_is_refused(workspace: Path) -> None:
    (workspace / "stray").touch()
    with pytest.raises(ValueError, match="b'stray': entry: expected nothing"):
        tree.build(workspace, [tree.Directory(b".")])


def test_an_attribute_that_cannot_be_set_is_no_tree(workspace: Path) -> None:
    table = [tree.Directory(b"."), tree.File(b"file", xattrs={"security.capability": b"no capability"})]
    with pytest.raises(OSError, match="file"):
        tree.build(workspace, table)


def test_only_declared_limits_leave_something_out() -> None:
    table = nasty.table()
    assert tree.without(table, []) == table
    limited = tree.expected(tree.without(table, [tree.Limit.DEVICES, tree.Limit.USER_XATTRS]))
    whole = tree.expected(table)
    assert {whole[path].kind for path in whole.keys() - limited.keys()} == {"character device", "block device"}
    assert not [name for record in limited.values() for name, _ in record.xattrs if name.startswith("user.")]


def test_a_snapshot_survives_json() -> None:
    snapshot = tree.expected(nasty.table())
    assert attributes.from_json(attributes.to_json(snapshot)) == snapshot


def test_pseudo_and_root_make_the_same_tree(build_user: BuildUser, workspace: Path) -> None:
    place = build_user.home / "compared"
    build_user.python("-m", "rootfs_fixtures", "nasty", place)
    (workspace / "pseudo.json").write_text(build_user.python("-m", "rootfs_fixtures", "snapshot", place))
    tree.build(workspace / "rootfs", nasty.table())
    program = [sys.executable, "-m", "rootfs_fixtures", "compare"]
    environment = {"PYTHONPATH": str(Path(attributes.__file__).parents[1])}
    for actual, status in (("rootfs", 0), ("rootfs/bin", 1)):
        command = [*program, "pseudo.json", actual]
        done = subprocess.run(command, cwd=workspace, env=environment, check=False, capture_output=True)
        assert done.returncode == status, done
        assert bool(done.stdout) == bool(status)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a", tarfile.REGTYPE, ""), ("./a", tarfile.REGTYPE, "")], "twice"),
        ([("b", tarfile.LNKTYPE, "a"), ("a", tarfile.REGTYPE, "")], "does not come before it"),
        ([("a", tarfile.GNUTYPE_SPARSE, "")], "typeflag"),
    ],
    ids=["twice", "link", "type"],
)
def test_a_layer_that_is_none_is_refused(members: list[tuple[str, bytes, str]], message: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as layer:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            layer.addfile(member)
    with pytest.raises(ValueError, match=message):
        attributes.of_layer(io.BytesIO(stream.getvalue()))


def test_a_daemon_that_ends_shows_its_log(workspace: Path) -> None:
    def never() -> None:
        raise OSError("not there")

    daemon = Daemon(["sh", "-c", "echo why it ended; exit 3"], "nowhere", workspace / "log")
    with pytest.raises(RuntimeError, match="exit status 3\nwhy it ended"):
        daemon.wait_until(never)
    daemon.stop()
