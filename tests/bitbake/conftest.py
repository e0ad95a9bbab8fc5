"""The build kit, and build directories made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE


@pytest.fixture(scope="session")
def kit() -> Iterator[Kit]:
    with Kit.make() as kit:
        yield kit


@pytest.fixture
def small_image(kit: Kit) -> Callable[..., BuildDirectory]:
    """Makes a build directory whose recipe is a small image and the lines given."""

    def make(*lines: str, conf: str = "") -> BuildDirectory:
        return kit.build_directory(SMALL_IMAGE + "\n".join(lines) + "\n", conf=conf)

    return make
