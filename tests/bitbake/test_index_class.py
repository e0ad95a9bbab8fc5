"""An index recipe: where it finds images, what it makes of them, and what it waits for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bb
import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.datastore import task_hashes
from bitbake_harness.kit import Kit

import image_oci_rs.bitbake.index
from image_oci_rs import ImageSpec, Output, Platform, Source, build, validate

RECIPE = """\
inherit oci-index-rs
DEPLOY_DIR_IMAGE = "${TMPDIR}/deploy/images/machine"
OCI_IMAGE_NAME = "r.example/app"
OCI_IMAGE_TAG = "1.0"
BBMULTICONFIG = "arm risc told"
"""
IndexRecipe = Callable[..., BuildDirectory]


@pytest.fixture
def index_recipe(kit: Kit) -> IndexRecipe:
    """Makes a build directory with an index recipe."""

    def make(*lines: str, conf: str = "") -> BuildDirectory:
        return kit.build_directory(RECIPE + "\n".join(lines) + "\n", name="all", conf=conf)

    return make


def deploy(recipe: BuildDirectory, below: str, architecture: str, name: str = "app-1.0-oci") -> None:
    """Puts an image where another recipe would, below TOPDIR."""
    place = recipe.top / below
    rootfs = place / "rootfs"
    rootfs.mkdir(parents=True)
    (rootfs / "etc").write_text(architecture)
    spec = ImageSpec((Source(str(rootfs)),), "app", Platform(architecture), Output(str(place / name)), created=1)
    build(spec)
    shutil.rmtree(rootfs)
    for directory, _, names in os.walk(recipe.top):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            os.chown(path, recipe.kit.user.uid, recipe.kit.user.gid)


def deployed(outcome: Outcome) -> Path:
    """DEPLOY_DIR_IMAGE."""
    return outcome.deployed / "machine"


def listed(layout: Path) -> tuple[Any, list[str]]:
    """The entry of index.json, and the architectures that it leads to."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    index = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text())
    return entry, [manifest["platform"]["architecture"] for manifest in index["manifests"]]


def test_images_of_this_and_other_multiconfigs_are_found(index_recipe: IndexRecipe) -> None:
    recipe = index_recipe(
        'OCI_INDEX_IMAGES = "app mc:arm:app mc:risc:app mc:told:app ${TOPDIR}/else/app-1.0-oci"',
        'OCI_INDEX_DEPLOY_DIR[told] = "${TOPDIR}/told"',
        'OCI_IMAGE_ANNOTATIONS[a/b] = "c d"',
    )
    for place, architecture in (
        ("tmp/deploy/images/machine", "amd64"),
        ("tmp-arm/deploy/images/board", "arm64"),
        ("tmp-risc-musl/deploy/images/other", "riscv64"),
        ("told", "s390x"),
        ("tmp-told/deploy/images/not-this-one", "mips"),
        ("else", "ppc64le"),
    ):
        deploy(recipe, place, architecture)
    outcome = recipe.run("do_deploy")
    assert outcome.succeeded, outcome.output
    layout = deployed(outcome) / "all-1.0-oci"
    entry, architectures = listed(layout)
    assert architectures == ["amd64", "arm64", "ppc64le", "riscv64", "s390x"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "r.example/app:1.0",
        "org.opencontainers.image.ref.name": "1.0",
        "a/b": "c d",
    }
    assert validate(layout).findings == ()
    names = {path.name for path in deployed(outcome).iterdir()}
    assert names == {"app-1.0-oci", "all-1.0-oci", "all-1.0-oci.tar", "all-1.0-oci-dir.tar"}
    assert f"linux/riscv64: {image_digest(layout, 3)}, out of " in outcome.log("do_deploy")
    again = recipe.run("do_deploy")
    assert again.succeeded and listed(deployed(again) / "all-1.0-oci")[0] == entry


def image_digest(layout: Path, number: int) -> str:
    entry, _ = listed(layout)
    index = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text())
    digest: str = index["manifests"][number]["digest"]
    return digest


