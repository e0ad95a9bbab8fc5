"""OCI_IMAGE_SUBARCH is the version of the ARM architecture, whichever variable of the tune names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.datastore import task_hashes
from image_recipe import layout_json

SmallImage = Callable[..., BuildDirectory]

# Facts of OE-core: DEFAULTTUNE, TARGET_ARCH, TUNE_FEATURES, what the tune adds to MACHINEOVERRIDES; for the tunes that
# add nothing, PACKAGE_EXTRA_ARCHS. One tune for each core and each architecture; scripts/oe/tunes.py tries them all.
TUNES = """
    arm920t        arm    arm thumb arm920t                        | armv4         |
    arm9tdmi       arm    arm thumb arm9tdmi                       | armv4         |
    armv4          arm    arm armv4                                | armv4         |
    ep9312         arm    thumb ep9312                             | armv4         |
    strongarm      arm    arm strongarm                            | armv4         |
    armv5b         armeb  arm armv5 bigendian                      | armv5         |
    armv7ab        armeb  arm armv7a vfp bigendian                 | armv7a        |
    arm1176jzs-be  armeb  arm thumb arm1176jzs bigendian           | armv6         |
    xscale-be      armeb  arm thumb dsp xscale bigendian           | armv5         |
    arm926ejs      arm    arm thumb dsp arm926ejs                  | armv5         | v5
    armv5          arm    arm armv5                                | armv5         | v5
    iwmmxt         arm    thumb iwmmxt                             | armv5         | v5
    xscale         arm    arm thumb dsp xscale                     | armv5         | v5
    arm1136jfs     arm    arm vfp arm1136jfs                       | armv6         | v6
    arm1176jzs     arm    arm thumb arm1176jzs                     | armv6         | v6
    armv6-novfp    arm    arm armv6                                | armv6         | v6
    armv6m         arm    armv6m                                   | armv6m        | v6
    cortexm0-plus  arm    armv6m cortexm0-plus                     | armv6m        | v6
    armv7a         arm    arm armv7a vfp                           | armv7a        | v7
    armv7em        arm    armv7em                                  | armv7em       | v7
    armv7r         arm    armv7r                                   | armv7r        | v7
    armv7ve        arm    arm armv7ve vfp                          | armv7ve       | v7
    cortexa5       arm    arm vfp cortexa5                         | armv7a        | v7
    cortexa7       arm    arm vfp cortexa7                         | armv7ve       | v7
    cortexa8       arm    arm vfp cortexa8                         | armv7a        | v7
    cortexa9       arm    arm vfp cortexa9                         | armv7a        | v7
    cortexa15      arm    arm vfp cortexa15                        | armv7ve       | v7
    cortexa17      arm    arm vfp cortexa17                        | armv7ve       | v7
    cortexm3       arm    armv7m cortexm3                          | armv7m        | v7
    cortexr4f      arm    armv7r vfpv3d16 cortexr4f                | armv7r        | v7
    armv8-1m-main  arm    armv8-1m-main                            | armv8-1m-main | v8
    armv8m-base    arm    armv8m-base                              | armv8m-base   | v8
    armv8r         arm    armv8r                                   | armv8r        | v8
    cortexa32      arm    armv8a cortexa32 crc neon                | armv8a        | v8
    cortexr52      arm    armv8r crc simd cortexr52                | armv8r        | v8
    cortexm23      arm    cortexm23             | | armv8m-base cortexm23                        | v8
    cortexm33      arm    vfpv5spd16 dsp cortexm33 | | armv8m-main armv8m-maine-fpv5-spd16 cortexm33e-fpv5-spd16 | v8
    cortexm55      arm    cortexm55             | | armv8-1m-main cortexm55                      | v8
    armv8a         aarch64 aarch64 armv8a                          | aarch64:armv8a |
    cortexa53      aarch64 aarch64 crc cortexa53                   | aarch64        |
    core2-64       x86_64  m64 core2                               |                |
