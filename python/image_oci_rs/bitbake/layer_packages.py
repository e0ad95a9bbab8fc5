"""Installs the packages that OCI_LAYERS names, so that a recipe names each of them once.

Called by classes/image-oci-rs.bbclass at parse time, when BitBake can still build what is missing. At that time only
names count: a recipe cannot look into another one.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatch
from glob import escape, glob
from typing import Protocol

from ..spec import parse_layer_rules
from .datastore import Datastore, Reader

# debian.bbclass renames a library after its soname when it is packaged, zlib to libz1. BitBake does not know such a
# name, and it ends the build. Ordinary names have the same form, libxml2 for example.
_MAY_BE_RENAMED = re.compile(r"lib.*[0-9].*")


class ParsedRecipe(Datastore, Protocol):
    """A datastore that can still be changed."""

    def appendVar(self, name: str, value: str) -> None:
        """Adds to the value of a variable, as `:append` does."""


def install(d: ParsedRecipe) -> None:
    """Adds the packages of the `packages` layers to IMAGE_INSTALL, without those that are there already.

    A name that debian.bbclass may have made is added only if a recipe of this name exists. All others of these are left
    to do_image_oci: a library is in the root filesystem if a program needs it, and its absence is an error there.

    Args:
        d: The recipe's datastore. OCI_LAYERS must be valid.
    """
    read = Reader(d)
    if read.text("OCI_LAYER_MODE") != "multi":
        return
    known = read.text("IMAGE_INSTALL").split()
    missing = [name for name in layer_packages(read) if name not in known and _can_be_built(read, name)]
    if missing:
        d.appendVar("IMAGE_INSTALL", f" {' '.join(missing)}")


def layer_packages(read: Reader) -> tuple[str, ...]:
    """The names in all `packages` layers, each once, in their order."""
    rules = parse_layer_rules(read.words("OCI_LAYERS"))
    return tuple(dict.fromkeys(name for rule in rules if rule.type == "packages" for name in rule.content))


def _can_be_built(read: Reader, name: str) -> bool:
    # lib32-busybox is busybox of the multilib lib32.
    for multilib in read.text("MULTILIB_VARIANTS").split():
        name = name.removeprefix(f"{multilib}-")
    return _MAY_BE_RENAMED.fullmatch(name) is None or _has_recipe(read, name)


def _has_recipe(read: Reader, name: str) -> bool:
    """Whether BBFILES has a recipe of this name, which is the only thing about other recipes that is known so early."""
    for pattern in read.text("BBFILES").split():
        for path in glob(f"{os.path.dirname(pattern)}/{escape(name)}*.bb"):
            stem = os.path.basename(path).removesuffix(".bb")
            if stem.partition("_")[0] == name and fnmatch(path, pattern):
                return True
    return False
