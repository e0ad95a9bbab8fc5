"""The task compares the installed package with the layer whose class it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bitbake_harness.build_directory import Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE

from image_oci_rs.version import VERSION


@pytest.fixture
def own_kit() -> Iterator[Kit]:
    """A kit whose package a test may change."""
    with Kit.make() as kit:
        yield kit


def build(kit: Kit, conf: str = "") -> Outcome:
    directory = kit.build_directory(SMALL_IMAGE, conf=conf)
    if "OCI_NATIVE_DEPENDS" in conf:
        directory.host_python.append(kit.package.parent)
    return directory.run()


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def problems(outcome: Outcome) -> list[str]:
    lines = outcome.log("do_image_oci").splitlines()
    return [line for line in lines if line.startswith(("WARNING: ", "ERROR: The layer"))]


def test_layer_and_engine_of_one_commit(kit: Kit) -> None:
    outcome = build(kit)
    assert outcome.succeeded
    assert problems(outcome) == []


@pytest.mark.parametrize(
    ("conf", "remedy"),
    [
        ("", "Run make wheel in the layer and set OCI_ENGINE_WHEEL to the file in {layer}/dist,"),
        (
            'OCI_NATIVE_DEPENDS = ""\n',
            "Install the layer's package in the Python that runs bitbake: run make wheel in the layer, then"
            " pip install --force-reinstall {layer}/dist/*.whl",
        ),
    ],
    ids=["sysroot", "bitbake's Python"],
)
def test_engine_of_another_version_ends_the_task(own_kit: Kit, conf: str, remedy: str) -> None:
    change(own_kit.package / "version.py", f'VERSION = "{VERSION}"', 'VERSION = "99.1"')
    outcome = build(own_kit, conf)
    assert not outcome.succeeded
    (line,) = problems(outcome)
    layer = own_kit.layers[1]
    assert line.startswith(f"ERROR: The layer {layer} is version {VERSION}, and the engine /")
    assert f"/image_oci_rs is 99.1. {remedy.format(layer=layer)}" in line


def test_engine_of_another_commit_is_a_warning(own_kit: Kit) -> None:
    change(own_kit.package / "bitbake/labels.py", "from __future__ import", "# Changed.\nfrom __future__ import")
    outcome = build(own_kit)
    assert outcome.succeeded
    (line,) = problems(outcome)
    assert line.startswith(f"WARNING: The layer {own_kit.layers[1]} and the engine /")
    assert f" are both version {VERSION}, but not of the same commit: a variable that only one of them knows" in line


def test_engine_that_has_no_version_ends_the_task(own_kit: Kit) -> None:
    (own_kit.package / "version.py").unlink()
    outcome = build(own_kit)
    assert not outcome.succeeded
    assert "/image_oci_rs is of an unknown version. " in problems(outcome)[0]
