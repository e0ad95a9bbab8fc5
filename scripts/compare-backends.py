#!/usr/bin/env python3
"""Builds a recipe with OCI_IMAGE_BACKEND = "umoci" and with "image-oci-rs", and prints what differs.

    . oe-init-build-env
    ../image-oci-rs/scripts/compare-backends.py container-base

The recipe inherits meta-virtualization's image-oci; neither it nor the configuration is changed. Compared are the
configuration, every attribute of every file, and the names of the deployed files. Afterwards the image of image-oci-rs
is deployed, and --keep has both layouts.

The exit code is that of diff: 0 if nothing differs, 1 if something does, 2 if a build fails.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]

from backends.build import Build, fail  # noqa: E402
from backends.comparison import NAMED_FILES, compare  # noqa: E402


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", metavar="RECIPE")
    parser.add_argument("--old", default="umoci", metavar="BACKEND", help="compare with this backend (%(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave both layouts in DIR")
    parser.add_argument("--all", action="store_true", help=f"name all files, not {NAMED_FILES} of each kind")
    parser.add_argument("--verbose", action="store_true", help="show what bitbake prints")
    arguments = parser.parse_args()
    if shutil.which("bitbake") is None:
        fail("bitbake is not on PATH: source oe-init-build-env first")
    with directory(arguments.keep) as kept:
        build = Build(arguments.recipe, kept, arguments.verbose)
        # do_rootfs empties the directory of images, where another backend may have left its own.
        old = build.with_backend(arguments.old, again_from="rootfs")
        new = build.with_backend("image-oci-rs")
        text, differs = compare(old, new, None if arguments.all else NAMED_FILES)
    print(text)
    return 1 if differs else 0


@contextmanager
def directory(given: Path | None) -> Iterator[Path]:
    """The directory for both layouts."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="compare-backends-") as made:
        yield Path(made)


if __name__ == "__main__":
    sys.exit(main())
