"""A root filesystem, a specification to start from, and the stand-in in the core's place."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_core import FakeCore

import image_oci_rs
from image_oci_rs import ImageSpec, Output, Platform, Source


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    fake = FakeCore()
    monkeypatch.setitem(sys.modules, "image_oci_rs._core", fake)
    monkeypatch.setattr(image_oci_rs, "_core", fake, raising=False)
    return fake


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A small root filesystem: contents that compress and that don't, a link of each kind."""
    root = tmp_path / "rootfs"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/motd").symlink_to("passwd")
    (root / "bin").mkdir()
    (root / "bin/app").write_bytes(b"\x7fELF" + bytes(range(256)) * 40)
    (root / "bin/app").chmod(0o4755)
    os.link(root / "bin/app", root / "bin/same")
    (root / "data").mkdir(mode=0o1777)
    for path in (*root.rglob("*"), root):
        os.utime(path, (1700000000, 1700000000), follow_symlinks=False)
    return root


@pytest.fixture
def make_spec(rootfs: Path, tmp_path: Path) -> Callable[..., ImageSpec]:
    def make(**changes: Any) -> ImageSpec:
        values: dict[str, Any] = {
            "sources": (Source(str(rootfs)),),
            "name": "app",
            "platform": Platform("amd64"),
            "output": Output(layout=str(tmp_path / "out")),
            **changes,
        }
        return ImageSpec(**values)

    return make
