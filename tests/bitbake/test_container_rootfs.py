"""OCI_CONTAINER_ROOTFS stands for the lines that nearly every recipe of a container has."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.datastore import task_hashes
from image_recipe import layout_json

SmallImage = Callable[..., BuildDirectory]

ON = 'OCI_CONTAINER_ROOTFS = "1"'
# The lines of a machine and a distribution.
CONF = """
EXTRA_IMAGEDEPENDS += "u-boot opensbi"
IMAGE_CLASSES += "qemuboot"
EXTRA_IMAGE_FEATURES = "debug-tweaks"
"""
VARIABLES = (
    "KERNELDEPMODDEPEND",
    "KERNEL_DEPLOY_DEPEND",
    "IMAGE_CONTAINER_NO_DUMMY",
    "EXTRA_IMAGEDEPENDS",
    "DEPENDS",
    "IMAGE_LINGUAS",
    "LINGUAS_INSTALL",
    "IMAGE_FEATURES",
    "NO_RECOMMENDATIONS",
)
# The root filesystem as packages leave it, and image.bbclass.
LINKS = (
    'ROOTFS_COMMAND:append = "; mkdir -p run var/volatile etc;'
    " ln -s volatile/log var/log; ln -s volatile/tmp var/tmp; ln -s ../run var/run; ln -s /run/lock var/lock;"
    ' ln -s /var/volatile/cache var/cache"'
)


def values(d: Any) -> dict[str, str | None]:
    return {name: " ".join((d.getVar(name) or "").split()) for name in VARIABLES}


def built(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


def layer(outcome: Outcome) -> dict[str, tarfile.TarInfo]:
    layout = outcome.deployed / "app-latest-oci"
    _, manifest, _ = layout_json(layout)
    found: dict[str, tarfile.TarInfo] = {}
    for descriptor in manifest["layers"]:
        with tarfile.open(layout / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")) as archive:
            found |= {member.name.removeprefix("./"): member for member in archive}
    return found


@pytest.mark.parametrize("conf", ["", 'INHERIT += "image-oci-rs"'])
def test_switch_sets_what_the_table_says(small_image: SmallImage, conf: str) -> None:
    d = small_image(ON, conf=CONF + conf).parse()
    assert values(d) == {
        "KERNELDEPMODDEPEND": "",
        "KERNEL_DEPLOY_DEPEND": "",
        "IMAGE_CONTAINER_NO_DUMMY": "1",
        "EXTRA_IMAGEDEPENDS": "",
        "DEPENDS": "lib32-qemuwrapper-cross depmodwrapper-cross",
        "IMAGE_LINGUAS": "",
        "LINGUAS_INSTALL": "",
        "IMAGE_FEATURES": "",
        "NO_RECOMMENDATIONS": "1",
    }
    depends = [d.getVarFlag(task, "depends") or "" for task in ("do_rootfs", "do_image_complete", "do_build")]
    assert "".join(depends).split() == []


@pytest.mark.parametrize("line", ["", 'OCI_CONTAINER_ROOTFS = "0"', 'OCI_CONTAINER_ROOTFS = "no"'])
def test_switch_is_off_by_default(small_image: SmallImage, line: str) -> None:
    d = small_image(line, conf=CONF).parse()
    assert values(d) == {
        "KERNELDEPMODDEPEND": "virtual/kernel:do_packagedata",
        "KERNEL_DEPLOY_DEPEND": "virtual/kernel:do_deploy",
        "IMAGE_CONTAINER_NO_DUMMY": "",
        "EXTRA_IMAGEDEPENDS": "u-boot opensbi qemu-system-native qemu-helper-native:do_addto_recipe_sysroot",
        "DEPENDS": "lib32-qemuwrapper-cross qemuwrapper-cross depmodwrapper-cross",
        "IMAGE_LINGUAS": "en-us en-gb",
        "LINGUAS_INSTALL": "locale-base-en-us locale-base-en-gb",
        "IMAGE_FEATURES": "debug-tweaks",
        "NO_RECOMMENDATIONS": "",
    }
    assert "oci_rs_" not in d.getVar("ROOTFS_POSTPROCESS_COMMAND")


@pytest.mark.parametrize(
    ("line", "variable", "value"),
    [
        ('KERNEL_DEPLOY_DEPEND = "linux-own:do_deploy"', "KERNEL_DEPLOY_DEPEND", "linux-own:do_deploy"),
        ('IMAGE_CONTAINER_NO_DUMMY = "0"', "IMAGE_CONTAINER_NO_DUMMY", "0"),
        ('EXTRA_IMAGEDEPENDS += "own-helper"', "EXTRA_IMAGEDEPENDS", "own-helper"),
        ('DEPENDS += "qemuwrapper-cross"', "DEPENDS", "lib32-qemuwrapper-cross depmodwrapper-cross qemuwrapper-cross"),
        ('IMAGE_LINGUAS = "de-de"', "LINGUAS_INSTALL", "locale-base-de-de"),
        ('IMAGE_LINGUAS:append = " de-de"', "IMAGE_LINGUAS", "de-de"),
        ('IMAGE_FEATURES = "package-management"', "IMAGE_FEATURES", "package-management"),
        ('IMAGE_FEATURES:append = " ssh-server-dropbear"', "IMAGE_FEATURES", "ssh-server-dropbear"),
        ('NO_RECOMMENDATIONS = "0"', "NO_RECOMMENDATIONS", "0"),
    ],
)
def test_value_of_the_recipe_wins(small_image: SmallImage, line: str, variable: str, value: str) -> None:
    assert values(small_image(ON, line, conf=CONF).parse())[variable] == value


def test_value_before_the_inherit_line_wins(kit: Any) -> None:
    recipe = f'{ON}\nIMAGE_LINGUAS = "de-de"\nIMAGE_FSTYPES = "oci"\ninherit image image-oci-rs\n'
    assert kit.build_directory(recipe).parse().getVar("IMAGE_LINGUAS") == "de-de"


def test_other_images_of_the_build_are_left_alone(kit: Any) -> None:
    conf = CONF + 'INHERIT += "image-oci-rs"\n' + ON + "\n"
    d = kit.build_directory('inherit image\nIMAGE_FSTYPES = "tar"\n', conf=conf).parse()
    assert d.getVar("KERNEL_DEPLOY_DEPEND") == "virtual/kernel:do_deploy"
    assert d.getVar("IMAGE_FEATURES") == "debug-tweaks"


def test_invalid_value_is_reported(small_image: SmallImage) -> None:
    skipped = small_image('OCI_CONTAINER_ROOTFS = "maybe"').parse().getVar("__SKIPPED")
    assert skipped.startswith("OCI_CONTAINER_ROOTFS: must be 1, yes or true") and "'maybe'" in skipped


def test_links_of_base_files_lead_somewhere(small_image: SmallImage) -> None:
    # OE-core empties /var/volatile if /etc/fstab mounts something there.
    emptied = """
