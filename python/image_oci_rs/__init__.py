"""Turns a root filesystem into an OCI container image, every attribute of every file kept.

Example:
    A directory becomes an image layout::

        from image_oci_rs import Config, ImageSpec, Output, Platform, Source, build

        result = build(
            ImageSpec(
                sources=(Source("rootfs"),),
                name="registry.example/team/app",
                platform=Platform.from_names("aarch64"),
                config=Config(cmd=("/usr/bin/app",)),
                output=Output(layout="app"),
            )
        )
        print(result.manifest.digest)
"""

from __future__ import annotations

from .api import (
    BuildResult,
    CacheCounts,
    Counts,
    Descriptor,
    Finding,
    ImageSummary,
    Inspection,
    Layer,
    LayerSummary,
    PackageCounts,
    Progress,
    Report,
    build,
    inspect,
    validate,
)
from .compare import Difference, Explanation, FileDifference, LayerDifference, Owner, PackageDifference, diff, explain
from .errors import (
    ImageError,
    ImageOSError,
    InternalError,
    LayoutError,
    OutputExistsError,
    PackagesError,
    RootfsError,
    SpecError,
    VersionError,
)
from .multiplatform import IndexedImage, IndexResult, IndexSpec, index
from .spec import (
    DEFAULT_EXCLUDE_XATTRS,
    Archive,
    Base,
    Cache,
    Compression,
    Config,
    ImageSpec,
    LayerRule,
    Layers,
    Output,
    Platform,
    Source,
)

__all__ = [
    "explain",
    "diff",
    "PackageCounts",
    "PackageDifference",
    "Owner",
    "LayerDifference",
    "FileDifference",
    "Explanation",
    "Difference",
    "DEFAULT_EXCLUDE_XATTRS",
    "Archive",
    "Base",
    "BuildResult",
    "Cache",
    "CacheCounts",
    "Compression",
    "Config",
    "Counts",
    "Descriptor",
    "Finding",
    "ImageError",
    "ImageOSError",
    "ImageSpec",
    "ImageSummary",
    "IndexResult",
    "IndexSpec",
    "IndexedImage",
    "Inspection",
    "InternalError",
    "Layer",
    "LayerRule",
    "LayerSummary",
    "Layers",
    "LayoutError",
    "Output",
    "OutputExistsError",
    "Platform",
    "Progress",
    "Report",
    "PackagesError",
    "RootfsError",
    "Source",
    "SpecError",
    "VersionError",
    "__version__",
    "build",
    "index",
    "inspect",
    "validate",
]


def __getattr__(name: str) -> str:
    """The version, which the compiled core knows; the rest of the package needs no core."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _core

    return _core.__version__
