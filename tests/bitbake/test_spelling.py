"""Misspelt variables are reported when a recipe is parsed."""

from __future__ import annotations

import re

import pytest
from bitbake_harness.kit import REPOSITORY, Kit
from image_recipe import SMALL_IMAGE

from image_oci_rs.bitbake.spelling import is_known, warnings

MISSPELT = {
    'OCI_IMAGE_USER = "1000"': "OCI_IMAGE_RUNTIME_UID",
    'OCI_IMAGE_UID = "1000"': "OCI_IMAGE_RUNTIME_UID",
    'OCI_IMAGE_ENTRYPOINT_MAX_TIMEOUT = "30"': "OCI_IMAGE_ENTRYPOINT_ARGS",
    'OCI_IMAGE_LABEL[org.example.key] = "x"': "OCI_IMAGE_LABELS",
    'OCI_IMAGE_PORT += "80"': "OCI_IMAGE_PORTS",
    'OCI_IMAGE_ENV:append = " A=b"': "OCI_IMAGE_ENV_VARS",
    'OCI_IMAGE_ENTRYPONT = "sh"': "OCI_IMAGE_ENTRYPOINT",
    'OCI_IMAGE_STOP_SIGNAL = "SIGINT"': "OCI_IMAGE_STOPSIGNAL",
    'OCI_IMAGE_WORKDIR:pn-app = "/"': "OCI_IMAGE_WORKINGDIR",
    'OCI_IMAGES_TAG = "1"': "OCI_IMAGE_TAG",
    'OCI_LAYER = "a:files:/b"': "OCI_LAYERS",
    'OCI_LAYER_COMPRESION = "zstd"': "OCI_LAYER_COMPRESSION",
    'OCI_BASE = "container-base"': "OCI_BASE_IMAGE",
    'OCI_UPDATE_BUGET = "1M"': "OCI_UPDATE_BUDGET",
}


@pytest.mark.parametrize("line", MISSPELT)
def test_misspelt_variable(kit: Kit, line: str) -> None:
    (sentence,) = warnings(kit.build_directory(SMALL_IMAGE + line + "\n").parse())
    name = re.split("[ :[]", line)[0]
    assert sentence.startswith(f"{name} is set, but nothing reads it: did you mean {MISSPELT[line]}?")


def test_misspelt_variable_of_an_index(kit: Kit) -> None:
    recipe = 'inherit oci-index-rs\nOCI_INDEX_IMAGE = "app"\n'
    (sentence,) = warnings(kit.build_directory(recipe).parse())
    assert "did you mean OCI_INDEX_IMAGES?" in sentence


@pytest.mark.parametrize("name", ["OCI_REGISTRY_URL", "OCI_IMAGE_FOO", "OCI_RUNTIME", "OCI_CONTAINER_CLEANUP"])
def test_what_resembles_nothing_may_be_of_others(kit: Kit, name: str) -> None:
    assert warnings(kit.build_directory(SMALL_IMAGE + f'{name} = "x"\n').parse()) == []


@pytest.mark.parametrize("recipe", ["inherit image image-oci-rs\n", "inherit oci-index-rs\n"])
def test_classes_know_their_own_variables(kit: Kit, recipe: str) -> None:
    d = kit.build_directory(recipe).parse()
    assert [name for name in d if name.startswith("OCI_") and not is_known(name.partition(":")[0])] == []


def test_every_name_in_the_classes_is_known() -> None:
    text = "".join(path.read_text() for path in (REPOSITORY / "classes").glob("*.bbclass"))
    assert [name for name in re.findall(r"^(OCI_[A-Z_]+)\b", text, re.MULTILINE) if not is_known(name)] == []
