"""Variables whose names start with OCI_ and that nothing reads, because they are misspelt.

A container ran as root because a recipe set OCI_IMAGE_USER.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Protocol

from .hooks import Recipe

NAMES = frozenset(
    """
    OCI_BASE_IMAGE OCI_BASE_IMAGE_TAG OCI_BASE_MODE OCI_CACHE_DIR OCI_CACHE_LIMIT
    OCI_CONFIGURED_IMAGEDEPENDS OCI_DOCKER_ARCHIVES
    OCI_IMAGE_ANNOTATIONS OCI_IMAGE_APP_RECIPE OCI_IMAGE_ARCH OCI_IMAGE_AUTHOR OCI_IMAGE_AUTHOR_EMAIL
    OCI_IMAGE_AUTO_LABELS OCI_IMAGE_BACKEND OCI_IMAGE_BRANCH OCI_IMAGE_BUILD_DATE OCI_IMAGE_CMD OCI_IMAGE_DEFAULTS
    OCI_IMAGE_ENTRYPOINT OCI_IMAGE_ENTRYPOINT_ARGS OCI_IMAGE_ENV_VARS OCI_IMAGE_EXTRA_TAGS OCI_IMAGE_LABELS
    OCI_IMAGE_NAME OCI_IMAGE_OS OCI_IMAGE_PORTS OCI_IMAGE_REVISION OCI_IMAGE_RUNTIME_UID OCI_IMAGE_STOPSIGNAL
    OCI_IMAGE_SUBARCH OCI_IMAGE_TAG OCI_IMAGE_TAR_OUTPUT OCI_IMAGE_VOLUMES OCI_IMAGE_WORKINGDIR OCI_IMAGE_YOCTO_LABELS
    OCI_INDEX_DEPLOY_DIR OCI_INDEX_IMAGES OCI_INDEX_IMAGE_TAG OCI_LAYERS OCI_LAYER_CACHE OCI_LAYER_CACHE_DIR
    OCI_LAYER_COMPRESSION OCI_LAYER_COMPRESSION_LEVEL OCI_LAYER_LOCK OCI_LAYER_MAX OCI_LAYER_MISSING OCI_LAYER_MODE
    OCI_LAYER_PACKAGES OCI_NATIVE_DEPENDS OCI_RESERVED_VARFLAGS OCI_THREADS OCI_UPDATE_BUDGET OCI_UPDATE_FROM
    """.split()
)
"""Every variable of the classes of this layer and of image-oci.bbclass that a recipe or configuration sets."""

# Variables of other classes, and those that image-oci.bbclass computes.
_OTHERS = re.compile(
    "OCI_(?:ARCH_TO_PLATFORM|AUTO_LABELS|IMAGE_BACKEND_INC|PM_DEPENDS|REUSE_IMAGE|LAYER_COUNT|LAYER_[0-9]+_(?:NAME|ROOTFS)"
    "|(?:CONTAINER|FETCH|MULTIARCH|NONROOT)_.*)"
)

# Names from docker's words, the OCI specifications or other classes, and the variable for each.
_MEANT: Mapping[str, str] = {
    "OCI_BASE": "OCI_BASE_IMAGE",
    "OCI_BASE_TAG": "OCI_BASE_IMAGE_TAG",
    "OCI_IMAGE_ARCHITECTURE": "OCI_IMAGE_ARCH",
    "OCI_IMAGE_ARCH_VARIANT": "OCI_IMAGE_SUBARCH",
    "OCI_IMAGE_ARGS": "OCI_IMAGE_CMD",
    "OCI_IMAGE_BASE": "OCI_BASE_IMAGE",
    "OCI_IMAGE_COMMAND": "OCI_IMAGE_CMD",
    "OCI_IMAGE_COMPRESSION": "OCI_LAYER_COMPRESSION",
    "OCI_IMAGE_CREATED": "OCI_IMAGE_BUILD_DATE",
    "OCI_IMAGE_ENV": "OCI_IMAGE_ENV_VARS",
    "OCI_IMAGE_ENVIRONMENT": "OCI_IMAGE_ENV_VARS",
    "OCI_IMAGE_EXPOSE": "OCI_IMAGE_PORTS",
    "OCI_IMAGE_EXPOSED_PORTS": "OCI_IMAGE_PORTS",
    "OCI_IMAGE_GID": "OCI_IMAGE_RUNTIME_UID",
    "OCI_IMAGE_LAYERS": "OCI_LAYERS",
    "OCI_IMAGE_MOUNTS": "OCI_IMAGE_VOLUMES",
    "OCI_IMAGE_PLATFORM": "OCI_IMAGE_ARCH",
    "OCI_IMAGE_RUNTIME_GID": "OCI_IMAGE_RUNTIME_UID",
    "OCI_IMAGE_RUNTIME_USER": "OCI_IMAGE_RUNTIME_UID",
    "OCI_IMAGE_UID": "OCI_IMAGE_RUNTIME_UID",
    "OCI_IMAGE_USER": "OCI_IMAGE_RUNTIME_UID",
    "OCI_IMAGE_VARIANT": "OCI_IMAGE_SUBARCH",
    "OCI_IMAGE_VERSION": "OCI_IMAGE_TAG",
    "OCI_IMAGE_WORKDIR": "OCI_IMAGE_WORKINGDIR",
}
_PREFIXES = ("OCI_BASE_", "OCI_IMAGE_", "OCI_LAYER")


class Listed(Recipe, Protocol):
    """A datastore whose variables can be listed."""

    def keys(self) -> Any:
        """The names of all variables."""


def warnings(d: Listed) -> list[str]:
    """A sentence for each variable that seems to be misspelt."""
    names = {name.partition(":")[0] for name in d.keys() if name.startswith("OCI_")}
    nearest = {name: _nearest(name) for name in sorted(names) if not is_known(name)}
    suspects = {name: meant for name, meant in nearest.items() if meant and not _is_described(d, name)}
    read = set(_read_by_others(d, suspects)) if suspects else set()
    return [
        f"{name} is set, but nothing reads it: did you mean {meant}?"
        f" If it has another purpose, describe it in {name}[doc]."
        for name, meant in suspects.items()
        if name not in read
    ]


def is_known(name: str) -> bool:
    """Whether a variable belongs to this layer, to image-oci.bbclass or to another known class."""
    return name in NAMES or _OTHERS.fullmatch(name) is not None


def _is_described(d: Listed, name: str) -> bool:
    """Whether a variable has a [doc] flag, so that it is set on purpose, or is a function."""
    return bool(d.getVarFlag(name, "doc", False) or d.getVarFlag(name, "func", False))


def _nearest(name: str) -> str | None:
    """The known name that is meant; of a name that is not clearly one of this class, only a very similar one."""
    candidates = {**{known: known for known in NAMES}, **_MEANT}
    best = max(sorted(candidates), key=lambda known: _similarity(name, known))
    is_family = name.startswith(_PREFIXES) and name.split("_")[:2] == best.split("_")[:2]
    return candidates[best] if _similarity(name, best) >= (0.6 if is_family else 0.85) else None


def _similarity(name: str, known: str) -> float:
    """A number from 0 to 1. The prefix that all names of a family share does not count."""
    words, known_words = name.split("_"), known.split("_")
    shared = len(os.path.commonprefix([words[:2], known_words[:2]]))
    return SequenceMatcher(None, "_".join(words[shared:]), "_".join(known_words[shared:])).ratio()


def _read_by_others(d: Listed, names: Mapping[str, object]) -> Iterator[str]:
    """Yields the names that occur in another variable, a function or a varflag."""
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
    for variable in d.keys():
        texts = [d.getVar(variable, False), *(d.getVarFlags(variable) or {}).values()]
        for text in texts:
            if isinstance(text, str):
                yield from (name for name in pattern.findall(text) if name != variable.partition(":")[0])