"""
UNKNOWN = ("arm", "arm vfp newcore", "", "newcore")


def rows() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for line in filter(str.strip, TUNES.splitlines()):
        tune, *columns, variant = map(str.strip, line.split("|"))
        name, architecture, features = tune.split(maxsplit=2)
        overrides, archs = [*columns, ""][:2]
        found.append((name, architecture, features, overrides, archs, variant))
    return found


@pytest.fixture(scope="module")
def recipe(kit: Any) -> Any:
    return kit.build_directory("inherit image image-oci-rs\n").parse()


def with_tune(d: Any, architecture: str, features: str, overrides: str, archs: str) -> Any:
    tuned = d.createCopy()
    tuned.setVar("TARGET_ARCH", architecture)
    tuned.setVar("TUNE_FEATURES", features)
    tuned.setVar("MACHINEOVERRIDES", f"{overrides}:armv7-lookalike-board")
    tuned.setVar("PACKAGE_EXTRA_ARCHS", archs)
    return tuned


@pytest.mark.parametrize(
    ("architecture", "features", "overrides", "archs", "variant"), [row[1:] for row in rows()], ids=lambda value: value
)
def test_tune_gives_the_variant(
    recipe: Any, architecture: str, features: str, overrides: str, archs: str, variant: str
) -> None:
    assert with_tune(recipe, architecture, features, overrides, archs).getVar("OCI_IMAGE_SUBARCH") == variant


def test_unknown_core_has_no_variant(recipe: Any) -> None:
    assert with_tune(recipe, *UNKNOWN).getVar("OCI_IMAGE_SUBARCH") == ""


def tune_lines(architecture: str, features: str, overrides: str, archs: str) -> tuple[str, ...]:
    return (
        f'TARGET_ARCH = "{architecture}"',
        f'TUNE_FEATURES = "{features}"',
        f'MACHINEOVERRIDES = "{overrides}"',
        f'PACKAGE_EXTRA_ARCHS = "{archs}"',
    )


def test_image_has_the_variant_and_the_log_no_note(small_image: SmallImage) -> None:
    outcome = small_image(*tune_lines("arm", "arm vfp cortexa8", "armv7a:qemuarm", "")).run()
    assert outcome.succeeded, outcome.output
    _, _, config = layout_json(outcome.deployed / "app-latest-oci")
    assert (config["architecture"], config["variant"]) == ("arm", "v7")
    assert "OCI_IMAGE_SUBARCH" not in outcome.log("do_image_oci")


def test_missing_variant_is_a_note(small_image: SmallImage) -> None:
    outcome = small_image(*tune_lines(*UNKNOWN)).run()
    assert outcome.succeeded, outcome.output
    _, _, config = layout_json(outcome.deployed / "app-latest-oci")
    assert config["architecture"] == "arm" and "variant" not in config
    (note,) = [line for line in outcome.log("do_image_oci").splitlines() if "OCI_IMAGE_SUBARCH" in line]
    assert '"arm vfp newcore" (TUNE_FEATURES)' in note


# Wherever it comes from: the text of image-oci.bbclass looks for armv7 in TUNE_FEATURES alone.
OF_ANOTHER_CLASS = "\"${@oci_map_subarch(d.getVar('TARGET_ARCH'), d.getVar('TUNE_FEATURES'), d)}\""


def test_default_of_image_oci_is_replaced(small_image: SmallImage) -> None:
    tune = tune_lines("arm", "arm vfp cortexa8", "armv7a:qemuarm", "")
    assert small_image(*tune, f"OCI_IMAGE_SUBARCH = {OF_ANOTHER_CLASS}").parse().getVar("OCI_IMAGE_SUBARCH") == "v7"
    own = ("OVERRIDES .= ':mine'", f"OCI_IMAGE_SUBARCH = {OF_ANOTHER_CLASS}", 'OCI_IMAGE_SUBARCH:mine = "v6"')
    assert small_image(*tune, *own).parse().getVar("OCI_IMAGE_SUBARCH") == "v6"


@pytest.mark.parametrize("other", ["arm vfp cortexa8", "arm armv6"])
def test_variant_is_in_the_signature(small_image: SmallImage, other: str) -> None:
    def hash_of(features: str, overrides: str) -> str:
        return task_hashes(small_image(*tune_lines("arm", features, overrides, "")).parse())["do_image_oci"]

    before = hash_of("arm vfp arm1176jzs", "armv6")
    assert (hash_of(other, "armv7a" if "cortex" in other else "") == before) == (other == "arm armv6")
