"""A stand-in for the compiled core."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

RESULT = {
    "name": "docker.io/library/app:1.0",
    "manifest": {"media_type": "m", "digest": "sha256:aa", "size": 1},
    "config": {"media_type": "c", "digest": "sha256:bb", "size": 2},
    "layers": [
        {
            "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": "sha256:cc",
            "size": 2048,
            "diff_id": "sha256:dd",
            "uncompressed_size": 4096,
            "entries": 5,
            "name": "rest",
        }
    ],
    "layout": "/out/app",
    "archives": [],
    "created": "2024-01-01T00:00:00Z",
    "counts": {
        "files": 1,
        "directories": 2,
        "symlinks": 3,
        "hard_links": 4,
        "devices": 5,
        "fifos": 6,
        "sockets_left_out": 7,
        "xattrs": 8,
        "xattrs_left_out": 9,
    },
    "content_bytes": 10,
    "notes": ["run/x.sock: socket left out"],
    "warnings": ["layer shell: bish: no such package"],
    "seconds": 0.5,
    "cache": {"hits": 680, "misses": 10, "failures": 0},
    "lock": "/x.lock",
    "packages": {
        "source": "dpkg",
        "packages": 11,
        "without_files": 1,
        "owned": 12,
        "unowned": 13,
        "claimed_twice": 14,
        "missing": 15,
    },
}


class FakeCore(ModuleType):
    """Remembers what it is asked, answers what it is told to."""

    __version__ = "9.9.9"

    def __init__(self) -> None:
        super().__init__("image_oci_rs._core")
        self.specs: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.steps: list[tuple[int, int, int | None, int | None]] = []
        self.failure: BaseException | None = None
        self.answer: object = RESULT

    def build(self, spec: str, progress: Callable[..., object] | None = None) -> str:
        self.specs.append(json.loads(spec))
        for step in self.steps:
            if progress:
                progress(*step)
        return self._reply()

    def validate(self, path: str) -> str:
        self.paths.append(path)
        return self._reply()

    inspect = validate

    def _reply(self) -> str:
        if self.failure:
            raise self.failure
        return json.dumps(self.answer)
