"""An image on a base image that was deployed before."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import bb.checksum
import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE, layout_json

SmallImage = Callable[..., BuildDirectory]
LOWER = ('OCI_IMAGE_WORKINGDIR = "/bin"', 'OCI_IMAGE_CMD = "sh"', 'OCI_IMAGE_ENV_VARS = "A=1 B=1"')


def built(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


def names_in(layout: Path, layer: dict[str, str]) -> list[str]:
    with tarfile.open(layout / "blobs/sha256" / layer["digest"].removeprefix("sha256:")) as archive:
        return [member.name for member in archive if not member.isdir()]


@pytest.fixture
def base(small_image: SmallImage) -> Path:
    """The layout of an image with a shell and a file."""
    outcome = built(small_image(*LOWER, 'ROOTFS_COMMAND:append = "; echo old > old"'))
    return outcome.deployed / "app-latest-oci"


@pytest.mark.parametrize(
    ("mode", "names"), [("overlay", ["new"]), ("exact", [".wh.old", "new"])], ids=["overlay", "exact"]
)
def test_only_what_differs_is_stored(small_image: SmallImage, base: Path, mode: str, names: list[str]) -> None:
    outcome = built(
        small_image(
            f'OCI_BASE_IMAGE = "{base}"',
            f'OCI_BASE_MODE = "{mode}"',
            'OCI_IMAGE_CMD = ""',
            'OCI_IMAGE_ENV_VARS = "B=2 C=2"',
            'ROOTFS_COMMAND:append = "; echo new > new"',
        )
    )
    layout = outcome.deployed / "app-latest-oci"
    index, _, _ = layout_json(base)
    _, lower, _ = layout_json(base)
    _, manifest, config = layout_json(layout)
    assert manifest["layers"][:1] == lower["layers"]
    assert names_in(layout, manifest["layers"][1]) == names
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == index["manifests"][0]["digest"]
    assert config["config"]["Env"] == ["A=1", "B=2", "C=2"]
    assert config["config"]["WorkingDir"] == "/bin"
    assert "Cmd" not in config["config"] and "Entrypoint" not in config["config"]
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == 2


def test_a_recipe_as_base_image_is_built_first(small_image: SmallImage) -> None:
    d = small_image('OCI_BASE_IMAGE = "container-base"').parse()
    # The one task that a recipe has which is no image too.
    assert "container-base:do_build" in d.getVarFlag("do_image_oci", "depends").split()
    for line in ('OCI_BASE_IMAGE = "/srv/base"', 'OCI_BASE_IMAGE = "./base"', ""):
        d = small_image(line).parse()
        assert "do_build" not in d.getVarFlag("do_image_oci", "depends")


# How recipes name what they deploy: this class and container-bundle with the tag, others without; the archive alone.
@pytest.mark.parametrize("name", ["lower-latest-oci", "lower-latest-oci.tar", "lower-oci", "lower-oci.tar"])
def test_a_recipe_that_is_no_image_may_deploy_it(small_image: SmallImage, base: Path, name: str) -> None:
    elsewhere = base.parents[3] / "elsewhere"
    elsewhere.mkdir()
    if name.endswith(".tar"):
        shutil.copyfile(f"{base}.tar", elsewhere / name)
    else:
        shutil.copytree(base, elsewhere / name)
    lines = ('OCI_BASE_IMAGE = "lower"', f'DEPLOY_DIR_IMAGE:task-image-oci = "{elsewhere}"')
    outcome = built(small_image(*lines, 'ROOTFS_COMMAND:append = "; echo new > new"'))
    _, lower, _ = layout_json(base)
    _, manifest, _ = layout_json(outcome.deployed / "app-latest-oci")
    assert manifest["layers"][:1] == lower["layers"]


def test_every_place_that_was_tried_is_named(small_image: SmallImage) -> None:
    outcome = small_image('OCI_BASE_IMAGE = "lower"', 'OCI_BASE_IMAGE_TAG = "1.0"').run()
    assert not outcome.succeeded
    places = [f"{outcome.deployed}/lower-{name}" for name in ("1.0-oci", "1.0-oci.tar", "oci", "oci.tar")]
    assert (
        "OCI_BASE_IMAGE: must be a recipe that deploys an image, under the tag in OCI_BASE_IMAGE_TAG;"
        f" none of these exists: {', '.join(places)} (got 'lower')"
    ) in outcome.output


def test_a_base_image_that_is_a_file_is_in_the_signature(small_image: SmallImage, tmp_path: Path) -> None:
    archive = tmp_path / "base.tar"
    archive.touch()
    d = small_image(f'OCI_BASE_IMAGE = "{archive}"').parse()
    assert f"{archive}:True" in d.getVarFlag("do_image_oci", "file-checksums").split()


def test_a_base_image_behind_a_link_is_in_the_signature(small_image: SmallImage, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "link").symlink_to("base")
    build = small_image(f'OCI_BASE_IMAGE = "{tmp_path}/link"')

    def checksums() -> set[str]:
        flag = build.parse().getVarFlag("do_image_oci", "file-checksums").split()
        cache = bb.checksum.FileChecksumCache()
        return {checksum for _, checksum in cache.get_checksums(" ".join(flag), "app", None)}

    (tmp_path / "base/index.json").write_text("1")
    before = checksums()
    (tmp_path / "base/index.json").write_text("2")
    assert checksums() != before


NEITHER = (
    "OCI_BASE_IMAGE: must be the name of a recipe, its tag in OCI_BASE_IMAGE_TAG, or a path that begins with / or ./"
)


@pytest.mark.parametrize("value", ["mc:x:base", "base other", "oci:/srv/base", "Images/base", "~/base", "a@sha256:1"])
def test_what_is_neither_a_recipe_nor_a_path(small_image: SmallImage, value: str) -> None:
    skipped = small_image(f'OCI_BASE_IMAGE = "{value}"').parse().getVar("__SKIPPED")
    assert skipped == f"{NEITHER} (got '{value}')"


DIGEST = f"sha256:{'5' * 64}"


@pytest.mark.parametrize(
    ("value", "recipe", "image", "digest"),
    [
        ("docker.io/library/alpine:3.19", "alpine", "docker.io/library/alpine:3.19", "sha256:..."),
        ("docker://quay.io/team/app_base:1", "app-base", "quay.io/team/app_base:1", "sha256:..."),
        ("alpine:3.19", "alpine", "alpine:3.19", "sha256:..."),
        ("library/alpine", "alpine", "library/alpine", "sha256:..."),
        (f"localhost:5000/x@{DIGEST}", "x", "localhost:5000/x", DIGEST),
    ],
)
def test_a_registry_is_refused_with_the_remedy(
    small_image: SmallImage, value: str, recipe: str, image: str, digest: str
) -> None:
    build = small_image(f'OCI_BASE_IMAGE = "{value}"')
    d = build.parse()
    lines = d.getVar("__SKIPPED").splitlines()
    assert lines[0] == f"{NEITHER} (got '{value}')"
    assert f'Write {recipe}.bb and OCI_BASE_IMAGE = "{recipe}":' in lines[1]
    assert lines[2:6] == [
        '    LICENSE = "MIT"',
        "    inherit oci-fetch-rs",
        f'    OCI_FETCH_IMAGE = "{image}"',
        f'    OCI_FETCH_DIGEST = "{digest}"',
    ]
    assert (len(lines) == 6) == (digest == DIGEST)
    assert "do_build" not in d.getVarFlag("do_image_oci", "depends")


def test_a_base_image_for_another_platform_stops_the_task(small_image: SmallImage, base: Path) -> None:
    outcome = small_image(f'OCI_BASE_IMAGE = "{base}"', 'OCI_IMAGE_ARCH = "riscv64"').run()
    assert not outcome.succeeded
    assert "OCI_BASE_IMAGE: the base image is for linux/" in outcome.output
    assert "this image for linux/riscv64" in outcome.output


def test_what_an_update_costs_is_told_and_limited(small_image: SmallImage, base: Path) -> None:
    update = ('ROOTFS_COMMAND:append = "; echo new > new"', f'OCI_UPDATE_FROM = "{base}"')
    outcome = built(small_image(*update, 'OCI_UPDATE_BUDGET = "1M"'))
    assert "added    /new" in outcome.log("do_image_oci")
    outcome = small_image(*update, 'OCI_UPDATE_BUDGET = "10"').run()
    assert not outcome.succeeded
    assert "OCI_UPDATE_BUDGET: the update from" in outcome.output and "and 10 are allowed" in outcome.output


def test_the_limit_holds_where_the_engine_cannot_be_loaded(broken_kit: Kit, kit: Kit, base: Path) -> None:
    recipe = SMALL_IMAGE + f'OCI_UPDATE_FROM = "{base}"\nROOTFS_COMMAND:append = "; echo new > new"\n'
    outcome = broken_kit.build_directory(recipe + 'OCI_UPDATE_BUDGET = "10"\n').run()
    assert not outcome.succeeded
    assert "and 10 are allowed" in outcome.output
    built(broken_kit.build_directory(recipe + 'OCI_UPDATE_BUDGET = "1M"\n'))
