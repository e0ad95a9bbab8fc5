"""Functions and appended code that cannot work here are reported when a recipe is parsed, and no others."""

from __future__ import annotations

import logging
import tarfile

import pytest
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE
from ordinary_hooks import IMAGE, ORDINARY, POST, PRE, ROOTFS, UMOCI, python, shell
from test_migration import RECIPES

import image_oci_rs
from image_oci_rs.bitbake.lint import warnings

# Where the tests parse, BitBake takes itself for a worker, which has nothing to report.
SERVER = 'BB_WORKERCONTEXT = ""\n'

# A name for the case, lines of the recipe, and a part of the warning.
REPORTED: list[tuple[str, str, str]] = [
    (
        "layers' root filesystems",
        python(
            "fix_layers",
            "for n in range(1, int(d.getVar('OCI_LAYER_COUNT') or '0') + 1):\n"
            "    rootfs = d.getVar(f'OCI_LAYER_{n}_ROOTFS')",
            PRE,
        ),
        "fix_layers, of do_image_oci[prefuncs], uses OCI_LAYER_COUNT, OCI_LAYER_<n>_ROOTFS, which image-oci-rs does not"
        " have. All layers are made of IMAGE_ROOTFS: make the change there",
    ),
    ("their names", python("fix", "d.getVar('OCI_LAYER_%d_NAME' % 1)", PRE), "uses OCI_LAYER_<n>_NAME"),
    ("their names, in parts", python("fix", "d.getVar('OCI_LAYER_' + n + '_ROOTFS')", PRE), "uses OCI_LAYER_"),
    ("within a message", python("fix", "bb.note('in %s' % d.getVar('OCI_LAYER_1_ROOTFS'))", PRE), "OCI_LAYER_1_ROOTFS"),
    ("one layer", python("fix", "rootfs = d.getVar('OCI_LAYER_ROOTFS')", PRE), "uses OCI_LAYER_ROOTFS"),
    ("in shell", shell("fix", "chmod u+w ${OCI_LAYER_1_ROOTFS}/etc", PRE), "uses OCI_LAYER_1_ROOTFS"),
    (
        "the directory of layers",
        python("fix", "import glob\nglob.glob(d.expand('${WORKDIR}/oci-layer-rootfs/*'))", PRE),
        "uses oci-layer-rootfs",
    ),
    (
        "the directory, in shell",
        shell("fix", "touch ${WORKDIR}/oci-layer-rootfs/layer-1/x", IMAGE),
        "of IMAGE_PREPROCESS",
    ),
    (
        "redirected",
        shell("fix", "echo x > ${WORKDIR}/oci-layer-rootfs/a", ROOTFS),
        "of ROOTFS_POSTPROCESS_COMMAND, uses",
    ),
    ("the bundle", "IMAGE_CMD:oci:append () {\n\tls $image_bundle_name/rootfs\n}\n", "append uses image_bundle_name"),
    (
        "its name",
        shell("b", "ls ${IMAGE_NAME}${IMAGE_NAME_SUFFIX}-oci-bundle", PRE),
        "uses oci-bundle",
    ),
    (
        "umoci config",
        UMOCI + shell("annotate", 'umoci config --image "$image_name:1" --config.label a=b', POST),
        "annotate, of do_image_oci[postfuncs], calls umoci config, but umoci does not make the image and its archives."
        " Set the variable for it instead, such as OCI_IMAGE_LABELS",
    ),
    (
        "by a variable",
        UMOCI + shell("f", "l=${IMGDEPLOYDIR}/x\n\tumoci config --image $l:1", POST),
        "calls umoci config",
    ),
    (
        "umoci raw add-layer",
        UMOCI + shell("f", "umoci raw add-layer --image ${IMAGE_NAME}-oci:1 x", POST),
        "calls umoci raw add-layer",
    ),
    ("umoci repack", shell("f", "umoci repack --image a:1 bundle", POST), "calls umoci repack"),
    (
        "umoci tag",
        shell("f", "umoci tag --image $image_name:1 2", POST),
        "Set OCI_IMAGE_TAG instead, or OCI_IMAGE_EXTRA_TAGS",
    ),
    ("a path", shell("f", "${STAGING_BINDIR_NATIVE}/umoci config --image $image_name:1", POST), "calls umoci config"),
    ("with a prefix", shell("f", "if ! env A=1 umoci gc --layout $image_name; then true; fi", POST), "calls umoci gc"),
    ("in a substitution", shell("f", 'x="$(umoci config --image "$image_name:1")"', POST), "calls umoci config"),
    ("in backquotes", shell("f", "x=`umoci config --image $image_name:1`", POST), "calls umoci config"),
    ("in a subshell", shell("f", "(cd x && umoci config --image $image_name:1)", POST), "calls umoci config"),
    (
        "in Python",
        python("f", "import subprocess\nsubprocess.run(['umoci', 'config', d.getVar('PN')])", POST),
        "umoci config",
    ),
    (
        "in a Python string",
        python("f", "import os\nos.system('cd x && umoci config --image a:1')", POST),
        "umoci config",
    ),
    (
        "appended",
        "IMAGE_CMD:oci:append () {\n\tumoci config --image $image_name:1\n}\n",
        "IMAGE_CMD:oci:append or do_image_oci:append calls umoci",
    ),
    ("appended to the task", "do_image_oci:append () {\n\tumoci gc --layout $image_name\n}\n", "append calls umoci gc"),
    (
        "umoci stat",
        shell("f", "umoci stat --image $image_name:1", POST),
        "calls umoci stat, but nothing that the recipe depends",
    ),
    ("sloci-image", shell("f", "sloci-image --tar ${IMAGE_ROOTFS} app:1", POST), "calls sloci-image"),
    (
        "of do_image",
        shell("f", "umoci new --image $image_name:1", "do_image[postfuncs]"),
        "f, of do_image[postfuncs], calls",
    ),
    (
        "in a function that is called",
        "helper () {\n\tumoci gc --layout $image_name\n}\n" + shell("caller", "helper", POST),
        "helper, called by caller of do_image_oci[postfuncs], calls umoci gc",
    ),
    (
        "by exec_func",
        "helper () {\n\tumoci gc --layout $image_name\n}\n" + python("caller", "bb.build.exec_func('helper', d)", POST),
        "helper, called by caller",
    ),
]


