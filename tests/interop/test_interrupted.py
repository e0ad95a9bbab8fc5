"""A build that dies or fails leaves nothing under a final name, and nothing else once the next one has succeeded."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from images import BUILD, layout_digest
from nasty_image import image_spec, outputs

from image_oci_rs import api
from image_oci_rs.spec import ImageSpec
from rootfs_fixtures import nasty, tree
from rootfs_fixtures.build_user import BuildUser

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("busybox")]

ATTEMPTS = 20


@pytest.fixture(scope="module")
def rootfs(scratch: Path) -> Path:
    """The nasty root filesystem, and something that takes a while to compress."""
    rootfs = scratch / "slow"
    text = random.Random(1).randbytes(8 << 20).hex().encode()
    tree.build(rootfs, [*nasty.table(), tree.File(b"usr/share/text", content=text)])
    return rootfs


@pytest.fixture
def small_disk(workspace: Path) -> Iterator[Callable[[str], Path]]:
    def mount(size: str) -> Path:
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", workspace)
        return workspace

    yield mount
    run("umount", workspace)


def start(spec: ImageSpec) -> subprocess.Popen[str]:
    builder = subprocess.Popen([sys.executable, "-c", BUILD], stdin=subprocess.PIPE, text=True)
    assert builder.stdin is not None
    builder.stdin.write(spec.dumps())
    builder.stdin.close()
    return builder


def kill_at_random_moments(specs: Sequence[ImageSpec], check: Callable[[], None]) -> None:
    """Kills builds of each in turn, many of them before they are done, and calls `check` after every one."""
    duration = min(seconds_of(specs[0]) for _ in range(3))
    moments = random.Random(2)
    killed = 0
    for attempt in range(1, ATTEMPTS + 1):
        spec = specs[attempt % len(specs)]
        if not spec.output.replace:
            remove_outputs(spec)
        builder = start(spec)
        time.sleep(moments.uniform(0, duration * 1.1))
        builder.send_signal(signal.SIGKILL)
        killed += builder.wait() == -signal.SIGKILL
        check()
    # A machine that was busy only while it was timed would kill later than meant.
    assert killed >= ATTEMPTS // 4


def seconds_of(spec: ImageSpec) -> float:
    """How long a build takes from nothing."""
    if not spec.output.replace:
        remove_outputs(spec)
    began = time.monotonic()
    assert start(spec).wait() == 0
    return time.monotonic() - began


def remove_outputs(spec: ImageSpec) -> None:
    layout, archive = outputs(spec)
    shutil.rmtree(layout, ignore_errors=True)
    archive.unlink(missing_ok=True)


def test_a_killed_build_leaves_nothing_under_a_final_name(rootfs: Path, workspace: Path) -> None:
    spec = image_spec(rootfs, workspace / "image")

    def check() -> None:
        # It may have died before the first, between the two, or after both.
        for path in outputs(spec):
            if path.exists():
                assert api.validate(path).findings == ()

    kill_at_random_moments([spec], check)
    remove_outputs(spec)
    assert start(spec).wait() == 0
    assert sorted(os.listdir(workspace)) == ["image.oci", "image.tar"]


def test_a_killed_build_leaves_what_it_was_to_replace(rootfs: Path, workspace: Path) -> None:
    specs = [image_spec(rootfs, workspace / "image", created=created) for created in (0, 1_000_000_000)]
    specs = [replace(spec, output=replace(spec.output, replace=True)) for spec in specs]
    digests = {api.build(spec).manifest.digest for spec in specs}
    assert len(digests) == 2

    def check() -> None:
        layout, archive = outputs(specs[0])
        assert api.validate(archive).findings == ()
        # No directory takes another's place in one step; between the two steps there is none.
        if layout.exists():
            assert api.validate(layout).findings == ()
            assert layout_digest(layout) in digests

    kill_at_random_moments(specs, check)
    assert start(specs[0]).wait() == 0
    assert sorted(os.listdir(workspace)) == ["image.oci", "image.tar"]


@pytest.mark.needs("setpriv", "pseudo")
def test_an_image_is_replaced_under_pseudo(build_user: BuildUser) -> None:
    rootfs, output = build_user.home / "rootfs-of-replaced", build_user.untracked / "replaced"
    build_user.python("-m", "rootfs_fixtures", "nasty", rootfs)
    digests = []
    for created in (0, 1_000_000_000, 1_000_000_000):
        spec = image_spec(rootfs, output, created=created)
        spec = replace(spec, output=replace(spec.output, replace=True))
        build_user.python("-c", BUILD, text=spec.dumps())
        left = [name for name in os.listdir(build_user.untracked) if "replaced" in name]
        assert sorted(left) == ["replaced.oci", "replaced.tar"]
        digests.append(layout_digest(outputs(spec)[0]))
    assert digests[0] != digests[1] == digests[2]


# The layer has 9.4 MB, and the archive as much again.
@pytest.mark.parametrize("size", ["64k", "2m", "9m", "17m"])
def test_a_full_disk_is_told_and_left_clean(rootfs: Path, small_disk: Callable[[str], Path], size: str) -> None:
    disk = small_disk(size)
    with pytest.raises(OSError) as raised:
        api.build(image_spec(rootfs, disk / "image"))
    assert raised.value.errno == errno.ENOSPC
    assert str(disk) in str(raised.value.filename)
    assert os.listdir(disk) == []
