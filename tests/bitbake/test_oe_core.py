"""The class and the recipe in real releases of OE-core; docs/yocto.md says how to get them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from bitbake_harness.kit import REPOSITORY

CHECKOUTS = os.environ.get("OE_CHECKOUTS", "").split()


@pytest.mark.skipif("not CHECKOUTS", reason="OE_CHECKOUTS names no checkouts of BitBake and OE-core")
@pytest.mark.parametrize("checkout", CHECKOUTS)
def test_recipe_and_image_are_built(checkout: str) -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts/oe-build.py", checkout], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
