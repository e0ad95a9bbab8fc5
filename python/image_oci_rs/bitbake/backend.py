"""This engine as a backend of image-oci.bbclass, the class of meta-virtualization.

With OCI_IMAGE_BACKEND = "image-oci-rs", the unchanged image-oci.bbclass includes the class image-oci-rs in place of
umoci. The variables then have the defaults of image-oci.bbclass, and an empty one has the meaning that it has there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Protocol

import bb.data  # type: ignore[import-not-found,import-untyped,unused-ignore]

from .datastore import Answered, Datastore

_NAMES = ("image-oci-rs", "python3-image-oci-rs")

# image-oci.bbclass gives these to its tool only if they have a value.
_EMPTY_IS_UNSET = ("OCI_IMAGE_PORTS", "OCI_IMAGE_RUNTIME_UID", "OCI_IMAGE_STOPSIGNAL", "OCI_IMAGE_WORKINGDIR")

# Variables that image-oci.bbclass has for its own engines, with its defaults.
_OF_OTHER_ENGINES = {
    "OCI_IMAGE_APP_RECIPE": "",
    "OCI_LAYER_CACHE": "1",
    "OCI_LAYER_CACHE_DIR": "${TOPDIR}/oci-layer-cache/${MACHINE}",
}

# Dependencies that image-oci.bbclass declares for do_image_oci, in this order.
_BACKEND = "${OCI_IMAGE_BACKEND}-native:do_populate_sysroot"
_DECLARED = ("jq-native:do_populate_sysroot", "${OCI_PM_DEPENDS}")
# Dependencies that its anonymous function adds: for layers of packages, by IMAGE_PKGTYPE, and for a base image.
_PACKAGE_MANAGERS = {"ipk": ("opkg-native", "opkg-utils-native"), "rpm": ("dnf-native",), "deb": ("apt-native",)}
_WITH_BASE = "rsync-native"
# A function that its umoci backend runs in front of the task.
_INSTALLS_LAYERS = "oci_multilayer_install_packages"


class Recipe(Datastore, Protocol):
    """What this module needs of BitBake's `d` when a recipe is parsed."""

    def getVarFlag(self, name: str, flag: str, expand: bool = True) -> Any:
        """The value of a varflag, expanded or as it was written, or None."""

    def setVarFlag(self, name: str, flag: str, value: str) -> None:
        """Gives a varflag a value."""


def is_backend(d: Datastore) -> bool:
    """Whether the recipe inherits image-oci.bbclass, whose defaults and meanings then apply."""
    return bool(bb.data.inherits_class("image-oci", d))


def conflict(d: Recipe) -> str | None:
    """Returns the reason why two engines would build the image, with a remedy; None if only this one does."""
    file = os.path.basename(d.getVarFlag("IMAGE_CMD:oci", "filename", False) or "")
    other = re.fullmatch("image-oci-(.+)[.]inc", file)
    if not is_backend(d) or other is None:
        return None
    return (
        "OCI_IMAGE_BACKEND: the recipe inherits image-oci after image-oci-rs, and both would build the image: set it to"
        f" image-oci-rs in local.conf, or inherit one of the two (got '{other[1]}')"
    )


def as_image_oci_means(d: Datastore) -> Datastore:
    """The datastore, in which empty variables are unset if image-oci.bbclass treats them so."""
    if not is_backend(d):
        return d
    return Answered(d, {name: None for name in _EMPTY_IS_UNSET if not (d.getVar(name) or "").strip()})


def take_over(d: Recipe) -> None:
    """Removes from do_image_oci what image-oci.bbclass declares for its own engines."""
    if not is_backend(d):
        return
    # At blanks only: what is between them may be Python.
    depends = (d.getVarFlag("do_image_oci", "depends", False) or "").split(" ")
    _remove_declared(depends)
    for word in _added_when_parsed(d):
        _remove_last(depends, f"{word}:do_populate_sysroot")
    d.setVarFlag("do_image_oci", "depends", " ".join(depends))
    functions = (d.getVarFlag("do_image_oci", "prefuncs", False) or "").split(" ")
    _remove_last(functions, _INSTALLS_LAYERS)
    d.setVarFlag("do_image_oci", "prefuncs", " ".join(functions))


def notes(d: Datastore) -> Iterator[str]:
    """Yields a sentence for each variable that is set without effect, or with one that its author may not expect."""
    backend = d.getVar("OCI_IMAGE_BACKEND")
    if not is_backend(d):
        for variable in ("OCI_IMAGE_BACKEND", *_OF_OTHER_ENGINES):
            if d.getVar(variable) and d.getVar(variable) not in _NAMES:
                yield f"{variable} is set, and has no meaning for image-oci-rs"
        return
    if backend not in _NAMES:
        yield (
            f'OCI_IMAGE_BACKEND is "{backend}", but image-oci-rs builds the image, because it was inherited after'
            f" image-oci. To choose another backend, set OCI_IMAGE_BACKEND before image-oci is inherited"
        )
    if d.getVar("OCI_IMAGE_DEFAULTS", False) != "scarthgap":
        yield "OCI_IMAGE_DEFAULTS is set, and has no meaning where image-oci is inherited, which has its own defaults"
    if not _knows_commands(d) and d.getVar("OCI_IMAGE_CMD") and d.getVar("OCI_IMAGE_ENTRYPOINT", False) == "sh":
        yield (
            'OCI_IMAGE_CMD is passed to the entrypoint "sh", the default of this release of image-oci; to run the'
            ' command itself, set OCI_IMAGE_ENTRYPOINT = ""'
        )
    for variable, default in _OF_OTHER_ENGINES.items():
        # OCI_IMAGE_APP_RECIPE has no effect on the image in image-oci.bbclass either.
        if default and d.getVar(variable, False) not in (None, "", default):
            yield f"{variable} is set, and has no meaning for image-oci-rs"


def _knows_commands(d: Datastore) -> bool:
    """Whether image-oci.bbclass is of wrynose or later, when it got OCI_IMAGE_CMD and this variable."""
    return d.getVar("OCI_PM_DEPENDS", False) is not None


def _remove_declared(depends: list[str]) -> None:
    """Removes the words that image-oci.bbclass has in consecutive lines; the same word elsewhere is the recipe's."""
    if _BACKEND not in depends:
        return
    start = depends.index(_BACKEND)
    end = start + 1
    if tuple(depends[end : end + len(_DECLARED)]) == _DECLARED:
        end += len(_DECLARED)
    del depends[start:end]


def _added_when_parsed(d: Datastore) -> Iterator[str]:
    """Yields what the anonymous function of image-oci.bbclass has added, after all lines of the recipe."""
    layers = (d.getVar("OCI_LAYERS") or "").split()
    # Older releases have neither that function nor this variable, which is empty in the other layer modes.
    if d.getVar("OCI_PM_DEPENDS") and any(layer.split(":")[1:2] == ["packages"] for layer in layers):
        yield from _PACKAGE_MANAGERS.get(d.getVar("IMAGE_PKGTYPE") or "ipk", ())
    # It sets one of these where it finds a base image.
    if d.getVar("_OCI_BASE_RECIPE") or d.getVar("_OCI_BASE_PATH"):
        yield _WITH_BASE


def _remove_last(words: list[str], word: str) -> None:
    if word in words:
        del words[len(words) - 1 - words[::-1].index(word)]
