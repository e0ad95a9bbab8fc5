"""The recipe of a small image, and what is in the layout that becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SMALL_ROOTFS = "mkdir -p bin dev; echo hello > bin/sh; chmod 4755 bin/sh; chown 5:6 bin/sh; mknod dev/null c 1 3"
SMALL_IMAGE = f"""\
inherit image image-oci-rs
IMAGE_FSTYPES = "oci"
IMAGE_TYPEDEP:oci = ""
OCI_IMAGE_AUTO_LABELS = "0"
ROOTFS_COMMAND = "{SMALL_ROOTFS}"
"""


def layout_json(layout: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Index, manifest and configuration of the one image in a layout."""

    def blob(descriptor: dict[str, Any]) -> Any:
        algorithm, _, digest = descriptor["digest"].partition(":")
        return json.loads((layout / "blobs" / algorithm / digest).read_text())

    index = json.loads((layout / "index.json").read_text())
    (entry,) = index["manifests"]
    manifest = blob(entry)
    return index, manifest, blob(manifest["config"])