def reported(kit: Kit, recipe: str) -> list[str]:
    d = kit.build_directory(SMALL_IMAGE + recipe, conf=SERVER).parse()
    assert d.getVar("__SKIPPED") is None
    return warnings(d)


@pytest.mark.parametrize(("recipe", "text"), [row[1:] for row in REPORTED], ids=[row[0] for row in REPORTED])
def test_what_cannot_work_is_reported(kit: Kit, recipe: str, text: str) -> None:
    found = reported(kit, recipe)
    assert found
    assert all(sentence.startswith("app: ") for sentence in found)
    assert any(text in sentence for sentence in found), found
    assert len(found) == len(set(found))


@pytest.mark.parametrize("what", ORDINARY)
def test_ordinary_recipes_are_not_reported(kit: Kit, what: str) -> None:
    assert reported(kit, ORDINARY[what]) == []


@pytest.mark.parametrize("variables", [row[1] for row in RECIPES], ids=[row[0] for row in RECIPES])
def test_migrated_recipes_are_not_reported(kit: Kit, variables: str) -> None:
    assert reported(kit, variables.replace("\n        ", "\n")) == []


@pytest.mark.parametrize("inherit", ["inherit image image-oci-rs", "inherit image-oci-rs image"])
def test_appended_code_is_reported_once(kit: Kit, inherit: str) -> None:
    recipe = SMALL_IMAGE.replace("inherit image image-oci-rs", inherit)
    recipe += "IMAGE_CMD:oci:append () {\n\tumoci gc --layout $image_name\n}\n"
    d = kit.build_directory(recipe, conf=SERVER).parse()
    assert len(warnings(d)) == 1


def test_bitbake_warns_when_it_parses(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    recipe = shell("f", "umoci gc --layout $image_name", POST) + 'OCI_IMAGE_USER = "1000"\n'
    with caplog.at_level(logging.WARNING, "BitBake"):
        kit.build_directory(SMALL_IMAGE + recipe, conf=SERVER).parse()
        texts = [record.getMessage() for record in caplog.records]
        assert [text.partition(",")[0] for text in texts] == ["app: OCI_IMAGE_USER is set", "app: f"]
        caplog.clear()
        # A worker parses the recipe for every task.
        kit.build_directory(SMALL_IMAGE + recipe).parse()
        # An image of another type.
        other = SMALL_IMAGE.replace('IMAGE_FSTYPES = "oci"', 'IMAGE_FSTYPES = "tar.gz"')
        kit.build_directory(other + recipe, conf=SERVER).parse()
        assert caplog.records == []


@pytest.mark.parametrize("inherit", ["inherit image image-oci-rs", "inherit image-oci-rs image"])
def test_functions_in_front_of_the_task_change_the_image(kit: Kit, inherit: str) -> None:
    recipe = SMALL_IMAGE.replace("inherit image image-oci-rs", inherit) + shell("rename", "mv bin/sh bin/ash", PRE)
    recipe += 'rename[dirs] = "${IMAGE_ROOTFS}"\n' + python("label", "d.setVar('OCI_IMAGE_LABELS', 'a=b')", PRE)
    outcome = kit.build_directory(recipe).run()
    assert outcome.succeeded, outcome.output
    (image,) = image_oci_rs.inspect(outcome.deployed / "app-latest-oci").images
    assert image.config["Labels"] == {"a": "b"}
    (layer,) = image.layers
    with tarfile.open(outcome.deployed / "app-latest-oci/blobs" / layer.digest.replace(":", "/")) as archive:
        assert "bin/ash" in archive.getnames()


def test_whiteout_in_the_root_filesystem(kit: Kit) -> None:
    outcome = kit.build_directory(SMALL_IMAGE + shell("mark", "touch ${IMAGE_ROOTFS}/bin/.wh.sh", PRE)).run()
    assert not outcome.succeeded
    assert "so no image can hold it. Remove the .wh. file, and delete the file that it is for" in outcome.output


def test_enough_ordinary_recipes() -> None:
    assert len(ORDINARY) >= 40
