"""The directory of a build, which the build user may enter."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def work_directory(given: Path | None) -> Iterator[Path]:
    """Makes a temporary directory that everybody may enter, or the given one, which stays."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    work = Path(tempfile.mkdtemp(prefix="oe-build-"))
    try:
        work.chmod(0o755)
        yield work
    finally:
        shutil.rmtree(work)
