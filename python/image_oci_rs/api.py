"""Build, check and look at images: what the compiled core does, with typed arguments and results.

The core is loaded by the functions and not by the module, so that a program whose interpreter can't
load it is free to hand an `ImageSpec` to another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .parsing import check_text
from .records import Record
from .spec import ImageSpec


@dataclass(frozen=True)
class Progress:
    """Where a build stands.

    Attributes:
        entries: Entries packed so far.
        bytes: Bytes of file contents packed so far.
        total_entries: All entries, or None while they are still being counted.
        total_bytes: All bytes of file contents, or None while they are still being counted.
    """

    entries: int
    bytes: int
    total_entries: int | None
    total_bytes: int | None

    @property
    def fraction(self) -> float | None:
        """How much is done, from 0.0 to 1.0; None while the totals are still being counted."""
        if self.total_entries is None or self.total_bytes is None:
            return None
        done, total = self.bytes, self.total_bytes
        if total == 0:
            done, total = self.entries, self.total_entries
        return min(done / total, 1.0) if total else 1.0


@dataclass(frozen=True)
class Descriptor(Record):
    """A blob: its media type, its digest and its size in bytes.

    Source: image-spec v1.1.1, descriptor.md.
    """

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True)
class Layer(Record):
    """A layer that was built.

    Attributes:
        media_type: The media type of its blob.
        digest: The digest of its blob.
        size: The size of its blob in bytes.
        diff_id: The digest of its uncompressed bytes.
        uncompressed_size: How many those are.
        entries: How many entries it holds.
        name: Its name in the plan, or None where the root filesystem is not split.

    Source: image-spec v1.1.1, descriptor.md, and config.md, Layer DiffID.
    """

    media_type: str
    digest: str
    size: int
    diff_id: str
    uncompressed_size: int
    entries: int
    name: str | None = None


@dataclass(frozen=True)
class Counts(Record):
    """How many of each there are in the layers, and how many were left out."""

    files: int
    directories: int
    symlinks: int
    hard_links: int
    devices: int
    fifos: int
    sockets_left_out: int
    xattrs: int
    xattrs_left_out: int


@dataclass(frozen=True)
class CacheCounts(Record):
    """What a cache has done for a build.

    Attributes:
        hits: Members of layers that were there.
        misses: Members that had to be compressed.
        failures: Entries that were corrupt, or could not be read or written, which costs nothing but time.
    """

    hits: int
    misses: int
    failures: int


@dataclass(frozen=True)
class PackageCounts(Record):
    """How the packages and the paths of a root filesystem fit together.

    Attributes:
        source: Where it is known from, as `Layers.packages` has it.
        packages: Packages.
        without_files: Those of them that own no path.
        owned: Files, links and devices that a package owns.
        unowned: Those that no package owns.
        claimed_twice: Those that several packages claim.
        missing: Claims on paths that are not there.
    """

    source: str
    packages: int
    without_files: int
    owned: int
    unowned: int
    claimed_twice: int
    missing: int


@dataclass(frozen=True)
class BuildResult(Record):
    """What a build has made.

    Attributes:
        name: The full name, for example `docker.io/library/app:latest`.
        manifest: The manifest, whose digest is the image's.
        config: The configuration, whose digest is docker's image id.
        layers: The layers, lowest first.
        layout: The path of the layout directory, or None.
        archives: The paths of the archives.
        created: The image's time, RFC 3339.
        counts: What is in the layers.
        content_bytes: The size of all file contents in bytes.
        notes: What a user should know, one sentence each, for example which socket was left out.
        seconds: How long the build took.
        cache: What the cache has done, or None where there is none.
        lock: The path of the lock file, or None where there was nothing new to write into it.
        packages: What is known of packages, or None where the root filesystem is not split.
        warnings: Problems that did not fail the build, one sentence each, for example a layer's missing path.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {
        "manifest": Descriptor,
        "config": Descriptor,
        "layers": Layer,
        "counts": Counts,
        "cache": CacheCounts,
        "packages": PackageCounts,
    }

    name: str
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Layer, ...]
    layout: str | None
    archives: tuple[str, ...]
    created: str
    counts: Counts
    content_bytes: int
    notes: tuple[str, ...]
    seconds: float
    cache: CacheCounts | None = None
    lock: str | None = None
    packages: PackageCounts | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding(Record):
    """Something that is wrong with an image.

    Attributes:
        code: What kind of thing, for example `layer-digest`; does not change between releases.
        subject: The digest or path it is about.
        message: A sentence that names what was found and what should be there.
    """

    code: str
    subject: str
    message: str


