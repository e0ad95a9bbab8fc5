"""Makes root filesystems of many small files, always the same ones: `small_files.py DIRECTORY FILES`."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

IN_DIRECTORY = 100
TEXT = 1 << 22
MTIME = 1_700_000_000

# One size of each: any thousand files that follow one another have the same mean, about 2 KB.
SIZES = tuple(int(40 * 1.00572**step) + 60 for step in range(1000))


def make(directory: Path, files: int) -> None:
    """Writes so many files, a multiple of a thousand, below `directory`."""
    text = _text()
    sizes = list(SIZES)
    random.Random(1).shuffle(sizes)
    for number in range(files):
        parent = directory / f"usr/share/d{number // IN_DIRECTORY:05}"
        if number % IN_DIRECTORY == 0:
            parent.mkdir(parents=True)
        # A prime stride: pieces of the text that overlap are far from each other in the archive.
        start = number * 1_299_709 % (TEXT - 1 - max(sizes))
        content = text[start : start + sizes[number % len(sizes)]]
        path = parent / f"f{number % IN_DIRECTORY:02}"
        path.write_bytes(content)
        os.utime(path, (MTIME, MTIME))


def _text() -> bytes:
    """Words that compress about as well as the files of a system do."""
    source = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk0123456789_"
    words = ["".join(source.choices(letters, k=source.randint(2, 12))) for _ in range(4000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    lines = source.choices(words, weights, k=TEXT // 4)
    return " ".join(lines).encode()[:TEXT]


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
