"""The variant of 32-bit ARM that a tune of OE-core builds for.

A variant is the version of the ARM architecture: v5, v6, v7 or v8. A tune names it in one of three places:

    TUNE_FEATURES        arm armv7a vfp         tunes of an architecture: armv7a
    MACHINEOVERRIDES     armv7a:qemuarm         tunes of a core: cortexa8, whose TUNE_FEATURES are `arm vfp cortexa8`
    PACKAGE_EXTRA_ARCHS  armv8m-base cortexm23  cores without an override: cortexm23, cortexm33

This runs while recipes are parsed, so it imports nothing that it does not need.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..platforms import Platform
    from .datastore import Datastore

_PLACES = ("TUNE_FEATURES", "MACHINEOVERRIDES", "PACKAGE_EXTRA_ARCHS")
# armv5, armv7ve, armv8-2a, armv8m-base; not the name of a machine that happens to begin like one.
_ARCHITECTURE = re.compile("armv([0-9]+)(?:-[0-9]+)?[a-z]{0,2}(?:-(?:base|main))?")
# OCI has no name for armv4.
_VERSIONS_WITH_A_VARIANT = range(5, 9)


def arm_variant(d: Datastore) -> str:
    """Returns v5, v6, v7 or v8 for 32-bit ARM; empty for other architectures and where the tune names no version.

    The first place that names a version counts, and the newest version there: a program may use what that one adds.
    """
    # Big-endian ARM (armeb) has no variants. arm64 has v8, which runtimes treat like none.
    if d.getVar("TARGET_ARCH") != "arm":
        return ""
    for variable in _PLACES:
        words = re.split(r"[\s:]+", d.getVar(variable) or "")
        versions = [int(match[1]) for match in map(_ARCHITECTURE.fullmatch, words) if match]
        if versions:
            return f"v{max(versions)}" if max(versions) in _VERSIONS_WITH_A_VARIANT else ""
    return ""


def missing_variant_note(d: Datastore, platform: Platform) -> str | None:
    """Returns a note for the log if the image is for 32-bit ARM and has no variant; None for every other image."""
    if platform.architecture != "arm" or platform.variant is not None:
        return None
    return (
        "OCI_IMAGE_SUBARCH is empty, so the image is for arm without a variant, which runtimes treat as v7. The default"
        f' is the ARM version of the tune, and "{d.getVar("TUNE_FEATURES")}" (TUNE_FEATURES) belongs to none from v5 to'
        " v8. Set OCI_IMAGE_SUBARCH if that is wrong"
    )
