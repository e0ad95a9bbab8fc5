"""Several layers, laid over one another, are the one layer of the same root filesystem."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from commands import run
from losses import assert_kept, assert_same, empty_xattr, time_after_2262
from nasty_image import image_spec

from image_oci_rs import ImageSpec, LayerRule, Layers, build, validate
from rootfs_fixtures import nasty, tree
from rootfs_fixtures.attributes import Record, of_directory, of_layer, packed

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("busybox", "umoci")]


@pytest.fixture
def rootfs(workspace: Path) -> Path:
    rootfs = workspace / "rootfs"
    rootfs.mkdir()
    tree.build(rootfs, nasty.table(many=300))
    return rootfs


@pytest.fixture
def packages(rootfs: Path, workspace: Path) -> str:
    """Most files have one of seven owners, by no rule that makes sense."""
    lines = []
    for path in sorted(rootfs.rglob("*")):
        name = f"/{path.relative_to(rootfs)}"
        owner = crc32(name.encode(errors="surrogateescape")) % 9
        if owner < 7 and not path.is_dir() and "\n" not in name and "\t" not in name:
            lines.append(f"{name}\tp{owner}\n".encode(errors="surrogateescape"))
    manifest = workspace / "manifest"
    manifest.write_bytes(b"".join(lines))
    return f"manifest:{manifest}"


def merged(spec: ImageSpec) -> tuple[int, dict[bytes, Record]]:
    """How many layers there are, and what they make."""
    layout = Path(spec.output.layout or "")
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    blobs = layout / "blobs/sha256"
    manifest = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_text())
    records: dict[bytes, Record] = {}
    for layer in manifest["layers"]:
        plain = gzip.decompress((blobs / layer["digest"].removeprefix("sha256:")).read_bytes())
        records.update(of_layer(io.BytesIO(plain)))
    return len(manifest["layers"]), records


RULES = (
    LayerRule("first", "packages", ("p0", "p1")),
    LayerRule("second", "directories", ("/links", "/xattrs")),
    LayerRule("third", "files", ("/bin/busybox",)),
)


@pytest.mark.parametrize(
    ("layers", "least"),
    [(Layers("multi", RULES), 4), (Layers("auto"), 8), (Layers("auto", max=4), 3), (Layers("auto", max=1), 1)],
    ids=["multi", "auto", "auto-4", "auto-1"],
)
def test_the_merged_image_is_the_single_layer(
    rootfs: Path, packages: str, workspace: Path, layers: Layers, least: int
) -> None:
    single = image_spec(rootfs, workspace / "single")
    several = replace(image_spec(rootfs, workspace / "several"), layers=replace(layers, packages=packages))
    counts = [build(spec).counts for spec in (single, several)]
    assert counts[0] == counts[1]
    report = validate(several.output.layout or "")
    assert report.valid, report.findings
    (one, expected), (count, found) = merged(single), merged(several)
    assert one == 1 and count >= least
    assert_same(expected, found)
    # In names, too: nothing is there that the single layer has not.
    assert found.keys() == expected.keys()

    run("umoci", "unpack", "--image", f"{several.output.layout}:{several.tag}", workspace / "bundle")
    assert_kept(packed(of_directory(rootfs)), workspace / "bundle/rootfs", [empty_xattr, time_after_2262])
