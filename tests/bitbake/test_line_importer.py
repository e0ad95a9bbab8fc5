"""Importers that read indexes line by line find the images that the classes deploy."""

from __future__ import annotations

from pathlib import Path

import pytest
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE, layout_json

import line_importer

# TARGET_ARCH, OCI_IMAGE_SUBARCH, and the architecture that the image carries.
MACHINES = [("x86_64", "", "amd64"), ("aarch64", "", "arm64"), ("arm", "v7", "arm")]


@pytest.fixture(scope="module")
def layouts(kit: Kit) -> dict[str, Path]:
    """The image of a recipe for each machine."""
    deployed = {}
    for target, variant, architecture in MACHINES:
        lines = f'TARGET_ARCH = "{target}"\nOCI_IMAGE_SUBARCH = "{variant}"\n'
        outcome = kit.build_directory(SMALL_IMAGE + lines).run()
        assert outcome.succeeded, outcome.output
        deployed[architecture] = outcome.deployed / "app-latest-oci"
    return deployed


@pytest.mark.parametrize("architecture", [machine[2] for machine in MACHINES])
def test_an_image_recipe_deploys_no_index(layouts: dict[str, Path], architecture: str) -> None:
    layout = layouts[architecture]
    assert line_importer.platform_index(layout) is None
    digest = line_importer.manifest_digest(layout)
    assert line_importer.architecture(layout, digest) == architecture
    assert layout_json(layout)[2]["architecture"] == architecture


def test_an_index_recipe_lists_each_architecture(kit: Kit, layouts: dict[str, Path]) -> None:
    images = " ".join(map(str, layouts.values()))
    recipe = f'inherit oci-index-rs\nDEPLOY_DIR_IMAGE = "${{TMPDIR}}/deploy/images"\nOCI_INDEX_IMAGES = "{images}"\n'
    outcome = kit.build_directory(recipe, name="all").run("do_deploy")
    assert outcome.succeeded, outcome.output
    listed = line_importer.platform_index(outcome.deployed / "all-latest-oci")
    assert listed is not None
    found = {architecture: line_importer.digest_for(listed, architecture) for architecture in layouts}
    assert found == {architecture: line_importer.manifest_digest(layout) for architecture, layout in layouts.items()}
