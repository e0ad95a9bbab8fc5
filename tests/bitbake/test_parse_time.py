"""What is said when a recipe is parsed, before anything is built."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE

SmallImage = Callable[..., BuildDirectory]
MISTAKE = 'OCI_IMAGE_PORTS = "80/icmp"\n'
SENTENCE = "OCI_IMAGE_PORTS: must be PORT, PORT/tcp, PORT/udp or PORT/sctp with a PORT from 1 to 65535 (got '80/icmp')"


@pytest.fixture
def class_alone() -> Iterator[Kit]:
    """A layer that somebody has copied the class into, and nothing else."""
    with Kit.make() as kit:
        shutil.rmtree(kit.layers[1] / "python")
        yield kit


def test_recipe_is_skipped_and_no_task_runs(small_image: SmallImage) -> None:
    build = small_image(MISTAKE)
    outcome = build.run()

    assert not outcome.succeeded
    assert outcome.output == f"ERROR: app was skipped: {SENTENCE}\n"
    assert not (build.work / "temp").exists()


@pytest.mark.parametrize("labels", ["0", "1"])
def test_a_time_that_is_none_is_named(small_image: SmallImage, labels: str) -> None:
    lines = ('REPRODUCIBLE_TIMESTAMP_ROOTFS = "1700000000000"', f'OCI_IMAGE_AUTO_LABELS = "{labels}"')
    assert small_image(*lines).parse().getVar("__SKIPPED") == (
        "REPRODUCIBLE_TIMESTAMP_ROOTFS: must be a whole number from 0 to 253402300799 (got 1700000000000)"
    )


@pytest.mark.parametrize("types", ["oci", "oci.tar.zst", "tar.gz oci.tar"])
def test_every_way_to_ask_for_the_type(kit: Kit, types: str) -> None:
    recipe = f'inherit image image-oci-rs\nIMAGE_FSTYPES = "{types}"\n' + MISTAKE
    assert kit.build_directory(recipe).parse().getVar("__SKIPPED") == SENTENCE


@pytest.mark.parametrize("recipe", ['inherit image\nIMAGE_FSTYPES = "tar.gz"\n', "# no image\n"])
def test_what_makes_no_such_image_is_not_concerned(kit: Kit, recipe: str) -> None:
    d = kit.build_directory(recipe + MISTAKE, conf='INHERIT += "image-oci-rs"\n').parse()
    assert d.getVar("__SKIPPED") is None


def test_what_makes_no_such_image_keeps_postinsts(kit: Kit) -> None:
    conf = 'IMAGE_CLASSES += "image-oci-rs"\n'
    for types, expected in ("tar.bz2", "run-postinsts"), ("oci.tar", ""):
        recipe = f'inherit image\nIMAGE_FSTYPES = "{types}"\n'
        assert kit.build_directory(recipe, conf=conf).parse().getVar("ROOTFS_BOOTSTRAP_INSTALL") == expected


def test_an_old_python_is_told(small_image: SmallImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 8, 18, "final", 0))
    assert small_image().parse().getVar("__SKIPPED") == (
        "image-oci-rs needs bitbake to run in Python 3.9 or newer, and this is 3.8"
    )


def test_copied_classes_ask_for_the_layer(class_alone: Kit) -> None:
    skipped = class_alone.build_directory(SMALL_IMAGE).parse().getVar("__SKIPPED")
    assert "python/image_oci_rs is missing; add the whole layer to BBLAYERS" in skipped


def test_library_is_part_of_what_was_parsed(small_image: SmallImage, kit: Kit) -> None:
    layer = kit.layers[1]
    depends = {Path(name) for name, _ in small_image().parse().getVar("__depends", False)}
    assert {layer / "python/image_oci_rs/bitbake/image.py", layer / "python/image_oci_rs/parsing.py"} <= depends
    # The layer is the source of a recipe.
    assert not list(layer.rglob("__pycache__"))


def test_git_and_the_time_are_left_to_the_task(
    small_image: SmallImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = tmp_path / "git"
    git.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    d = small_image(
        'OCI_IMAGE_AUTO_LABELS = "1"',
        'OCI_IMAGE_YOCTO_LABELS = "1"',
        'REPRODUCIBLE_TIMESTAMP_ROOTFS = ""',
        "SOURCE_DATE_EPOCH = \"${@d.setVar('ASKED', '1') or '1'}\"",
    ).parse()
    assert d.getVar("__SKIPPED") is None
    assert d.getVar("ASKED") is None
    assert not (tmp_path / "asked").exists()
