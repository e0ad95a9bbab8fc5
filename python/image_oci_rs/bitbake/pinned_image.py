"""An image of a registry that a digest pins, as a directory of blobs, and the layout that is made of it.

The digest is of a manifest, or of an index of manifests for several platforms. Everything else follows from it: each
document names the next ones by their digests. So the whole directory can be checked at any time, with the pin alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LayoutError
from ..platforms import Platform

MAX_DOCUMENT = 4 << 20
"""Bytes of a manifest, index or configuration: what registries accept at most."""
MAX_BLOBS = 10_000
"""Blobs of an image, with those of all its platforms."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NAMES_BLOBS = re.compile(
    r"application/vnd\.(oci\.image\.(manifest|index)\.v1|docker\.distribution\.manifest(\.list)?\.v2)\+json"
)
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# Variants without a name, as image-spec and containerd have it; 32-bit arm has none that goes without saying.
_PLAIN_VARIANTS = {"amd64": "v1", "arm64": "v8"}


@dataclass(frozen=True)
class Blob:
    """A blob as another document describes it.

    Attributes:
        digest: `sha256:` and 64 hexadecimal digits.
        size: Its length in bytes; None if only the digest is known.
        media_type: Its type; empty if unknown.
        platform: What an index says it is for, as `os/architecture/variant`.
    """

    digest: str
    size: int | None = None
    media_type: str = ""
    platform: str = ""


