"""Importers that read indexes line by line find in our images what a JSON parser finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import line_importer
from image_oci_rs import ImageSpec, IndexSpec, Output, Platform, build, index, inspect

PLATFORMS = {
    "amd64": Platform("amd64"),
    "arm64": Platform("arm64"),
    "arm64 v8": Platform("arm64", variant="v8"),
    "arm v7": Platform("arm", variant="v7"),
}
# In an annotation, a digest is no image's.
ANNOTATIONS = {"org.opencontainers.image.base.digest": f"sha256:{'0' * 64}", "platform.example": "x"}


def manifests(layout: Path) -> dict[str, str]:
    """The digest of the manifest for each architecture."""
    return {image.platform["architecture"]: image.manifest.digest.partition(":")[2] for image in inspect(layout).images}


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_single_image_is_no_index(make_spec: Callable[..., ImageSpec], tmp_path: Path, name: str) -> None:
    platform = PLATFORMS[name]
    build(make_spec(platform=platform, annotations=ANNOTATIONS))
    layout = tmp_path / "out"
    assert line_importer.platform_index(layout) is None
    digest = line_importer.manifest_digest(layout)
    assert {platform.architecture: digest} == manifests(layout)
    assert line_importer.architecture(layout, digest) == platform.architecture
    assert line_importer.digests_of(layout, digest) | {digest} == {path.name for path in layout.glob("blobs/sha256/*")}
    repo_tag = line_importer.first_repo_tag((layout / "manifest.json").read_text())
    assert repo_tag == "docker.io/library/app:latest"


def test_an_image_is_found_in_an_index(make_spec: Callable[..., ImageSpec], tmp_path: Path) -> None:
    names = ["amd64", "arm64 v8", "arm v7"]
    for name in names:
        build(make_spec(platform=PLATFORMS[name], output=Output(str(tmp_path / name))))
    layout = tmp_path / "all"
    index(IndexSpec(tuple(str(tmp_path / name) for name in names), "app", Output(str(layout)), annotations=ANNOTATIONS))
    listed = line_importer.platform_index(layout)
    assert listed is not None and listed.parent == layout / "blobs/sha256"
    found = {name: line_importer.digest_for(listed, name) for name in ("amd64", "arm64", "arm")}
    assert found == manifests(layout)
    assert {name: line_importer.architecture(layout, digest or "") for name, digest in found.items()} == {
        name: name for name in found
    }
    assert line_importer.digest_for(listed, "riscv64") is None


def test_indexes_are_indented_and_manifests_are_not(make_spec: Callable[..., ImageSpec], tmp_path: Path) -> None:
    build(make_spec(annotations=ANNOTATIONS))
    layout = tmp_path / "all"
    result = index(IndexSpec((str(tmp_path / "out"),), "app", Output(str(layout)), annotations=ANNOTATIONS))
    for path in (layout / "index.json", layout / "blobs" / result.index.digest.replace(":", "/")):
        text = path.read_text()
        assert text == json.dumps(json.loads(text), indent=2) + "\n"
    documents: Any = [*inspect(tmp_path / "out").images]
    for descriptor in (documents[0].manifest, documents[0].config_descriptor):
        text = (tmp_path / "out/blobs" / descriptor.digest.replace(":", "/")).read_text()
        assert text == json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)
