"""What all tests share: which programs a test needs, and a place to work in."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootfs_fixtures.build_user import BuildUser
from rootfs_fixtures.lacking import lacking


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*programs): must fail in CI, and may be skipped elsewhere, without them")
    config.addinivalue_line("markers", "needs_root: must fail in CI, and may be skipped elsewhere, unless run by root")
    # It would date every image.
    os.environ.pop("SOURCE_DATE_EPOCH", None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    programs = [program for mark in item.iter_markers("needs") for program in mark.args]
    missing = sorted(program for program in programs if shutil.which(program) is None)
    lacks = [f"the program {program}" for program in missing]
    if os.getuid() != 0 and item.get_closest_marker("needs_root"):
        lacks.append("to be run by root")
    if not lacks:
        return
    lacking(f"{' and '.join(lacks)} (scripts/install-packages.sh installs programs)")


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory that everybody may enter, whose path is short enough for sockets in it.

    It lies on a file system that holds extended attributes of users, which not every tmpfs does.
    """
    # podman reads a path as the name of an image, which must not begin or end with a `_`, as tempfile's names may.
    directory = Path(_place_with_user_xattrs()) / f"oci-{secrets.token_hex(4)}"
    directory.mkdir(mode=0o700)
    directory.chmod(0o755)
    yield directory
    _unmount_below(directory)
    shutil.rmtree(directory)


@pytest.fixture
def workspace(scratch: Path) -> Iterator[Path]:
    """A directory below `scratch` for one test."""
    directory = scratch / secrets.token_hex(4)
    directory.mkdir(mode=0o700)
    yield directory
    _unmount_below(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def build_user(scratch: Path) -> Iterator[BuildUser]:
    """A user who is not root, with these fixtures and the package under test within reach of its Python."""
    user = BuildUser(scratch / "user")
    user.add_package("rootfs_fixtures")
    user.add_package("image_oci_rs")
    yield user
    user.stop_pseudo()


def _place_with_user_xattrs() -> str:
    places = [tempfile.gettempdir(), "/var/tmp", os.getcwd()]
    for place in places:
        try:
            with tempfile.NamedTemporaryFile(dir=place) as file:
                os.setxattr(file.fileno(), "user.test", b"")
            return place
        except OSError:
            continue
    raise OSError(f"extended attributes of users can be set in none of {', '.join(places)}")


def _unmount_below(directory: Path) -> None:
    """Unmounts what a killed container has left behind. If that fails, nothing must be removed."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=True)
