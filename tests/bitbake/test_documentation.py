"""docs/variables.md, platforms.md and base-images.md say of every variable what the classes say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from bitbake_harness.datastore import parse
from bitbake_harness.kit import REPOSITORY, Kit
from test_engine_recipes import CONF, WHEEL

CLASSES = [
    REPOSITORY / f"classes/{name}.bbclass"
    for name in ("image-oci-rs", "oci-nonroot-rs", "oci-rs-engine", "oci-rs-rootfs")
]


@pytest.mark.parametrize(
    ("recipe", "page", "unused"),
    [
        ("inherit image image-oci-rs\n", "variables.md", ()),
        ("inherit oci-index-rs\n", "platforms.md", ()),
        # Nothing is fetched by the engine.
        ("inherit oci-fetch-rs\n", "base-images.md", ("OCI_NATIVE_DEPENDS",)),
    ],
)
def test_every_variable_is_documented_with_its_default(
    kit: Kit, recipe: str, page: str, unused: tuple[str, ...]
) -> None:
    declared = rows(kit.build_directory(recipe).parse())
    if page == "variables.md":
        # The class that is inherited last may set variables of the other one.
        declared = rows(kit.build_directory(f"{recipe.rstrip()} oci-nonroot-rs\n").parse()) | declared
        top = kit.build_directory("", conf=CONF).top
        declared |= rows(parse(top, REPOSITORY / "recipes-devtools/python" / WHEEL))
    for name in unused:
        del declared[name]
    lines = (REPOSITORY / "docs" / page).read_text().splitlines()
    documented = {line.split("`")[1]: line for line in lines if line.startswith("| `OCI_")}
    assert documented == declared


def rows(d: Any) -> dict[str, str]:
    """The rows of a table that the variables of a recipe should have."""
    found = {}
    for name in d:
        meaning = d.getVarFlag(name, "doc")
        if name.startswith("OCI_") and meaning:
            found[name] = f"| `{name}` | {default_in_words(d.getVar(name, False))} | {meaning} |"
    return found


def default_in_words(text: str | None) -> str:
    if text is None:
        return "unset"
    if text.startswith("${@"):
        return "computed"
    return f"`{text}`" if text else "empty"


def test_every_variable_of_others_that_is_read_is_documented(kit: Kit) -> None:
    d = kit.build_directory("inherit image image-oci-rs\n").parse()
    read = " ".join(d.getVarFlag("oci_rs_library", flag) for flag in ("vardeps", "vardepsexclude")).split()
    text = (REPOSITORY / "docs/variables.md").read_text().partition("Read are also")[2]
    # With PATH, programs are found as ever.
    others = {name for name in read if not name.startswith("OCI_")} - {"PATH"}
    assert set(re.findall("`([A-Z_]+)`", text)) == others


# What the classes tell the library, and what image-oci.bbclass has and this class no use for.
NOT_FOR_USERS = {
    "OCI_DOCKER_ARCHIVES",
    "OCI_RESERVED_VARFLAGS",
    "OCI_CONFIGURED_IMAGEDEPENDS",
    "OCI_IMAGE_APP_RECIPE",
    "OCI_IMAGE_BACKEND",
    "OCI_LAYER_CACHE",
    "OCI_LAYER_CACHE_DIR",
}


def test_every_variable_of_the_class_has_a_default_and_a_text(kit: Kit) -> None:
    text = "".join(path.read_text() for path in CLASSES)
    named = set(re.findall(r"\bOCI_[A-Z_]+", text)) - NOT_FOR_USERS
    assert set(re.findall(r"^(OCI_\w+)\[doc\] = ", text, re.MULTILINE)) == named
    # Where unset and empty are not the same. oci-nonroot-rs sets the user.
    without = {"CMD", "PORTS", "STOPSIGNAL", "VOLUMES", "WORKINGDIR"}
    assert set(re.findall(r"^(OCI_\w+) \?\??= ", text, re.MULTILINE)) == named - {
        f"OCI_IMAGE_{name}" for name in without
    }


def test_every_variable_of_the_image_oci_class_is_here() -> None:
    # From meta-virtualization's image-oci.bbclass, without NOT_FOR_USERS.
    old = """
        OCI_BASE_IMAGE OCI_BASE_IMAGE_TAG OCI_IMAGE_ARCH OCI_IMAGE_AUTHOR
        OCI_IMAGE_AUTHOR_EMAIL OCI_IMAGE_AUTO_LABELS OCI_IMAGE_BRANCH OCI_IMAGE_BUILD_DATE
        OCI_IMAGE_CMD OCI_IMAGE_ENTRYPOINT OCI_IMAGE_ENTRYPOINT_ARGS OCI_IMAGE_ENV_VARS
        OCI_IMAGE_LABELS OCI_IMAGE_PORTS OCI_IMAGE_REVISION OCI_IMAGE_RUNTIME_UID
        OCI_IMAGE_STOPSIGNAL OCI_IMAGE_SUBARCH OCI_IMAGE_TAG OCI_IMAGE_TAR_OUTPUT
        OCI_IMAGE_WORKINGDIR OCI_LAYERS OCI_LAYER_MODE
    """
    documented = (REPOSITORY / "docs/variables.md").read_text()
    assert [name for name in old.split() if f"| `{name}` |" not in documented] == []