@dataclass(frozen=True)
class Report(Record):
    """What checking an image has found.

    Attributes:
        path: The layout directory or archive.
        images: How many images were checked.
        blobs: How many blobs.
        bytes: Their size.
        findings: Everything that is wrong.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {"findings": Finding}

    path: str
    images: int
    blobs: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True)
class LayerSummary(Record):
    """A layer of an image that was read, as its manifest and its configuration describe it."""

    media_type: str
    digest: str
    size: int
    diff_id: str


@dataclass(frozen=True)
class ImageSummary(Record):
    """An image that was read; JSON objects of the image-spec are as the image holds them.

    Attributes:
        name: The full name, or None where the index gives none.
        tag: The tag, or None where the index gives none.
        manifest: The manifest.
        config_descriptor: The configuration.
        layers: The layers, lowest first.
        platform: The platform object of the configuration or the index.
        created: The image's time, RFC 3339, or None.
        author: Who made it, or None.
        config: The `config` object: User, ExposedPorts, Env, Entrypoint, Cmd and so on.
        annotations: The annotations of the manifest.
        history: The history, oldest first.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {
        "manifest": Descriptor,
        "config_descriptor": Descriptor,
        "layers": LayerSummary,
    }

    name: str | None
    tag: str | None
    manifest: Descriptor
    config_descriptor: Descriptor
    layers: tuple[LayerSummary, ...]
    platform: Mapping[str, Any]
    created: str | None
    author: str | None
    config: Mapping[str, Any]
    annotations: Mapping[str, str]
    history: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Inspection(Record):
    """What a layout or an archive holds."""

    json_parts: ClassVar[Mapping[str, type[Record]]] = {"images": ImageSummary}

    path: str
    images: tuple[ImageSummary, ...]


def build(spec: ImageSpec, progress: Callable[[Progress], object] | None = None) -> BuildResult:
    """Builds an image.

    The interpreter is free for other threads meanwhile. Outputs get their names one by one when all
    are complete: a build that fails or is interrupted leaves nothing incomplete under them.

    Args:
        spec: What to build.
        progress: Called about twenty times a second from this thread. What it raises ends the build
            and is raised again.

    Returns:
        What was made.

    Raises:
        OutputExistsError: An output exists and is not to be replaced.
        RootfsError: A source can't be packed.
        PackagesError: What tells which package owns which path can't be understood.
        LayoutError: The base image is broken, or it is not clear which one is meant.
        SpecError: A value is wrong that can only be known now.
        ImageOSError: The operating system refused something.
        InternalError: This package has a defect.
        ImportError: The compiled core can't be loaded.
        KeyboardInterrupt: Control-C was pressed; so pass what other signal handlers raise.
    """
    from . import _core

    report = None if progress is None else lambda *counts: progress(Progress(*counts))
    return BuildResult.loads(_core.build(spec.dumps(), report))


def validate(path: str | os.PathLike[str]) -> Report:
    """Checks an image by computing everything again from its bytes.

    Args:
        path: A layout directory or an archive of one; not a docker-archive alone.

    Returns:
        Everything that is wrong, if anything.

    Raises:
        LayoutError: There is no image to check.
        ImageOSError: The operating system refused something.
        ImportError: The compiled core can't be loaded.

    Source: image-spec v1.1.1, all of it.
    """
    from . import _core

    return Report.loads(_core.validate(check_text(os.fspath(path), "path")))


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Reads what an image says about itself.

    Args:
        path: A layout directory, an archive of one, or a docker-archive.

    Returns:
        Its images.

    Raises:
        LayoutError: The image is broken.
        ImageOSError: The operating system refused something.
        ImportError: The compiled core can't be loaded.
    """
    from . import _core

    return Inspection.loads(_core.inspect(check_text(os.fspath(path), "path")))
