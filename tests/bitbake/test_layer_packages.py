"""Packages that OCI_LAYERS names are packages of the image."""

from __future__ import annotations

from typing import Any

import pytest
from bitbake_harness.datastore import task_hashes
from bitbake_harness.kit import Kit

MULTI = 'OCI_LAYER_MODE = "multi"\n'
LAYERS = 'OCI_LAYERS = "base:packages:base-files+netbase shell:packages:busybox"\n'

# Lines of a recipe, and IMAGE_INSTALL.
CASES: dict[str, tuple[str, list[str]]] = {
    "packages": (MULTI + LAYERS, ["base-files", "netbase", "busybox"]),
    "with a group": (
        MULTI + 'OCI_LAYERS = "a:packages:packagegroup-core-boot+zz-app"',
        ["packagegroup-core-boot", "zz-app"],
    ),
    "some are there": (MULTI + LAYERS + 'IMAGE_INSTALL = "busybox app"', ["busybox", "app", "base-files", "netbase"]),
    "appended by the recipe": (
        MULTI + LAYERS + 'IMAGE_INSTALL:append = " ${SHELL_PACKAGE}"\nSHELL_PACKAGE = "busybox"',
        ["busybox", "base-files", "netbase"],
    ),
    "all are there": (
        MULTI + LAYERS + 'IMAGE_INSTALL = "netbase base-files busybox"',
        ["netbase", "base-files", "busybox"],
    ),
    "removed by the recipe": (MULTI + LAYERS + 'IMAGE_INSTALL:remove = "netbase"', ["base-files", "busybox"]),
    "twice in the layers": (MULTI + 'OCI_LAYERS = "a:packages:x+y b:packages:y,z"', ["x", "y", "z"]),
    "plus signs in names": (
        MULTI + 'OCI_LAYERS = "a:packages:libgcc+libstdc++ b:packages:g++"',
        ["libgcc", "libstdc++", "g++"],
    ),
    "quotes": (MULTI + 'OCI_LAYERS = "\'a:packages:x\' "b:packages:y""', ["x", "y"]),
    "renamed libraries": (
        MULTI + 'OCI_LAYERS = "a:packages:libc6+libz1+libstdc++6+python3+libpam"',
        ["python3", "libpam"],
    ),
    "libraries that have a recipe": (
        MULTI + 'OCI_LAYERS = "a:packages:libxml2+libusb1+libnl3+libxml"',
        ["libxml2", "libusb1", "libxml"],
    ),
    "a multilib": (
        MULTI + 'MULTILIB_VARIANTS = "lib32"\nOCI_LAYERS = "a:packages:lib32-busybox+lib32-libc6+lib32-libxml2"',
        ["lib32-busybox", "lib32-libxml2"],
    ),
    "other types": (
        MULTI + 'OCI_LAYERS = "a:directories:/opt/app b:files:/etc/conf c:host:/srv/ca:/etc/ca d:packages:x"',
        ["x"],
    ),
    "mode single": (LAYERS, []),
    "mode auto": ('OCI_LAYER_MODE = "auto"\n' + LAYERS, []),
    "no such image": (MULTI + LAYERS + 'IMAGE_FSTYPES = "tar.gz"', []),
    "a conversion": (MULTI + LAYERS + 'IMAGE_FSTYPES = "oci.tar.gz"', ["base-files", "netbase", "busybox"]),
}
# Recipes of the build. Only what BBFILES has is one.
RECIPES = ("recipes-a/libxml2/libxml2_2.14.bb", "recipes-b/libusb/libusb1.bb", "elsewhere/x/libnl3_1.bb")
BBFILES = 'BBFILES = "${TOPDIR}/recipes-*/*/*.bb ${TOPDIR}/recipes-*/*/*.bbappend ${TOPDIR}/elsewhere/x/other_1.bb"\n'

# How a recipe may come by the class.
INHERITED = {
    "after image": ("inherit image image-oci-rs\n", ""),
    "before image": ("inherit image-oci-rs image\n", ""),
    "everywhere": ("inherit image\n", 'INHERIT += "image-oci-rs"\n'),
    "for images": ("inherit image\n", 'IMAGE_CLASSES += "image-oci-rs"\n'),
}


def parsed(kit: Kit, lines: str, inherited: str = "after image") -> Any:
    recipe, conf = INHERITED[inherited]
    build = kit.build_directory(f'{recipe}IMAGE_FSTYPES = "oci"\n{lines}\n', conf=conf + BBFILES)
    for name in RECIPES:
        (build.top / name).parent.mkdir(parents=True)
        (build.top / name).touch()
    return build.parse()


@pytest.mark.parametrize(("lines", "installed"), CASES.values(), ids=CASES)
def test_packages_of_layers_are_installed(kit: Kit, lines: str, installed: list[str]) -> None:
    d = parsed(kit, lines)
    assert d.getVar("__SKIPPED") is None
    assert d.getVar("IMAGE_INSTALL").split() == installed
    assert d.getVar("PACKAGE_INSTALL").split()[: len(installed)] == installed


@pytest.mark.parametrize("inherited", INHERITED)
def test_every_way_to_inherit_the_class(kit: Kit, inherited: str) -> None:
    d = parsed(kit, MULTI + LAYERS + 'IMAGE_INSTALL += "app netbase"', inherited)
    assert d.getVar("IMAGE_INSTALL").split() == ["app", "netbase", "base-files", "busybox"]


def test_no_duplicate_after_a_class_that_folds_by_itself(kit: Kit) -> None:
    # As image-oci.bbclass does, of which this class is then the backend.
    folds = "inherit image folds\n" + 'IMAGE_FSTYPES = "oci"\n' + MULTI + LAYERS
    build = kit.build_directory(folds)
    (build.top / "classes").mkdir()
    (build.top / "classes/folds.bbclass").write_text(
        "python () {\n    d.appendVar('IMAGE_INSTALL', ' base-files busybox netbase')\n}\ninherit image-oci-rs\n"
    )
    assert build.parse().getVar("IMAGE_INSTALL").split() == ["base-files", "busybox", "netbase"]


def test_root_filesystem_is_made_again_for_other_packages(kit: Kit) -> None:
    hashes = {
        task_hashes(parsed(kit, MULTI + f'OCI_LAYERS = "{layers}"'))["do_rootfs"]
        for layers in ("a:packages:x", "a:packages:x+y")
    }
    assert len(hashes) == 2
    # The layers alone are do_image_oci's.
    both = [
        task_hashes(parsed(kit, MULTI + f'OCI_LAYERS = "{layers}"'))
        for layers in ("a:packages:x b:packages:y", "a:packages:x+y")
    ]
    assert both[0]["do_rootfs"] == both[1]["do_rootfs"]
    assert both[0]["do_image_oci"] != both[1]["do_image_oci"]
