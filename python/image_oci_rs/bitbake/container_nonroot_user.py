"""Recipes that inherit meta-virtualization's container-nonroot-user.bbclass.

That class changes the finished layout with umoci, which this engine does not need: it packs the root filesystem, where
extrausers.bbclass has made the user. So its functions leave the task, and its directories are made before the layers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..display import error_text
from ..errors import ImageError
from .accounts import read_ids
from .datastore import Reader
from .rootfs_path import OwnedDirectory, make_directory

if TYPE_CHECKING:
    from .datastore import Datastore

_CLASS = "container-nonroot-user"
# Functions of that class, and the flags of do_image_oci in which it puts them.
_FUNCTIONS = {"oci_nonroot_inject_user": "prefuncs", "fix_oci_home_perms": "postfuncs"}


def adopt(d: Any) -> bool:
    """Takes the functions of the class out of do_image_oci, in whichever order the recipe inherits its classes.

    Returns:
        Whether the recipe inherits the class, so that `make_directories` has to run at the end of do_rootfs.
    """
    if all(d.getVar(function, False) is None for function in _FUNCTIONS):
        return False
    for function, flag in _FUNCTIONS.items():
        functions = d.getVarFlag("do_image_oci", flag, False) or ""
        d.setVarFlag("do_image_oci", flag, re.sub(rf"(?<!\S){function}(?!\S)", "", functions))
    if d.getVar("OCI_LAYER_MODE") == "multi" and "shadow" not in _packages(d):
        # extrausers.bbclass installs it beside the user. With the old engine no layer had it.
        d.setVar("PACKAGE_INSTALL:remove", "shadow")
    return True


def make_directories(d: Datastore) -> None:
    """Gives the image what the class gives it: the home directory, and those of NONROOT_OWNED_DIRS.

    Raises:
        bb.BBHandledException: Something else than a directory is in the way.
    """
    root = Path(d.getVar("IMAGE_ROOTFS"))
    bb.note(f"{_CLASS}: image-oci-rs makes the directories here, and not with umoci in the finished image")
    try:
        read = Reader(d)
        user, uid, gid = read.text("NONROOT_USER"), read.number("NONROOT_UID"), read.number("NONROOT_GID")
        if (user, uid) not in read_ids(root / "etc/passwd"):
            bb.warn(f"{_CLASS}: /etc/passwd has no user {user} with the number {uid}; is base-passwd in the image?")
        paths = (path.strip("/") for path in read.text("NONROOT_OWNED_DIRS").split())
        directories = [OwnedDirectory(f"/home/{user}", uid or 0, gid or 0, 0o700)]
        directories += [OwnedDirectory(f"/{path}", uid or 0, gid or 0, 0o755) for path in paths]
        for directory in directories:
            bb.note(f"{_CLASS}: {make_directory(root, directory)} belongs to {user} ({directory.uid}:{directory.gid})")
    except (ImageError, OSError) as error:
        bb.fatal(error_text(error))


def _packages(d: Datastore) -> list[str]:
    """The packages that the recipe itself names."""
    return re.split(r"[\s:+,]+", f"{d.getVar('IMAGE_INSTALL')} {d.getVar('OCI_LAYERS')}")