ROOTFS_POSTPROCESS_COMMAND += "empty_var_volatile"
empty_var_volatile () {
\trm -rf ${IMAGE_ROOTFS}/var/volatile/*
}"""
    made = 'ROOTFS_COMMAND:append = "; mkdir -p var/volatile/log"'
    outcome = built(small_image(ON, LINKS, made, emptied))
    files = layer(outcome)
    modes = {name: (files[name].mode, files[name].uid, files[name].gid) for name in files if files[name].isdir()}
    assert modes["var/volatile/tmp"] == (0o1777, 0, 0)
    assert modes["var/volatile/log"] == (0o755, 0, 0)
    assert modes["run/lock"] == (0o1777, 0, 0)
    # This link could as well lead to a file.
    assert "var/volatile/cache" not in files
    assert files["var/log"].issym() and files["var/lock"].issym()
    assert "made /run/lock, where /var/lock leads" in outcome.log("do_rootfs")


def test_nothing_is_made_while_the_switch_is_off(small_image: SmallImage) -> None:
    files = layer(built(small_image(LINKS)))
    assert not {"var/volatile/tmp", "var/volatile/log", "run/lock", "etc/resolv.conf"} & files.keys()


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (":", 0),
        ("ln -s ../run/systemd/resolve/resolv.conf etc/resolv.conf", 0),
        ("ln -s /etc/resolv-conf.systemd etc/resolv.conf; ln -s ../run/missing etc/resolv-conf.systemd", 0),
        ("echo nameserver 10.0.0.1 > etc/resolv.conf", 20),
        # A link to a file that is there stays.
        ("echo nameserver 10.0.0.1 > etc/own.conf; ln -s own.conf etc/resolv.conf", None),
        ("echo nameserver 10.0.0.1 > etc/own.conf; ln -s /etc/own.conf etc/resolv.conf", None),
    ],
)
def test_resolv_conf_is_something_to_mount_over(small_image: SmallImage, command: str, size: int | None) -> None:
    files = layer(built(small_image(ON, f'ROOTFS_COMMAND:append = "; mkdir -p etc; {command}"')))
    entry = files["etc/resolv.conf"]
    if size is None:
        assert entry.issym()
    else:
        assert (entry.isreg(), entry.size, entry.mode, entry.uid) == (True, size, 0o644, 0)


def test_links_do_not_lead_out_of_the_root_filesystem(small_image: SmallImage, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    lines = (
        f'ROOTFS_COMMAND:append = "; mkdir -p var; ln -s {tmp_path}/out var/log; ln -s ../../../../../../out2 var/tmp"'
    )
    outcome = built(small_image(ON, lines))
    assert list(tmp_path.iterdir()) == []
    assert f"{tmp_path}/out".lstrip("/") in layer(outcome) and "out2" in layer(outcome)


def test_circle_of_links_is_an_error(small_image: SmallImage) -> None:
    outcome = small_image(ON, 'ROOTFS_COMMAND:append = "; mkdir var; ln -s tmp var/log; ln -s log var/tmp"').run()
    assert not outcome.succeeded
    assert "var/tmp: too many levels of symbolic links" in outcome.output


def test_file_in_the_way_is_an_error(small_image: SmallImage) -> None:
    outcome = small_image(
        ON, 'ROOTFS_COMMAND:append = "; mkdir var; echo > var/volatile; ln -s volatile/log var/log"'
    ).run()
    assert not outcome.succeeded
    assert "/var/log: /var/volatile is not a directory in the root filesystem" in outcome.output


def test_switch_is_in_the_signature_of_the_root_filesystem(small_image: SmallImage) -> None:
    on, off = (small_image(line).parse() for line in (ON, ""))
    # As image.bbclass declares it.
    for d in on, off:
        d.setVarFlag("do_rootfs", "vardeps", "ROOTFS_POSTPROCESS_COMMAND")
    assert task_hashes(on)["do_rootfs"] != task_hashes(off)["do_rootfs"]
    assert "container_rootfs.py:True" in on.getVarFlag("do_rootfs", "file-checksums")
    assert off.getVarFlag("do_rootfs", "file-checksums") is None
