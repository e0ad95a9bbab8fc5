"""What becomes of a test that lacks something."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Fails the test in CI, where nothing may be missed, and skips it elsewhere."""
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(f"needs {what}", pytrace=False)
    pytest.skip(f"needs {what}")
