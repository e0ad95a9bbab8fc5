"""The images that every consumer gets: the nasty root filesystem, built in several ways."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from class_image import build_with_class
from nasty_image import image_spec, outputs

from image_oci_rs import api
from rootfs_fixtures import attributes, nasty, tree
from rootfs_fixtures.attributes import Snapshot
from rootfs_fixtures.build_user import BuildUser

READ_BY_ALL = ["root-gzip", "pseudo-gzip", "class-gzip", "root-none"]
WITH_ZSTD = [*READ_BY_ALL, "root-zstd", "class-zstd"]

DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "application/vnd.oci.image.layer.v1.tar": lambda blob: blob,
    "application/vnd.oci.image.layer.v1.tar+gzip": gzip.decompress,
    "application/vnd.oci.image.layer.v1.tar+zstd": lambda blob: (
        subprocess.run(["zstd", "--decompress", "--stdout"], input=blob, stdout=subprocess.PIPE, check=True).stdout
    ),
}

# For a process of its own: builds the ImageSpec that comes in.
BUILD = """
import sys
from image_oci_rs.api import build
from image_oci_rs.spec import ImageSpec
build(ImageSpec.loads(sys.stdin.read()))
"""


@dataclass(frozen=True)
class Image:
    """An image that was built, and what it says about itself.

    Attributes:
        layout: The layout directory.
        archive: The archive of it.
        expected: The attributes of all that it must hold.
    """

    layout: Path
    archive: Path
    expected: Snapshot

    @cached_property
    def digest(self) -> str:
        """The digest of its manifest."""
        return layout_digest(self.layout)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Its manifest."""
        manifest: dict[str, Any] = json.loads(self.blob(self.digest))
        return manifest

    @cached_property
    def diff_id(self) -> str:
        """The digest of its uncompressed layer, as its configuration has it."""
        (diff_id,) = json.loads(self.blob(self.manifest["config"]["digest"]))["rootfs"]["diff_ids"]
        return str(diff_id)

    @cached_property
    def layer(self) -> bytes:
        """Its layer, uncompressed in the way that its media type demands."""
        (layer,) = self.manifest["layers"]
        return DECOMPRESS[layer["mediaType"]](self.blob(layer["digest"]))

    def blob(self, digest: str) -> bytes:
        """The content of a blob."""
        return (self.layout / "blobs" / digest.replace(":", "/")).read_bytes()


def layout_digest(layout: Path) -> str:
    """The digest of the one manifest in a layout."""
    (manifest,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(manifest["digest"])


class Images:
    """Builds each image once.

    Attributes:
        rootfs: The nasty root filesystem, made by root.
        expected: What an image of it must hold.
    """

    def __init__(self, directory: Path, user: BuildUser) -> None:
        """Makes the root filesystem twice: as root, and as `user` under pseudo."""
        self._directory = directory
        self._user = user
        self._made: dict[str, Image] = {}
        directory.mkdir()
        table = nasty.table()
        self.rootfs = directory / "rootfs"
        tree.build(self.rootfs, table)
        user.python("-m", "rootfs_fixtures", "nasty", user.home / "rootfs")
        self.expected = attributes.packed(tree.expected(table))

    def get(self, name: str) -> Image:
        """The image BUILDER-COMPRESSION, where the builder is `root`, `pseudo` or `class`."""
        if name not in self._made:
            builder, algorithm = name.split("-")
            build = {"root": self._by_root, "pseudo": self._under_pseudo, "class": self._by_class}[builder]
            self._made[name] = Image(*build(algorithm), self.expected)
        return self._made[name]

    def _by_root(self, algorithm: str) -> tuple[Path, Path]:
        spec = image_spec(self.rootfs, self._directory / algorithm, algorithm)
        api.build(spec)
        return outputs(spec)

    def _under_pseudo(self, algorithm: str) -> tuple[Path, Path]:
        spec = image_spec(self._user.home / "rootfs", self._user.untracked / algorithm, algorithm)
        self._user.python("-c", BUILD, text=spec.dumps())
        return outputs(spec)

    def _by_class(self, algorithm: str) -> tuple[Path, Path]:
        directory = self._directory / f"class-{algorithm}"
        directory.mkdir()
        return build_with_class(directory, algorithm)
