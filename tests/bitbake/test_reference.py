"""Names and tags: what is made legal, what is an error, and under which names links find an image again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE, layout_json

import image_oci_rs
from image_oci_rs.bitbake.datastore import Reader
from image_oci_rs.bitbake.reference import legal_name, legal_tag, reference_of

SmallImage = Callable[..., BuildDirectory]
NO_TAG = "OCI_IMAGE_TAG: must be 1 to 128 letters, digits, '_', '.' and '-', and not begin with '.' or '-'"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("app", "app"),
        ("my--app__2.0", "my--app__2.0"),
        ("Greenbone-GVMD-Image2", "greenbone-gvmd-image2"),
        ("C++App", "c-app"),
        ("app_-x", "app-x"),
        ("a___b..c", "a-b-c"),
        ("-App.", "app"),
        ("Größe", "gr-e"),
        ("+", "image"),
    ],
)
def test_default_name(small_image: SmallImage, text: str, name: str) -> None:
    assert legal_name(text) == name
    reference = reference_of(Reader(small_image(f'IMAGE_BASENAME = "{text}"').parse()))
    assert reference.name == name
    assert len(reference.notes) == (text != name)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("1.0", "1.0"),
        ("6.1+snapshot-2026", "6.1-snapshot-2026"),
        ("1.0~rc1", "1.0-rc1"),
        ("-20260102", "20260102"),
        ("feature/x", "feature-x"),
        ("2026-01-02T03:04:05", "2026-01-02T03-04-05"),
        ("a b", "a-b"),
        ("x" * 200, "x" * 128),
        ("_", "_"),
    ],
)
def test_tag_that_refers_to_a_variable(small_image: SmallImage, text: str, tag: str) -> None:
    lines = (f'DISTRO_VERSION = "{text}"', 'OCI_IMAGE_TAG = "${DISTRO_VERSION}"')
    reference = reference_of(Reader(small_image(*lines).parse()))
    assert (reference.name, reference.tag) == ("app", tag)
    assert len(reference.notes) == (text != tag)
    assert legal_tag(text).startswith(tag) or ":" in text


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['OCI_IMAGE_TAG = "team/tool:${DISTRO_VERSION}"'], ("team/tool", "6.1-x")),
        (['OCI_IMAGE_TAG = "${NAME_AND_TAG}"', 'NAME_AND_TAG = "tool:1"'], ("tool", "1")),
        (['OCI_IMAGE_TAG = "v${DISTRO_VERSION}"'], ("app", "v6.1-x")),
        (["OCI_IMAGE_TAG = \"${@d.getVar('DISTRO_VERSION')}\""], ("app", "6.1-x")),
        (['OCI_IMAGE_TAG = "1"', 'OCI_IMAGE_TAG:append = "-${DISTRO_VERSION}"'], ("app", "1-6.1-x")),
    ],
)
def test_forms_of_a_reference(small_image: SmallImage, lines: list[str], expected: tuple[str, str]) -> None:
    reference = reference_of(Reader(small_image('DISTRO_VERSION = "6.1+x"', *lines).parse()))
    assert (reference.name, reference.tag) == expected


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (['OCI_IMAGE_TAG = "1.0+x"'], f"{NO_TAG} (got '1.0+x')"),
        (['OCI_IMAGE_TAG = "${NOT_SET}"'], f"{NO_TAG} (got '${{NOT_SET}}')"),
        (['OCI_IMAGE_TAG = ""'], f"{NO_TAG} (got '')"),
        (['OCI_IMAGE_TAG = "app:1.0+x"'], f"{NO_TAG} (got '1.0+x')"),
        (['OCI_IMAGE_TAG = "App:${DISTRO_VERSION}"'], "OCI_IMAGE_TAG: must be at most 255 lower-case letters"),
        (['OCI_IMAGE_NAME = "App"'], "OCI_IMAGE_NAME: must be at most 255 lower-case letters"),
        (['OCI_IMAGE_NAME = "team/${IMAGE_BASENAME}"', 'IMAGE_BASENAME = "A"'], "OCI_IMAGE_NAME: must be at most 255"),
    ],
)
def test_what_stays_an_error(small_image: SmallImage, lines: list[str], sentence: str) -> None:
    skipped = small_image('DISTRO_VERSION = "6.1+x"', *lines).parse().getVar("__SKIPPED")
    assert skipped.startswith(sentence)


def built(kit: Kit, recipe: str, name: str = "app") -> Outcome:
    outcome = kit.build_directory(recipe, name).run()
    assert outcome.succeeded, outcome.output
    return outcome


VERSIONED = SMALL_IMAGE + 'DISTRO_VERSION = "1.0+git"\nOCI_IMAGE_TAG = "${DISTRO_VERSION}"\n'


def test_image_and_its_links(kit: Kit) -> None:
    outcome = built(kit, VERSIONED + 'IMAGE_BASENAME = "My-App"\n')

    # Recipes compute the one from their variables; docker shows the other.
    for tag in ("1.0+git", "1.0-git"):
        for ending in ("oci", "oci.tar", "oci-dir.tar"):
            assert (outcome.deployed / f"My-App-{tag}-{ending}").exists()
    (image,) = image_oci_rs.inspect(outcome.deployed / "My-App-1.0+git-oci").images
    assert image.name == "docker.io/library/my-app:1.0-git"
    log = outcome.log("do_image_oci")
    assert 'NOTE: OCI_IMAGE_NAME: no image can be called "My-App", so it is called "my-app"' in log
    assert 'NOTE: OCI_IMAGE_TAG: no tag can be "1.0+git", so the image has the tag "1.0-git"' in log


@pytest.mark.parametrize(
    "lines",
    [
        'OCI_BASE_IMAGE = "base"\nOCI_BASE_IMAGE_TAG = "${DISTRO_VERSION}"\n',
        'OCI_BASE_IMAGE = "base"\nOCI_BASE_IMAGE_TAG = "1.0-git"\n',
        'OCI_BASE_IMAGE = "${DEPLOY_DIR_IMAGE}/base-1.0+git-oci"\nOCI_BASE_IMAGE_TAG = "${DISTRO_VERSION}"\n',
    ],
    ids=["as the base says it", "as docker shows it", "by a path"],
)
def test_image_upon_such_an_image(kit: Kit, lines: str) -> None:
    base = built(kit, VERSIONED, "base")
    build = kit.build_directory(VERSIONED + lines)
    place = build.top / "deployed-before"
    shutil.copytree(base.deployed, place, symlinks=True)
    build.write(build.recipe.read_text() + f'DEPLOY_DIR_IMAGE:task-image-oci = "{place}"\n')
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    below = layout_json(place / "base-1.0-git-oci")[1]
    assert layout_json(outcome.deployed / "app-1.0+git-oci")[1]["layers"] == below["layers"]


def test_index_of_such_images(kit: Kit) -> None:
    image = built(kit, VERSIONED, "image")
    recipe = 'inherit oci-index-rs\nOCI_INDEX_IMAGES = "image"\nDISTRO_VERSION = "1.0+git"\n'
    build = kit.build_directory(recipe + 'OCI_IMAGE_TAG = "${DISTRO_VERSION}"\n', "C++all")
    shutil.copytree(image.deployed, build.top / "tmp/deploy/images", symlinks=True)
    for path in (build.top / "tmp", *(build.top / "tmp").rglob("*")):
        os.chown(path, kit.user.uid, kit.user.gid, follow_symlinks=False)
    outcome = build.run("do_deploy")
    assert outcome.succeeded, outcome.output
    # BitBake takes the name of a recipe's file up to the first underscore.
    layout: Path = outcome.deployed / "C++all-1.0+git-oci"
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/c-all:1.0-git"
    assert 'no tag can be "1.0+git"' in outcome.log("do_deploy")
