"""What an update from one image to another costs, and in which layer a file is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .parsing import check_text
from .records import Record


@dataclass(frozen=True)
class LayerDifference(Record):
    """A layer of the new image.

    Attributes:
        digest: Its digest.
        size: Its size in bytes.
        name: Its name in the plan, or None.
        stays: Whether the old image has it too.
    """

    digest: str
    size: int
    name: str | None
    stays: bool


@dataclass(frozen=True)
class PackageDifference(Record):
    """A package that changed, or files of which did.

    Attributes:
        name: Its name; empty for files that no package owns.
        old: Its version in the old image, or None.
        new: Its version in the new image, or None.
        files: How many of its files differ.
        bytes: The size of those of them that are added or changed, uncompressed.
    """

    name: str
    old: str | None
    new: str | None
    files: int
    bytes: int


@dataclass(frozen=True)
class FileDifference(Record):
    """A file that differs.

    Attributes:
        path: Its path in the image.
        change: added, removed or changed.
        attributes: What changed: kind, content, mode, owner, group, xattrs, mtime, target, device.
    """

    path: str
    change: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Difference(Record):
    """The difference between two images.

    Attributes:
        old: The digest of the old image's manifest.
        new: The digest of the new one's.
        layers: The layers of the new image, lowest first.
        pulled: The bytes of those that the old image has not.
        total: The bytes of all of them.
        packages: What became of packages, by name.
        files: What became of files, by path.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {
        "layers": LayerDifference,
        "packages": PackageDifference,
        "files": FileDifference,
    }

    old: str
    new: str
    layers: tuple[LayerDifference, ...]
    pulled: int
    total: int
    packages: tuple[PackageDifference, ...]
    files: tuple[FileDifference, ...]


@dataclass(frozen=True)
class Owner(Record):
    """A package: its name, version, recipe, and the installed packages that it needs."""

    name: str
    version: str
    recipe: str
    depends: tuple[str, ...]


@dataclass(frozen=True)
class Explanation(Record):
    """Where in an image a file is.

    Attributes:
        path: The file, links on the way followed.
        layer: The number of its layer, counted from 1 at the lowest.
        layers: How many layers there are.
        digest: The digest of the layer.
        size: Its size in bytes.
        name: Its name in the plan, or None.
        why: Why its files make a layer, or None.
        contains: The packages in it, where the image says so.
        owner: The package that owns the file, or None.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {"owner": Owner}

    path: str
    layer: int
    layers: int
    digest: str
    size: int
    name: str | None
    why: str | None
    contains: tuple[str, ...]
    owner: Owner | None = None


def diff(old: str | os.PathLike[str], new: str | os.PathLike[str], packages: str = "auto") -> Difference:
    """Compares two images, by their layers, packages and files.

    Args:
        old: A layout directory or an archive with one image.
        new: Another.
        packages: Where it is known which package owns a file, as `Layers.packages` has it.

    Returns:
        What differs.

    Raises:
        LayoutError: An image is broken, or there are several.
        PackagesError: A package database can't be understood.
        SpecError: `packages` is wrong.
        ImageOSError: The operating system refused something.
        ImportError: The compiled core can't be loaded.
    """
    from . import _core

    before, after = check_text(os.fspath(old), "old"), check_text(os.fspath(new), "new")
    return Difference.loads(_core.difference(before, after, check_text(packages, "packages")))


def explain(path: str | os.PathLike[str], file: str, packages: str = "auto") -> Explanation:
    """Tells in which layer of an image a file is, and why.

    Args:
        path: A layout directory or an archive with one image.
        file: The path of a file in it, from its root on, with or without a slash before it.
        packages: As for `diff`.

    Returns:
        Where it is.

    Raises:
        LayoutError: The image is broken, or has no such file.
        PackagesError: A package database can't be understood.
        SpecError: `packages` is wrong.
        ImageOSError: The operating system refused something.
        ImportError: The compiled core can't be loaded.
    """
    from . import _core

    image = check_text(os.fspath(path), "path")
    return Explanation.loads(_core.explain(image, check_text(file, "file"), check_text(packages, "packages")))
