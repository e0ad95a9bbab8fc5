"""A plugin for pytest: meta-virtualization's tests get images of this engine where they make their own by hand.

It replaces their conftest.py, which also kills virtual machines that listen on this machine's ports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from image_oci_rs import Config, ImageSpec, IndexSpec, Output, Platform, Source, build, index


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that the tests ask for."""
    for option, default in ("--poky-dir", ""), ("--build-dir", None), ("--machine", "qemux86-64"):
        parser.addoption(option, default=default)


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker that the tests use."""
    config.addinivalue_line("markers", "slow: runs bitbake")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Path | None:
    """Makes the value of a fixture that is to be replaced; None leaves it to the tests."""
    make = {"singlearch_oci_dir": single_platform, "multiarch_oci_dir": two_platforms}.get(fixturedef.argname)
    if make is None:
        return None
    value = make(request.getfixturevalue("tmp_path"))
    fixturedef.cached_result = (value, fixturedef.cache_key(request), None)
    return value


def single_platform(directory: Path, machine: str = "x86_64") -> Path:
    """The layout of an image."""
    root = directory / f"rootfs-{machine}"
    (root / "bin").mkdir(parents=True)
    (root / "bin/sh").write_text("a shell\n")
    layout = directory / f"{machine}-oci"
    build(
        ImageSpec(
            sources=(Source(str(root)),),
            name="app",
            platform=Platform.from_names(machine),
            config=Config(cmd=("/bin/sh",)),
            output=Output(layout=str(layout)),
        )
    )
    return layout


def two_platforms(directory: Path) -> Path:
    """The layout of an index of two images."""
    layout = directory / "two-platforms-oci"
    images = tuple(str(single_platform(directory, machine)) for machine in ("aarch64", "x86_64"))
    index(IndexSpec(images=images, name="app", output=Output(layout=str(layout))))
    return layout
