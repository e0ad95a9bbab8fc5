"""Types that lead to an image of this class: by IMAGE_TYPEDEP, and the type docker-archive."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bitbake_harness.build_directory import Outcome
from bitbake_harness.datastore import task_hashes
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE, SMALL_ROOTFS

import image_oci_rs

NAME = "app-qemux86-64.rootfs-20260102030405"
CLOCK = 'DATE = "20260102"\nTIME = "030405"\n'
LATER = CLOCK.replace("030405", "040405")
ORDERS = {
    "image first": ("inherit image image-oci-rs\n", ""),
    "image last": ("inherit image-oci-rs image\n", ""),
    "IMAGE_CLASSES": ("inherit image\n", 'IMAGE_CLASSES += "image-oci-rs"\n'),
    "INHERIT": ("inherit image\n", 'INHERIT += "image-oci-rs"\n'),
}

# Lines of a recipe, and whether they lead to the type oci. The types a, b and docker are those of other classes.
LEADS_TO_OCI = [
    ('IMAGE_FSTYPES = "oci"', True),
    ('IMAGE_FSTYPES = "tar.bz2"', False),
    ('IMAGE_FSTYPES = "docker"\nIMAGE_TYPEDEP:docker = "oci"', True),
    ('IMAGE_FSTYPES = "tar docker.gz"\nIMAGE_TYPEDEP:docker = "tar oci"', True),
    ('IMAGE_FSTYPES = "docker"\nIMAGE_TYPEDEP:docker = "oci.tar.zst"', True),
    ('IMAGE_FSTYPES = "docker.gz"\nIMAGE_TYPEDEP:docker.gz = "oci"', True),
    ('IMAGE_FSTYPES = "a"\nIMAGE_TYPEDEP:a = "b.gz"\nIMAGE_TYPEDEP:b = "docker"\nIMAGE_TYPEDEP:docker = "oci"', True),
    ('IMAGE_FSTYPES = "tar"\nIMAGE_TYPEDEP:docker = "oci"', False),
    ('IMAGE_FSTYPES = "docker"\nIMAGE_TYPEDEP:docker = "oci"\nIMAGE_TYPEDEP:docker:remove = "oci"', False),
    ('IMAGE_FSTYPES = "docker-archive"', True),
    ('IMAGE_FSTYPES = "docker-archive.gz"', True),
    ('IMAGE_FSTYPES = "a"\nIMAGE_TYPEDEP:a = "docker-archive.gz"', True),
    ('IMAGE_FSTYPES = "tar"\nIMAGE_FSTYPES_DEBUGFS = "oci"', False),
]
OTHER_TYPES = "".join(f'IMAGE_CMD:{name} = "touch {name}"\n' for name in ("a", "b", "docker"))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("lines", "leads"), LEADS_TO_OCI, ids=[lines for lines, _ in LEADS_TO_OCI])
def test_what_leads_to_oci_is_known_when_parsed(kit: Kit, order: str, lines: str, leads: bool) -> None:
    inherit, conf = ORDERS[order]
    build = kit.build_directory(f"{inherit}{lines}\n{OTHER_TYPES}", conf=conf)
    if order in ("image first", "IMAGE_CLASSES"):
        # In the other orders, what image.bbclass says comes later.
        assert build.parse().getVar("ROOTFS_BOOTSTRAP_INSTALL") == ("" if leads else "run-postinsts")
    build.write(build.recipe.read_text() + 'OCI_IMAGE_PORTS = "0"\n', conf)
    assert (build.parse().getVar("__SKIPPED") or "").startswith("OCI_IMAGE_PORTS: ") == leads


def test_a_recipe_without_an_image_is_left_alone(kit: Kit) -> None:
    lines = 'IMAGE_FSTYPES = "docker"\nIMAGE_TYPEDEP:docker = "oci"\nOCI_IMAGE_PORTS = "0"\n'
    assert kit.build_directory(lines, conf='INHERIT += "image-oci-rs"\n').parse().getVar("__SKIPPED") is None


def test_a_new_way_to_oci_changes_the_root_filesystem(kit: Kit) -> None:
    # do_rootfs installs what the variable says.
    recipe = 'inherit image image-oci-rs\nIMAGE_FSTYPES = "docker"\ndo_rootfs[vardeps] += "ROOTFS_BOOTSTRAP_INSTALL"\n'
    hashes = [
        task_hashes(kit.build_directory(f'{recipe}{OTHER_TYPES}IMAGE_TYPEDEP:docker = "{types}"\n').parse())[
            "do_rootfs"
        ]
        for types in ("oci", "tar", "tar.gz")
    ]
    assert hashes[0] != hashes[1] == hashes[2]


def built(kit: Kit, types: str, *lines: str, order: str = "image first", conf: str = "") -> Outcome:
    inherit, classes = ORDERS[order]
    recipe = [f'IMAGE_FSTYPES = "{types}"', f'ROOTFS_COMMAND = "{SMALL_ROOTFS}"', 'IMAGE_TYPEDEP:oci = ""', *lines]
    outcome = kit.build_directory(inherit + "\n".join(recipe) + "\n", conf=CLOCK + classes + conf).run()
    assert outcome.succeeded, outcome.output
    return outcome


def names(directory: Path) -> set[str]:
    """The names that have docker-archive in them."""
    return {path.name for path in directory.iterdir() if "docker-archive" in path.name}


def manifest(outcome: Outcome) -> list[str]:
    tasks = json.loads((outcome.deployed / "manifest.json").read_text())
    (images,) = [task["images"] for task in tasks if task["taskname"] == "image_docker_archive"]
    return sorted(image["filename"] for image in images)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("archives", ["true", "oci", "dir", ""])
def test_docker_archive(kit: Kit, order: str, archives: str) -> None:
    outcome = built(kit, "docker-archive", f'OCI_IMAGE_TAR_OUTPUT = "{archives}"', order=order)
    file = outcome.deployed / f"{NAME}.docker-archive"
    assert names(outcome.deployed) == {file.name, "app-qemux86-64.rootfs.docker-archive"}
    assert os.readlink(outcome.deployed / "app-qemux86-64.rootfs.docker-archive") == file.name
    assert manifest(outcome) == [file.name]
    assert image_oci_rs.validate(file).findings == ()
    (image,) = image_oci_rs.inspect(file).images
    assert image.name == "docker.io/library/app:latest"
    if archives in ("true", "oci"):
        assert file.read_bytes() == (outcome.deployed / "app-latest-oci.tar").read_bytes()
        # Not a second copy.
        assert (outcome.build.images / file.name).stat().st_nlink > 1
    assert (outcome.deployed / "app-latest-oci.tar").exists() == (archives in ("true", "oci"))


@pytest.mark.parametrize("archives", ["true", ""])
def test_docker_archive_that_is_compressed(kit: Kit, archives: str) -> None:
    outcome = built(kit, "docker-archive.gz", f'OCI_IMAGE_TAR_OUTPUT = "{archives}"')
    assert manifest(outcome) == [f"{NAME}.docker-archive.gz"]
    assert names(outcome.deployed) == {f"{NAME}.docker-archive.gz", "app-qemux86-64.rootfs.docker-archive.gz"}


def test_docker_archive_of_debug_files(kit: Kit) -> None:
    lines = ('IMAGE_GEN_DEBUGFS = "1"', 'IMAGE_FSTYPES_DEBUGFS = "docker-archive"', 'OCI_IMAGE_TAR_OUTPUT = ""')
    outcome = built(kit, "tar", *lines)
    debug = f"{NAME.replace('rootfs', 'rootfs-dbg')}-dbg.docker-archive"
    assert names(outcome.deployed) == {debug, "app-qemux86-64.rootfs-dbg.docker-archive"}
    (image,) = image_oci_rs.inspect(outcome.deployed / debug).images
    assert image.name == "docker.io/library/app-dbg:latest"


@pytest.mark.parametrize("archives", ["true", ""])
def test_docker_archive_task_alone_runs_again(kit: Kit, archives: str) -> None:
    build = built(kit, "docker-archive", f'OCI_IMAGE_TAR_OUTPUT = "{archives}"').build
    build.write(build.recipe.read_text(), LATER)
    outcome = build.run("do_image_docker_archive")
    assert outcome.succeeded, outcome.output
    new = f"{NAME.replace('030405', '040405')}.docker-archive"
    assert names(build.images) == {new, "app-qemux86-64.rootfs.docker-archive"}
    assert os.readlink(build.images / "app-qemux86-64.rootfs.docker-archive") == new
    assert image_oci_rs.validate(build.images / new).findings == ()


def test_rerun_leaves_no_docker_archive_of_earlier(kit: Kit) -> None:
    build = built(kit, "docker-archive docker-archive.gz").build
    build.write(build.recipe.read_text() + 'OCI_IMAGE_LABELS = "a=1"\n', LATER)
    assert build.run("do_image_oci").succeeded
    assert names(build.images) == set()
    assert build.run("do_image_docker_archive").succeeded
    assert all("040405" in name for name in names(build.images) if "20260102" in name)


def test_docker_archive_without_any_archive_says_what_to_do(kit: Kit) -> None:
    build = built(kit, "docker-archive").build
    (build.images / f"{NAME}-oci.tar").unlink()
    (build.images / f"{NAME}.docker-archive").unlink()
    outcome = build.run("do_image_docker_archive")
    assert not outcome.succeeded
    assert f"{NAME}.docker-archive: do_image_oci has left no archive to make it of; run:" in outcome.output


THEIRS = """\
IMAGE_CMD:docker-archive () {
	echo theirs > ${IMGDEPLOYDIR}/${IMAGE_NAME}.docker-archive
}
"""


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("type_dependency", ["", 'IMAGE_TYPEDEP:docker-archive = "tar"\n'])
def test_another_class_that_has_the_type_wins(kit: Kit, place: str, type_dependency: str) -> None:
    theirs, ours = THEIRS + type_dependency, "inherit image-oci-rs\n"
    recipe = "inherit image\n" + (theirs + ours if place == "before" else ours + theirs)
    recipe += f'IMAGE_FSTYPES = "docker-archive"\nROOTFS_COMMAND = "{SMALL_ROOTFS}"\n'
    build = kit.build_directory(recipe, conf=CLOCK)
    d = build.parse()
    assert "python3-image-oci-rs-native" not in (d.getVarFlag("do_image_docker_archive", "depends") or "")
    assert (d.getVarFlag("do_image_docker_archive", "prefuncs") or "").split() == ["set_image_size"]
    assert d.getVarFlag("do_image_oci", "task") is None
    assert d.getVar("ROOTFS_BOOTSTRAP_INSTALL") == "run-postinsts"
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    assert (outcome.deployed / f"{NAME}.docker-archive").read_text() == "theirs\n"


def test_the_type_of_another_class_beside_oci(kit: Kit) -> None:
    build = built(kit, "oci docker-archive", THEIRS, 'OCI_IMAGE_TAR_OUTPUT = ""').build
    file = build.images / f"{NAME}.docker-archive"
    assert file.read_text() == "theirs\n"
    # What others have made is theirs.
    assert build.run("do_image_oci").succeeded
    assert file.read_text() == "theirs\n"


def test_only_a_wish_for_the_type_changes_the_hash(kit: Kit) -> None:
    # do_image_oci then writes the archive.
    recipe = SMALL_IMAGE + 'OCI_IMAGE_TAR_OUTPUT = ""\n'
    builds = [
        kit.build_directory(f'{recipe}IMAGE_FSTYPES = "{types}"\n')
        for types in ("oci", "oci tar", "oci docker-archive")
    ]
    hashes = [task_hashes(build.parse())["do_image_oci"] for build in builds]
    assert hashes[0] == hashes[1] != hashes[2]
