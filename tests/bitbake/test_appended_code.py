"""Shell code that recipes append to do_image_oci: it sees what the body in image-oci.bbclass leaves behind."""

from __future__ import annotations

import re

import pytest
from bitbake_harness.build_directory import Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE

import image_oci_rs

CLOCK = 'DATE = "20260102"\nTIME = "030405"\n'
NAME = "app-qemux86-64.rootfs-20260102030405"
SEEN = 'echo "SEEN $(pwd)|$image_name|$image_tag|$(test -d "$image_name" && echo layout)"'


def build(kit: Kit, *lines: str, types: str = "oci") -> Outcome:
    recipe = SMALL_IMAGE.replace('IMAGE_FSTYPES = "oci"', f'IMAGE_FSTYPES = "{types}"')
    outcome = kit.build_directory(recipe + "\n".join(lines) + "\n", conf=CLOCK).run()
    assert outcome.succeeded, outcome.output
    return outcome


@pytest.mark.parametrize("place", ["IMAGE_CMD:oci:append", "do_image_oci:append"])
@pytest.mark.parametrize(
    ("tag", "shown"),
    [("latest", "latest"), ("app:1.0", "app_1.0"), ("team/app:1.0", "team_app_1.0"), ("${DISTRO_VERSION}", "6.1+g~1")],
)
def test_variables_and_directory(kit: Kit, place: str, tag: str, shown: str) -> None:
    lines = ['DISTRO_VERSION = "6.1+g~1"', f'OCI_IMAGE_TAG = "{tag}"', f"{place} () {{\n\t{SEEN}\n}}"]
    outcome = build(kit, *lines)

    (seen,) = re.findall("^SEEN (.*)$", outcome.log("do_image_oci"), re.MULTILINE)
    assert seen.split("|") == [str(outcome.build.images), f"{NAME}.rootfs-oci", shown, "layout"]
    # Recipes compute these names from them.
    assert (outcome.deployed / f"app-{shown}-oci/index.json").exists()
    assert (outcome.deployed / f"app-{shown}-oci.tar").exists()


def test_an_archive_of_its_own(kit: Kit) -> None:
    code = """
IMAGE_CMD:oci:append () {
	if [ -z "$image_name" ]; then
		bbfatal "no image"
	fi
	tar --sort=name --format=posix --numeric-owner -cf $image_name.tar -C $image_name .
	ln -fs $image_name.tar ${IMAGE_BASENAME}.tar
}
"""
    outcome = build(kit, 'OCI_IMAGE_TAR_OUTPUT = ""', code)

    assert image_oci_rs.validate(outcome.deployed / "app.tar").findings == ()


@pytest.mark.needs("skopeo")
def test_a_docker_archive_by_skopeo(kit: Kit) -> None:
    code = """
IMAGE_CMD:oci:append () {
	cd ${IMGDEPLOYDIR}
	skopeo --insecure-policy copy --additional-tag=team/app:2 oci-archive:$image_name.tar \\
		docker-archive:${IMAGE_BASENAME}-$image_tag-docker.tar
}
"""
    outcome = build(kit, code)

    (image,) = image_oci_rs.inspect(outcome.deployed / "app-latest-docker.tar").images
    assert image.name == "docker.io/team/app:2"


def test_a_copy_under_another_name(kit: Kit) -> None:
    code = """
IMAGE_CMD:oci:append () {
	ln -sf $image_name ${IMAGE_BASENAME}-current
	cp $image_name/index.json ${IMAGE_BASENAME}-$image_tag.json
}
"""
    outcome = build(kit, code)

    assert (outcome.deployed / "app-current/oci-layout").exists()
    assert (outcome.deployed / "app-latest.json").exists()


def test_conversions_follow_appended_code(kit: Kit) -> None:
    code = "IMAGE_CMD:oci:append () {\n\tcd /\n}"
    outcome = build(kit, code, types="oci.tar.zst")

    assert (outcome.deployed / f"{NAME}.oci.tar.zst").exists()
    assert not (outcome.deployed / f"{NAME}.oci").exists()
