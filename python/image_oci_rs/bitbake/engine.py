"""Whether the installed package, which does the work of a task, belongs to the layer, whose class calls it.

The class loads this module from the layer. A package of another version is an error. One of the same version with other
files, such as the wheel of a release below a later commit of the layer, is a warning: a variable that only one of them
knows has no effect.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..version import VERSION, files_digest
from .datastore import Datastore


def check(d: Datastore, package: str) -> None:
    """Compares the installed package with the layer, which this module is part of.

    Args:
        d: The task's datastore.
        package: The name of the installed package, which is imported already.

    Raises:
        bb.BBHandledException: The versions differ.
    """
    try:
        installed = importlib.import_module(f"{package}.version")
        version, digest = installed.VERSION, installed.files_digest()
    except ImportError:
        version, digest = "of an unknown version", ""
    place = Path(str(importlib.import_module(package).__file__)).parent
    layer = Path(__file__).resolve().parents[3]
    if version != VERSION:
        bb.fatal(f"The layer {layer} is version {VERSION}, and the engine {place} is {version}. {_remedy(d, layer)}")
    if digest != files_digest():
        bb.warn(
            f"The layer {layer} and the engine {place} are both version {VERSION}, but not of the same commit:"
            f" a variable that only one of them knows has no effect. {_remedy(d, layer)}"
        )


def _remedy(d: Datastore, layer: Path) -> str:
    if d.getVar("OCI_NATIVE_DEPENDS"):
        return (
            f"Run make wheel in the layer and set OCI_ENGINE_WHEEL to the file in {layer}/dist, or check out the"
            " commit of the layer that the wheel was built from. If no wheel is used, run bitbake -c cleansstate"
            " python3-image-oci-rs-native"
        )
    return (
        "Install the layer's package in the Python that runs bitbake: run make wheel in the layer, then pip install"
        f" --force-reinstall {layer}/dist/*.whl"
    )
