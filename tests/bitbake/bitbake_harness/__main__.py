"""Builds an image with the class image-oci-rs: see the text of the package itself."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from .kit import Kit


def main() -> int:
    """Prints what was deployed; exits with 1, and everything that BitBake said, if a task fails."""
    parser = argparse.ArgumentParser(prog="bitbake_harness", description=__doc__)
    parser.add_argument("--rootfs", type=Path, required=True, help="directory or tar archive")
    parser.add_argument("--deploy", type=Path, required=True, metavar="DIR", help="where images go")
    parser.add_argument("--name", default="app", help="name of the recipe (%(default)s)")
    parser.add_argument("--inherit", default="image image-oci-rs", metavar="CLASSES")
    parser.add_argument("--fstypes", default="oci", metavar="TYPES", help="IMAGE_FSTYPES (%(default)s)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="VARIABLE=VALUE",
        help="one more line of the recipe",
    )
    parser.add_argument("--conf", type=Path, metavar="FILE", help="configuration that is read last")
    parser.add_argument("--verbose", action="store_true", help="print the log of do_image_oci")
    arguments = parser.parse_args()

    lines = [
        f"inherit {arguments.inherit}",
        assignment("IMAGE_FSTYPES", arguments.fstypes),
        assignment("ROOTFS_COMMAND", rootfs_command(arguments.rootfs.resolve())),
        *(assignment(*setting.split("=", 1)) for setting in arguments.set),
    ]
    with Kit.make() as kit:
        conf = arguments.conf.read_text() if arguments.conf else ""
        outcome = kit.build_directory("\n".join(lines) + "\n", arguments.name, conf).run()
        print(outcome.output, end="", file=sys.stderr)
        if not outcome.succeeded:
            return 1
        if arguments.verbose:
            print(outcome.log("do_image_oci"), end="", file=sys.stderr)
        shutil.copytree(outcome.deployed, arguments.deploy, symlinks=True, dirs_exist_ok=True)
        for path in sorted(outcome.deployed.iterdir()):
            print(arguments.deploy / path.name)
    return 0


def rootfs_command(rootfs: Path) -> str:
    """The shell command that fills IMAGE_ROOTFS, which is the current directory then."""
    if rootfs.is_dir():
        return f"cp -a '{rootfs}/.' ."
    return f"tar --xattrs --xattrs-include=* --numeric-owner -xpf '{rootfs}'"


def assignment(variable: str, value: str) -> str:
    """A line that gives a variable or varflag a value.

    Raises:
        ValueError: BitBake has no way to write the value.
    """
    for quote in '"', "'":
        # BitBake takes what is between the first and the last quote, but not with one more in it.
        if value.count(quote) != 1 and "\n" not in value and not value.endswith("\\"):
            return f"{variable} = {quote}{value}{quote}"
    raise ValueError(f"{variable}: {value!r} cannot be written in a recipe")


if __name__ == "__main__":
    sys.exit(main())
