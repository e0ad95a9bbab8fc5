"""The images, and the daemons that consume them: each is made once, when a test first asks for it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import daemons
import pytest
from daemons import Containerd, Daemon, Docker
from images import READ_BY_ALL, Image, Images

from rootfs_fixtures.build_user import BuildUser
from rootfs_fixtures.lacking import lacking


@pytest.fixture(scope="session")
def images(scratch: Path, build_user: BuildUser) -> Images:
    return Images(scratch / "images", build_user)


@pytest.fixture(scope="session", params=READ_BY_ALL)
def image(request: pytest.FixtureRequest, images: Images) -> Image:
    """An image that every consumer reads; tests of those that read more give parameters of their own."""
    name: str = request.param
    return images.get(name)


@pytest.fixture(scope="session")
def containerd(scratch: Path) -> Iterator[Containerd]:
    with daemons.containerd(scratch / "containerd") as daemon:
        yield daemon


@pytest.fixture(scope="session")
def docker(scratch: Path, containerd: Containerd) -> Iterator[Docker]:
    with daemons.dockerd(scratch / "docker", containerd) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def overlays(scratch: Path) -> None:
    """For what needs layers that the kernel lays over one another."""
    if not daemons.can_mount_overlays(scratch / "overlays"):
        lacking("a file system on which an overlay can be mounted")


@pytest.fixture(scope="session")
def docker_with_overlays(scratch: Path, containerd: Containerd, overlays: None) -> Iterator[Docker]:
    with daemons.dockerd(scratch / "docker-overlay2", containerd, "overlay2") as daemon:
        yield daemon


@pytest.fixture(scope="session")
def registry(scratch: Path) -> Iterator[Daemon]:
    with daemons.registry(scratch / "registry") as daemon:
        yield daemon


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what the daemons had to say about a test that failed."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Daemon):
                report.sections.append((f"log of {name}", value.log_tail()))
    return report
