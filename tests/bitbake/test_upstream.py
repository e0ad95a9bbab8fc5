"""meta-virtualization's own tests and demo recipes; docs/compatibility.md says how to get what they need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from bitbake_harness.kit import REPOSITORY

LAYER = os.environ.get("META_VIRTUALIZATION", "")
CHECKOUT = os.environ.get("META_VIRTUALIZATION_OE", "")


@pytest.mark.skipif("not LAYER", reason="META_VIRTUALIZATION names no checkout of that layer")
@pytest.mark.timeout(3600)
def test_only_the_known_remainder_fails() -> None:
    build = ["--oe", CHECKOUT] if CHECKOUT else []
    command = [sys.executable, str(REPOSITORY / "scripts/upstream-tests.py"), LAYER, *build]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