def test_another_multiconfig_takes_an_image_of_the_default_one(index_recipe: IndexRecipe) -> None:
    recipe = index_recipe(
        'BB_CURRENT_MC = "arm"', 'TMPDIR = "${TOPDIR}/tmp-arm"', 'OCI_INDEX_IMAGES = "app mc::app mc:risc:app"'
    )
    deploy(recipe, "tmp-arm/deploy/images/machine", "arm64")
    deploy(recipe, "tmp/deploy/images/qemux86-64", "amd64")
    deploy(recipe, "tmp-risc/deploy/images/qemuriscv64", "riscv64")
    outcome = recipe.run("do_deploy")
    assert outcome.succeeded, outcome.output
    assert listed(recipe.top / "tmp-arm/deploy/images/machine/all-1.0-oci")[1] == ["amd64", "arm64", "riscv64"]


def test_an_image_that_is_not_in_one_place_is_named(index_recipe: IndexRecipe) -> None:
    recipe = index_recipe('OCI_INDEX_IMAGES = "mc:arm:app"')
    outcome = recipe.run("do_deploy")
    assert not outcome.succeeded
    assert f"no app-1.0-oci is below {recipe.top}/tmp-arm/deploy/images, " in outcome.output
    assert "OCI_INDEX_DEPLOY_DIR[arm] can say where" in outcome.output
    for machine in ("one", "two"):
        deploy(recipe, f"tmp-arm/deploy/images/{machine}", "arm64")
    outcome = recipe.run("do_deploy")
    assert not outcome.succeeded
    assert "images/one/app-1.0-oci and " in outcome.output and "images/two/app-1.0-oci have it" in outcome.output


def test_multiconfigs_may_share_a_directory(index_recipe: IndexRecipe) -> None:
    recipe = index_recipe('OCI_INDEX_IMAGES = "app mc:arm:app"')
    for machine, architecture in (("machine", "amd64"), ("other", "arm64")):
        deploy(recipe, f"tmp/deploy/images/{machine}", architecture)
    outcome = recipe.run("do_deploy")
    assert outcome.succeeded, outcome.output
    assert listed(deployed(outcome) / "all-1.0-oci")[1] == ["amd64", "arm64"]


def test_who_asks_for_the_world_does_not_ask_for_all_machines(index_recipe: IndexRecipe) -> None:
    assert index_recipe('OCI_INDEX_IMAGES = "app"').parse().getVar("EXCLUDE_FROM_WORLD") == "1"


def test_inherited_everywhere_the_class_of_images_names_no_index(kit: Kit) -> None:
    recipe = 'inherit oci-index-rs\nOCI_INDEX_IMAGES = "app"\n'
    d = kit.build_directory(recipe, name="all", conf='INHERIT += "image-oci-rs"\n').parse()
    assert (d.getVar("__SKIPPED"), d.getVar("OCI_IMAGE_NAME")) == (None, "all")


def test_two_images_of_one_platform_stop_the_task(index_recipe: IndexRecipe) -> None:
    recipe = index_recipe('OCI_INDEX_IMAGES = "app other"', 'OCI_INDEX_IMAGE_TAG = "2"')
    for name in ("app", "other"):
        deploy(recipe, "tmp/deploy/images/machine", "amd64", f"{name}-2-oci")
    outcome = recipe.run("do_deploy")
    assert not outcome.succeeded
    assert "OCI_INDEX_IMAGES: it is for linux/amd64, and so is" in outcome.output
    assert not (deployed(outcome) / "all-1.0-oci").exists()