@dataclass(frozen=True)
class PinnedImage:
    """A directory that holds a pinned image.

    Attributes:
        directory: Its `blobs/sha256` has a file for each blob.
        pin: The digest.
        platform: The platform whose image is there; None for all of an index.
    """

    directory: Path
    pin: str
    platform: Platform | None

    def path(self, digest: str) -> Path:
        """The file of a blob.

        Raises:
            LayoutError: The digest is of another form.
        """
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise LayoutError(f"{digest!r} is no sha256 digest", str(self.directory))
        return self.directory / "blobs/sha256" / match[1]

    def verify(self) -> tuple[Blob, ...]:
        """Computes the digest of every blob again, beginning with the pin.

        Returns:
            The blobs of the image, first the one that stands for all: the manifest of the platform, or what is pinned.

        Raises:
            LayoutError: A blob is missing or has another digest, or there is no image for the platform.
        """
        root = self.chosen()
        blobs = {root.digest: root}
        queue = [root]
        while queue:
            for child in _children(self._document(queue.pop()), str(self.directory)):
                if child.digest in blobs:
                    continue
                blobs[child.digest] = child
                if len(blobs) > MAX_BLOBS:
                    raise LayoutError(f"{self.pin} has more than {MAX_BLOBS} blobs", str(self.directory))
                if _is_document(child):
                    queue.append(child)
                else:
                    self._check(child)
        if self.platform and root.digest == self.pin:
            self._check_platform(self.platform)
        return tuple(blobs.values())

    def chosen(self) -> Blob:
        """The manifest of the platform, out of the index that is pinned; or what is pinned, if that is a manifest.

        Raises:
            LayoutError: The index has no image for the platform; or what is pinned is missing or has another digest.
        """
        pinned = self._document(Blob(self.pin))
        if self.platform is None or "manifests" not in pinned:
            return Blob(self.pin)
        entries = list(_children(pinned, str(self.directory)))
        fitting = [(rank, entry) for entry in entries if (rank := _rank(self.platform, entry.platform)) is not None]
        if not fitting:
            # Attestations are for no platform.
            known = dict.fromkeys(entry.platform for entry in entries if entry.platform not in ("", "unknown/unknown"))
            offers = ", ".join(known) or "nothing"
            raise LayoutError(f"{self.pin} has no image for {_text(self.platform)}, only for {offers}", self.pin)
        return max(fitting, key=lambda pair: pair[0])[1]

    def write_layout(self, target: Path, tag: str) -> Blob:
        """Verifies the image and copies it into an image layout.

        Args:
            target: The layout directory, which must not exist.
            tag: The tag of the image in it.

        Returns:
            The entry of index.json.
        """
        root, *others = self.verify()
        blobs = target / "blobs/sha256"
        blobs.mkdir(parents=True)
        for blob in (root, *others):
            source = self.path(blob.digest)
            shutil.copyfile(source, blobs / source.name)
        entry = {
            "mediaType": _media_type(self._document(root), str(self.directory)),
            "digest": root.digest,
            "size": self.path(root.digest).stat().st_size,
            "annotations": {"org.opencontainers.image.ref.name": tag},
        }
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}
        (target / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n')
        (target / "index.json").write_text(json.dumps(index, indent=2) + "\n")
        return root

    def _document(self, blob: Blob) -> dict[str, Any]:
        """A verified document."""
        path = self.path(blob.digest)
        if path.is_file() and path.stat().st_size > MAX_DOCUMENT:
            raise LayoutError(f"{blob.digest} is larger than {MAX_DOCUMENT} bytes", str(path))
        self._check(blob)
        return _parsed(path.read_bytes(), str(path))

    def _check(self, blob: Blob) -> None:
        path = self.path(blob.digest)
        try:
            with path.open("rb") as file:
                digest = hashlib.sha256()
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
                size = file.tell()
        except FileNotFoundError:
            raise LayoutError(f"{blob.digest} is missing in {self.directory}", str(path)) from None
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            raise LayoutError(f"{path} has the digest sha256:{digest.hexdigest()}, not {blob.digest}", str(path))
        if blob.size not in (None, size):
            raise LayoutError(f"{path} has {size} bytes, not {blob.size}", str(path))

    def _check_platform(self, platform: Platform) -> None:
        """A manifest that no index describes says in its configuration what it is for."""
        manifest = self._document(Blob(self.pin))
        config = self._document(_blob(manifest.get("config"), str(self.directory)))
        found = _text_of(config)
        if _rank(platform, found) is None:
            what = found or "no platform"
            raise LayoutError(f"{self.pin} is an image for {what}, not for {_text(platform)}", self.pin)


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise LayoutError(f"{where} is not JSON: {error}", where) from None
    if not isinstance(document, dict):
        raise LayoutError(f"{where} is not a JSON object", where)
    return document


def _media_type(document: dict[str, Any], where: str) -> str:
    lists = [document.get(name) for name in ("manifests", "layers") if name in document]
    if document.get("schemaVersion") != 2 or not lists or not all(isinstance(entries, list) for entries in lists):
        raise LayoutError("neither an OCI nor a Docker manifest of version 2, nor an index of these", where)
    return str(document.get("mediaType") or (_INDEX if "manifests" in document else _MANIFEST))


def _children(document: dict[str, Any], where: str) -> Iterator[Blob]:
    _media_type(document, where)
    listed = document["manifests"] if "manifests" in document else [document.get("config"), *document["layers"]]
    for entry in listed:
        yield _blob(entry, where)


def _blob(entry: Any, where: str) -> Blob:
    fields = entry if isinstance(entry, dict) else {}
    if not isinstance(fields.get("digest"), str) or not isinstance(fields.get("size"), int):
        raise LayoutError("a descriptor without a digest and a size", where)
    platform = entry.get("platform")
    return Blob(
        entry["digest"],
        entry["size"],
        str(entry.get("mediaType", "")),
        _text_of(platform) if isinstance(platform, dict) else "",
    )


def _is_document(blob: Blob) -> bool:
    """Whether it names further blobs."""
    return _NAMES_BLOBS.fullmatch(blob.media_type) is not None


def _text(platform: Platform) -> str:
    return "/".join(filter(None, (platform.os, platform.architecture, platform.variant)))


def _text_of(record: dict[str, Any]) -> str:
    return "/".join(str(record[name]) for name in ("os", "architecture", "variant") if record.get(name))


def _rank(wanted: Platform, found: str) -> int | None:
    """How well an image for one platform runs on another: more is better; None: not at all.

    arm and amd64 run what is for a lower variant. Without a variant an arm image may be for any.
    """
    os, architecture, variant, *_ = (*found.split("/"), "", "", "")
    if (os, architecture) != (wanted.os, wanted.architecture):
        return None
    plain = _PLAIN_VARIANTS.get(architecture, "")
    has, wants = variant or plain, wanted.variant or plain
    if has == wants:
        return 100
    if not has:
        return 0
    if architecture in ("arm", "amd64") and re.fullmatch("v[0-9]", has) and wants and has < wants:
        return int(has[1:])
    return None
