"""The build kit, and build directories made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.kit import Kit
from broken_engine import BROKEN_ENGINE
from image_recipe import SMALL_IMAGE


@pytest.fixture(scope="session")
def kit() -> Iterator[Kit]:
    with Kit.make() as kit:
        yield kit


@pytest.fixture(scope="session")
def broken_kit() -> Iterator[Kit]:
    """A kit whose engine only nativepython3 can load."""
    with Kit.make() as kit:
        (engine,) = kit.package.glob("_core*.so")
        engine.rename(kit.package / "real-core")
        (kit.package / "_core.py").write_text(BROKEN_ENGINE)
        yield kit


@pytest.fixture
def small_image(kit: Kit) -> Callable[..., BuildDirectory]:
    """Makes a build directory whose recipe is a small image and the lines given."""

    def make(*lines: str, conf: str = "") -> BuildDirectory:
        return kit.build_directory(SMALL_IMAGE + "\n".join(lines) + "\n", conf=conf)

    return make
