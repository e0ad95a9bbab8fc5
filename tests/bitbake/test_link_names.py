"""The names under which image-oci.bbclass has left its outputs since kirkstone, and what other classes do with them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from bitbake_harness.build_directory import Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE

import image_oci_rs
from rootfs_fixtures.lacking import lacking

CLOCK = 'DATE = "20260102"\nTIME = "030405"\n'
LATER = CLOCK.replace("030405", "040405")

# How a release or a recipe names images, and what image-oci.bbclass makes of IMAGE_NAME and IMAGE_NAME_SUFFIX.
SCHEMES = {
    "kirkstone": (
        'IMAGE_LINK_NAME = "${IMAGE_BASENAME}-${MACHINE}"\nIMAGE_NAME = "${IMAGE_LINK_NAME}${IMAGE_VERSION_SUFFIX}"',
        "app-qemux86-64-20260102030405.rootfs-oci",
    ),
    "scarthgap": ("", "app-qemux86-64.rootfs-20260102030405.rootfs-oci"),
    "empty suffix": ('IMAGE_NAME_SUFFIX = ""', "app-qemux86-64-20260102030405-oci"),
    "no suffix": (
        'IMAGE_NAME = "app${IMAGE_VERSION_SUFFIX}"\nIMAGE_LINK_NAME = "app"\n'
        "python () {\n    d.delVar('IMAGE_NAME_SUFFIX')\n}",
        "app-20260102030405-oci",
    ),
    "own suffix": ('IMAGE_NAME_SUFFIX = "-container"', "app-qemux86-64-container-20260102030405-container-oci"),
    "own name": ('IMAGE_NAME = "distro${IMAGE_VERSION_SUFFIX}"', "distro-20260102030405.rootfs-oci"),
    "name without a time": ('IMAGE_NAME = "app-fixed"', "app-fixed.rootfs-oci"),
}


def build(kit: Kit, *lines: str) -> Outcome:
    outcome = kit.build_directory(SMALL_IMAGE + "\n".join(lines) + "\n", conf=CLOCK).run()
    assert outcome.succeeded, outcome.output
    return outcome


def digest_of(image: Path) -> str:
    (summary,) = image_oci_rs.inspect(image).images
    return summary.manifest.digest


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_naming_scheme(kit: Kit, scheme: str) -> None:
    lines, name = SCHEMES[scheme]
    outcome = build(kit, lines)

    for directory in (outcome.build.images, outcome.deployed):
        images = [directory / name, directory / f"{name}.tar", directory / f"{name}-dir.tar"]
        assert (images[0] / "index.json").exists()
        assert {digest_of(image) for image in images[:2]} == {digest_of(directory / "app-latest-oci")}
        assert images[2].stat().st_size > 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rerun_leaves_no_link_of_the_earlier_run(kit: Kit, scheme: str) -> None:
    directory = build(kit, SCHEMES[scheme][0]).build
    before = {path.name for path in directory.images.iterdir()}
    directory.write(directory.recipe.read_text() + 'OCI_IMAGE_LABELS = "a=1"\n', LATER)
    outcome = directory.run("do_image_oci")

    assert outcome.succeeded, outcome.output
    assert {path.name for path in directory.images.iterdir()} == {name.replace("030405", "040405") for name in before}
    assert all(path.exists() for path in directory.images.iterdir())


@pytest.mark.parametrize("debug", [False, True])
def test_rerun_removes_what_appended_code_made_in_place_of_a_link(kit: Kit, debug: bool) -> None:
    lines = [
        'IMAGE_GEN_DEBUGFS = "1"',
        'IMAGE_FSTYPES_DEBUGFS = "oci"',
        'IMAGE_CMD:oci:append () {\n\trm -f "$image_name.tar"\n\ttar -cf "$image_name.tar" -C "$image_name" .\n}',
    ]
    directory = build(kit, *lines).build
    directory.write(directory.recipe.read_text(), LATER)
    task = "do_image_debugfs_oci" if debug else "do_image_oci"
    assert directory.run(task).succeeded

    # The other of the two tasks may be running at the same time.
    old = [path.name for path in directory.images.iterdir() if "030405" in path.name]
    assert old
    assert all(("-dbg" in name) is not debug for name in old)


def test_archives_of_sloci_image(kit: Kit) -> None:
    lines = ('OCI_IMAGE_BACKEND = "sloci-image"', 'OCI_IMAGE_TAG = "1.0"')
    outcome = build(kit, *lines)
    name = "app-qemux86-64.rootfs-20260102030405"

    start = f"{name}.rootfs-oci-1.0-x86_64-linux"
    links = {path.name: os.readlink(path) for path in outcome.deployed.iterdir() if path.is_symlink()}
    assert links[f"{start}.oci-image.tar"] == f"{name}-oci.tar"
    assert links[f"{start}.oci-dir.tar"] == f"{name}-oci-dir.tar"
    assert not any("-linux." in path.name for path in build(kit).deployed.iterdir())


# Functions after do_image_oci, as other classes have them, in words of our own.
USES = {
    "umoci stat": ("umoci", 'umoci stat --image "$layout:${OCI_IMAGE_TAG}"'),
    "umoci unpack": ("umoci", 'umoci unpack --rootless --image "$layout:latest" ${WORKDIR}/unpacked'),
    "skopeo inspect oci": ("skopeo", 'skopeo inspect "oci:$layout"'),
    "skopeo copy oci": ("skopeo", 'skopeo --insecure-policy copy "oci:$layout" docker-archive:${WORKDIR}/a.tar:app:1'),
    "skopeo copy oci-archive": (
        "skopeo",
        'skopeo --insecure-policy copy "oci-archive:$layout.tar" docker-archive:${WORKDIR}/b.tar:app:1',
    ),
    "tar -x": ("tar", 'mkdir ${WORKDIR}/x; tar -xf "$layout.tar" -C ${WORKDIR}/x; test -e ${WORKDIR}/x/index.json'),
    "tar -x of -dir.tar": ("tar", 'tar -xf "$layout-dir.tar" -C ${WORKDIR}; test -e ${WORKDIR}/app-latest-oci/blobs'),
    "ls": ("ls", 'oci=$(ls -td *.rootfs-oci | head -n 1); test -e "$oci/oci-layout"'),
    "a change of index.json": (
        "sed",
        'sed "s/latest/changed/" "$layout/index.json" > "$layout/new"; mv "$layout/new" "$layout/index.json";'
        ' (cd "$layout" && tar -cf "../$layout.tar" .)',
    ),
}


@pytest.mark.parametrize("use", USES)
def test_function_after_the_task(kit: Kit, use: str) -> None:
    program, code = USES[use]
    if shutil.which(program) is None:
        lacking(f"the program {program}")
    function = f"""
use_image () {{
	cd ${{IMGDEPLOYDIR}}
	layout="${{IMAGE_NAME}}${{IMAGE_NAME_SUFFIX}}-oci"
	{code}
}}
do_image_oci[postfuncs] += "use_image"
"""
    outcome = build(kit, function)
    if "change" in use:
        for image in ("app-latest-oci", "app-latest-oci.tar"):
            assert str(image_oci_rs.inspect(outcome.deployed / image).images[0].name).endswith(":changed")