@pytest.mark.parametrize("current", ["", "default", "arm"])
def test_the_images_are_built_first(index_recipe: IndexRecipe, current: str) -> None:
    words = 'OCI_INDEX_IMAGES = "here mc::default mc:arm:there mc:risc:there /srv/image"'
    d = index_recipe(words, f'BB_CURRENT_MC = "{current}"').parse()
    depends = set(d.getVarFlag("do_deploy", "depends").split())
    across = set(d.getVarFlag("do_deploy", "mcdepends").split())
    if current == "arm":
        assert across == {"mc:arm:risc:there:do_build", "mc:arm::default:do_build"}
        assert {"here:do_build", "there:do_build"} <= depends
    else:
        assert across == {"mc::arm:there:do_build", "mc::risc:there:do_build"}
        assert {"here:do_build", "default:do_build"} <= depends
        assert "there:do_build" not in depends
    assert d.getVarFlag("do_deploy", "file-checksums").split() == ["/srv/image:False"]
    assert "python3-image-oci-rs-native:do_populate_sysroot" in depends


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "OCI_INDEX_IMAGES: must name at least one image"),
        (
            'OCI_INDEX_IMAGES = "mc:app"',
            "OCI_INDEX_IMAGES: must be RECIPE, mc:MULTICONFIG:RECIPE, mc::RECIPE, or a path",
        ),
        (
            'OCI_INDEX_IMAGES = "arm::app"',
            "OCI_INDEX_IMAGES: must be RECIPE, mc:MULTICONFIG:RECIPE, mc::RECIPE, or a path",
        ),
        (
            'OCI_INDEX_IMAGES = "mc:arm64:app"',
            "OCI_INDEX_IMAGES: must be of a multiconfig of this build, and BBMULTICONFIG has arm risc told (got 'mc:",
        ),
        (
            'OCI_INDEX_IMAGES = "mc:arm:app"\nBBMULTICONFIG = ""',
            "OCI_INDEX_IMAGES: must be of a multiconfig of this build, and BBMULTICONFIG is empty",
        ),
        ('OCI_INDEX_IMAGES = "app app"', "OCI_INDEX_IMAGES: must not stand there twice (got 'app')"),
        ('OCI_INDEX_IMAGES = "app"\nOCI_IMAGE_NAME = "App"', "OCI_IMAGE_NAME: "),
        ('OCI_INDEX_IMAGES = "app"\nOCI_IMAGE_TAG = "-"', "OCI_IMAGE_TAG: "),
        ('OCI_INDEX_IMAGES = "app"\nOCI_IMAGE_ANNOTATIONS = "a"', "OCI_IMAGE_ANNOTATIONS: "),
    ],
)
def test_a_wrong_value_is_said_when_the_recipe_is_parsed(index_recipe: IndexRecipe, line: str, message: str) -> None:
    assert index_recipe(line).parse().getVar("__SKIPPED").startswith(message)


class Recorder:
    """A datastore that remembers what it was asked for."""

    def __init__(self, d: Any) -> None:
        self.d = d
        self.asked: set[str] = set()

    def getVar(self, name: str, expand: bool = True) -> Any:
        self.asked.add(name)
        return self.d.getVar(name, expand)

    def getVarFlag(self, name: str, flag: str) -> Any:
        self.asked.add(f"{name}[{flag}]")
        return self.d.getVarFlag(name, flag)

    def getVarFlags(self, name: str) -> Any:
        self.asked.add(name)
        return self.d.getVarFlags(name)


def test_every_variable_that_is_read_is_declared_and_changes_the_hash(
    index_recipe: IndexRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = index_recipe(
        'OCI_INDEX_IMAGES = "app mc:arm:app mc:told:app"',
        'OCI_INDEX_DEPLOY_DIR[told] = "${TOPDIR}/told"',
        'OCI_IMAGE_ANNOTATIONS[a/b] = "c d"',
    )
    for place, architecture in (
        ("tmp/deploy/images/machine", "amd64"),
        ("tmp-arm/deploy/images/x", "arm64"),
        ("told", "arm"),
    ):
        deploy(recipe, place, architecture)
    d = recipe.parse()

    def no_engine(*_: object) -> None:
        raise ImportError("no engine")

    recorder = Recorder(d)
    monkeypatch.setattr(image_oci_rs.bitbake.index, "index", no_engine)
    with pytest.raises(bb.BBHandledException):
        image_oci_rs.bitbake.index.build_index(recorder)
    declared = set(d.getVarFlag("oci_rs_library", "vardeps").split())
    without_effect = set(d.getVarFlag("oci_rs_library", "vardepsexclude").split())
    # A flag that was asked for and is not set is no part of anything.
    assert recorder.asked - {"OCI_INDEX_DEPLOY_DIR[arm]"} == declared | without_effect
    before = task_hashes(d)
    for name in declared:
        changed = d.createCopy()
        variable, bracket, flag = name.rstrip("]").partition("[")
        if bracket:
            changed.setVarFlag(variable, flag, "another value")
        else:
            changed.setVar(variable, "another value")
        assert task_hashes(changed)["do_deploy"] != before["do_deploy"], name


def test_where_the_engine_cannot_be_loaded_another_python_runs_it(broken_kit: Kit) -> None:
    recipe = broken_kit.build_directory(RECIPE + 'OCI_INDEX_IMAGES = "app"\n', name="all")
    deploy(recipe, "tmp/deploy/images/machine", "amd64")
    outcome = recipe.run("do_deploy")
    assert outcome.succeeded, outcome.output
    assert "so it runs in" in outcome.log("do_deploy")
    assert listed(deployed(outcome) / "all-1.0-oci")[1] == ["amd64"]
