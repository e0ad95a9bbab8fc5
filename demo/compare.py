"""What the commands of image-oci.bbclass make of the demo's root filesystem.

Like the class it runs them under pseudo as an ordinary user, and like the demo it compares every
file of the image with the archive that the root filesystem came from.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import rootfs
from bitbake_harness.kit import Kit
from run import CACHE, RECIPE, configuration, step

from backends import entries as attributes

# meta-virtualization, classes/image-oci-umoci.inc, IMAGE_CMD:oci: what packs the root filesystem.
COMMANDS = """
umoci init --layout image-oci
umoci new --image image-oci:latest
umoci unpack --rootless --image image-oci:latest bundle
cp -r -a --no-preserve=ownership {rootfs}/* bundle/rootfs
umoci repack --image image-oci:latest bundle
"""


def main() -> int:
    """Prints what differs."""
    step("root filesystem")
    archive = rootfs.archive(CACHE)
    source = attributes.read([archive])
    with Kit.make() as kit:
        conf = configuration(kit, archive, attributes.newest(source))
        build = kit.build_directory(RECIPE.read_text(), RECIPE.stem, conf)
        if not build.run("do_rootfs").succeeded:
            sys.exit("error: do_rootfs failed")
        commands = COMMANDS.format(rootfs=build.work / "rootfs")
        step(f"under pseudo as an ordinary user:{commands}")
        build.under_pseudo(["sh", "-ec", commands])
        packed = attributes.read(layers(build.top / "image-oci"))
    step("compare with the archive of the root filesystem")
    lost = attributes.differences(source, packed)
    print(*lost, sep="\n")
    print(f"{len(source)} files compared, {len(lost)} differ")
    return 0


def layers(layout: Path) -> list[Path]:
    """The blobs of the layers of the one image in a layout."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    return [blob(layer["digest"]) for layer in manifest["layers"]]


if __name__ == "__main__":
    sys.exit(main())
