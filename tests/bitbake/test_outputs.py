"""Which files and links the tasks leave, in every inherit order and for every image type."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from threading import Event, Thread

import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE, SMALL_ROOTFS, layout_json

import image_oci_rs
from image_oci_rs.bitbake.deploy import Outputs

NAME = "app-qemux86-64.rootfs-20260102030405"
CLOCK = 'DATE = "20260102"\nTIME = "030405"\n'
ORDERS = {
    "image first": ("inherit image image-oci-rs", ""),
    "image last": ("inherit image-oci-rs image", ""),
    "IMAGE_CLASSES": ("inherit image", 'IMAGE_CLASSES += "image-oci-rs"\n'),
    "INHERIT": ("inherit image", 'INHERIT += "image-oci-rs"\n'),
}
ALL_TYPES = "oci oci.tar oci.tar.gz oci.tar.zst"


def build(kit: Kit, inherit: str, types: str, *lines: str, conf: str = "") -> Outcome:
    recipe = [
        inherit,
        f'IMAGE_FSTYPES = "{types}"',
        f'ROOTFS_COMMAND = "{SMALL_ROOTFS}"',
        'IMAGE_TYPEDEP:oci = ""',
        'OCI_IMAGE_AUTO_LABELS = "0"',
        *lines,
    ]
    outcome = kit.build_directory("\n".join(recipe) + "\n", conf=CLOCK + conf).run()
    assert outcome.succeeded, outcome.output
    return outcome


def deployed(outcome: Outcome) -> dict[str, str]:
    """Every name in DEPLOY_DIR_IMAGE: where a link leads to, or what else it is."""

    def kind(path: Path) -> str:
        if path.is_symlink():
            assert path.exists(), f"{path} leads to {os.readlink(path)}, which is not there"
            return os.readlink(path)
        return "directory" if path.is_dir() else "file"

    return {path.name: kind(path) for path in outcome.deployed.iterdir() if path.name != "manifest.json"}


def image_manifest(outcome: Outcome) -> list[str]:
    """The files that image.bbclass knows the task do_image_oci has made."""
    (entry,) = [
        entry
        for entry in json.loads((outcome.deployed / "manifest.json").read_text())
        if entry["taskname"] == "image_oci"
    ]
    return sorted(image["filename"] for image in entry["images"])


ARCHIVES = {
    f"{NAME}-oci.tar": "file",
    f"{NAME}-oci-dir.tar": "file",
    f"{NAME}.rootfs-oci.tar": f"{NAME}-oci.tar",
    f"{NAME}.rootfs-oci-dir.tar": f"{NAME}-oci-dir.tar",
    "app-latest-oci.tar": f"{NAME}-oci.tar",
    "app-latest-oci-dir.tar": f"{NAME}-oci-dir.tar",
}
LAYOUT = {
    f"{NAME}.oci": "directory",
    f"{NAME}-oci": f"{NAME}.oci",
    f"{NAME}.rootfs-oci": f"{NAME}.oci",
    "app-latest-oci": f"{NAME}.oci",
    "app-qemux86-64.rootfs.oci": f"{NAME}.oci",
}


def conversion(suffix: str) -> dict[str, str]:
    return {f"{NAME}.{suffix}": "file", f"app-qemux86-64.rootfs.{suffix}": f"{NAME}.{suffix}"}


@pytest.mark.parametrize("order", ORDERS)
def test_every_inherit_order_makes_every_type(kit: Kit, order: str) -> None:
    inherit, conf = ORDERS[order]
    outcome = build(kit, inherit, ALL_TYPES, conf=conf)

    conversions = conversion("oci.tar") | conversion("oci.tar.gz") | conversion("oci.tar.zst")
    assert deployed(outcome) == LAYOUT | ARCHIVES | conversions
    assert image_manifest(outcome) == sorted(f"{NAME}.{suffix}" for suffix in ALL_TYPES.split())
    images = [outcome.deployed / f"{NAME}.oci", outcome.deployed / f"{NAME}.oci.tar"]
    images += [outcome.deployed / f"{NAME}-oci.tar"]
    for image in images:
        assert image_oci_rs.validate(image).findings == ()
    assert len({digest_of(image) for image in images}) == 1


def digest_of(image: Path) -> str:
    (summary,) = image_oci_rs.inspect(image).images
    return summary.manifest.digest


@pytest.mark.parametrize(
    ("order", "suffix"),
    [
        ("image first", "oci.tar"),
        ("image first", "oci.tar.gz"),
        *((order, "oci.tar.zst") for order in ORDERS),
    ],
)
def test_conversion_alone_keeps_nothing_else(kit: Kit, order: str, suffix: str) -> None:
    inherit, conf = ORDERS[order]
    outcome = build(kit, inherit, suffix, 'OCI_IMAGE_TAR_OUTPUT = ""', conf=conf)

    assert deployed(outcome) == conversion(suffix)
    assert image_manifest(outcome) == [f"{NAME}.{suffix}"]
    archive = outcome.deployed / f"{NAME}.{suffix}"
    unpacked = outcome.build.top / "unpacked.tar"
    programs = {"tar": "cat", "gz": "gzip -dc", "zst": "zstd -qdc"}
    unpack = programs[suffix.rpartition(".")[2]].split()
    unpacked.write_bytes(subprocess.run([*unpack, archive], check=True, capture_output=True).stdout)
    assert image_oci_rs.validate(unpacked).findings == ()


@pytest.mark.parametrize(
    ("value", "archives"),
    [
        ("true", ("oci", "oci-dir")),
        ("1", ("oci", "oci-dir")),
        ("yes", ("oci", "oci-dir")),
        ("what old recipes wrote", ("oci", "oci-dir")),
        ("oci dir", ("oci", "oci-dir")),
        ("oci", ("oci",)),
        ("dir", ("oci-dir",)),
        ("", ()),
        ("false", ()),
        ("0", ()),
        ("no", ()),
    ],
)
def test_tar_output(kit: Kit, value: str, archives: tuple[str, ...]) -> None:
    from image_oci_rs.bitbake.deploy import Outputs

    build = kit.build_directory(SMALL_IMAGE + f'OCI_IMAGE_TAR_OUTPUT = "{value}"\n')
    assert Outputs.of(build.parse()).archives == archives


def test_only_the_archives_asked_for_are_made_and_linked(kit: Kit) -> None:
    for value, kind in {"oci": "-oci.tar", "dir": "-oci-dir.tar"}.items():
        outcome = build(kit, "inherit image image-oci-rs", "oci", f'OCI_IMAGE_TAR_OUTPUT = "{value}"')
        assert deployed(outcome) == LAYOUT | {
            f"{NAME}{kind}": "file",
            f"{NAME}.rootfs{kind}": f"{NAME}{kind}",
            f"app-latest{kind}": f"{NAME}{kind}",
        }


def test_archives_hold_the_layout_at_the_top_and_below_a_directory_without_a_date(kit: Kit) -> None:
    outcome = build(kit, "inherit image image-oci-rs", "oci", 'OCI_IMAGE_TAG = "app:1.2"')

    assert deployed(outcome)["app-app_1.2-oci"] == f"{NAME}.oci"
    with tarfile.open(outcome.deployed / "app-app_1.2-oci.tar") as archive:
        top = {name.removeprefix("./") for name in archive.getnames()}
    with tarfile.open(outcome.deployed / "app-app_1.2-oci-dir.tar") as archive:
        below = set(archive.getnames())
    assert {"index.json", "oci-layout", "manifest.json"} <= top
    assert {f"app-app_1.2-oci/{name}" for name in top if name} | {"app-app_1.2-oci"} == below


def test_defaults_ask_for_the_types_that_the_old_class_asked_for(kit: Kit) -> None:
    recipe = f'inherit image image-oci-rs\nIMAGE_FSTYPES = "oci"\nROOTFS_COMMAND = "{SMALL_ROOTFS}"\n'
    outcome = kit.build_directory(recipe, conf=CLOCK).run()

    assert outcome.succeeded, outcome.output
    assert deployed(outcome) == LAYOUT | ARCHIVES | conversion("tar.bz2")


def test_container_beside_oci_as_old_recipes_write_it(kit: Kit) -> None:
    outcome = build(kit, "inherit image image-oci-rs", "container oci")

    assert deployed(outcome) == LAYOUT | ARCHIVES | conversion("tar.bz2")


@pytest.mark.parametrize("order", ["image first", "image last"])
def test_image_of_debug_files(kit: Kit, order: str) -> None:
    inherit, conf = ORDERS[order]
    lines = [
        'IMAGE_GEN_DEBUGFS = "1"',
        'IMAGE_FSTYPES_DEBUGFS = "oci oci.tar.gz"',
        'ROOTFS_DEBUG_COMMAND = "mkdir -p usr/lib/debug"',
    ]
    outcome = build(kit, inherit, "oci", *lines, conf=conf)

    # IMAGE_NAME is made of IMAGE_LINK_NAME, and image.bbclass appends to both.
    debug = NAME.replace("rootfs", "rootfs-dbg") + "-dbg"
    assert deployed(outcome) == LAYOUT | ARCHIVES | {
        f"{debug}.oci": "directory",
        f"{debug}-oci": f"{debug}.oci",
        f"{debug}.rootfs-oci": f"{debug}.oci",
        "app-dbg-latest-oci": f"{debug}.oci",
        "app-qemux86-64.rootfs-dbg.oci": f"{debug}.oci",
        f"{debug}.oci.tar.gz": "file",
        "app-qemux86-64.rootfs-dbg.oci.tar.gz": f"{debug}.oci.tar.gz",
        f"{debug}-oci.tar": "file",
        f"{debug}-oci-dir.tar": "file",
        f"{debug}.rootfs-oci.tar": f"{debug}-oci.tar",
        f"{debug}.rootfs-oci-dir.tar": f"{debug}-oci-dir.tar",
        "app-dbg-latest-oci.tar": f"{debug}-oci.tar",
        "app-dbg-latest-oci-dir.tar": f"{debug}-oci-dir.tar",
    }
    (image,) = image_oci_rs.inspect(outcome.deployed / f"{debug}.oci").images
    assert image.name == "docker.io/library/app-dbg:latest"
    (image,) = image_oci_rs.inspect(outcome.deployed / f"{NAME}.oci").images
    assert image.name == "docker.io/library/app:latest"


def test_layers_and_release_are_the_other_images(kit: Kit) -> None:
    outcome = build(
        kit,
        "inherit image image-oci-rs",
        "oci",
        'IMAGE_GEN_DEBUGFS = "1"',
        'IMAGE_FSTYPES_DEBUGFS = "oci"',
        'OCI_LAYER_MODE = "multi"',
        'OCI_LAYERS = "app:files:/bin/sh"',
        'OCI_LAYER_PACKAGES = "none"',
    )
    _, manifest, _ = layout_json(outcome.deployed / "app-latest-oci")
    assert len(manifest["layers"]) == 2
    _, manifest, _ = layout_json(outcome.deployed / "app-dbg-latest-oci")
    assert len(manifest["layers"]) == 1
    assert "OCI_LAYERS is set" not in outcome.log("do_image_debugfs_oci")


def rerun_of_the_task_alone(kit: Kit, *lines: str) -> tuple[BuildDirectory, Outcome]:
    """do_image_oci again, an hour later and with lines added, on what an earlier build has left."""
    first = build(kit, "inherit image image-oci-rs", ALL_TYPES)
    directory = first.build
    directory.write(directory.recipe.read_text() + "\n".join(lines) + "\n", CLOCK.replace("030405", "040405"))
    outcome = directory.run("do_image_oci")
    assert outcome.succeeded, outcome.output
    return directory, outcome


def test_rerun_leaves_nothing_of_the_earlier_run(kit: Kit) -> None:
    directory, _ = rerun_of_the_task_alone(kit, 'OCI_IMAGE_TAG = "new"', 'OCI_IMAGE_TAR_OUTPUT = "oci"')

    new = NAME.replace("030405", "040405")
    conversions = [f".oci.{suffix}" for suffix in ("tar", "tar.gz", "tar.zst")]
    made = [".oci", "-oci", "-oci.tar", ".rootfs-oci", ".rootfs-oci.tar", *conversions]
    links = ["app-new-oci", "app-new-oci.tar", "app-qemux86-64.rootfs.oci"]
    links += [f"app-qemux86-64.rootfs{suffix}" for suffix in conversions]
    assert {path.name for path in directory.images.iterdir()} == {
        *links,
        *(new + suffix for suffix in made),
    }


@pytest.mark.parametrize(
    "line",
    [
        'IMAGE_NAME = "distro-${IMAGE_BASENAME}${IMAGE_VERSION_SUFFIX}"',
        'IMAGE_LINK_NAME = ""\nIMAGE_NAME = "${IMAGE_VERSION_SUFFIX}"',
    ],
    ids=["another-name", "no-name"],
)
def test_rerun_under_a_name_without_the_recipe(kit: Kit, line: str) -> None:
    directory = build(kit, "inherit image image-oci-rs", "oci", line).build
    before = {path.name for path in directory.images.iterdir()}
    later = CLOCK.replace("030405", "040405")
    directory.write(directory.recipe.read_text() + 'OCI_IMAGE_LABELS = "a=1"\n', later)
    outcome = directory.run("do_image_oci")
    assert outcome.succeeded, outcome.output
    assert {path.name for path in directory.images.iterdir()} == {name.replace("030405", "040405") for name in before}


def test_rerun_leaves_what_others_have_made(kit: Kit) -> None:
    others = ["app.tar.bz2", "app-oci.txt", "app.ocidata", "app-oci.tar.asc", "other-oci.tar"]
    others.append("app-1-dbg.oci")  # May be another task's, which runs at the same time.
    directory = build(kit, "inherit image image-oci-rs", "oci").build
    for name in others:
        (directory.images / name).write_text("")
    assert directory.run("do_image_oci").succeeded

    assert set(others) <= {path.name for path in directory.images.iterdir()}


def test_links_that_come_and_go_meanwhile(tmp_path: Path) -> None:
    done = Event()

    def other_tasks() -> None:
        while not done.is_set():
            for name in ("app.ext4", "app-dbg-latest-oci"):
                (tmp_path / name).unlink(missing_ok=True)
                (tmp_path / name).symlink_to("target")

    outputs = Outputs(tmp_path, "app", "app-1", "app-latest-oci", (), keeps_layout=False, suffix="")
    thread = Thread(target=other_tasks)
    thread.start()
    try:
        for _ in range(2000):
            outputs.remove_stale()
    finally:
        done.set()
        thread.join()


def test_rebuild_gives_the_same_bytes(kit: Kit) -> None:
    first = build(kit, "inherit image image-oci-rs", ALL_TYPES)
    content = {
        suffix: (first.deployed / f"{NAME}{suffix}").read_bytes()
        for suffix in ("-oci.tar", "-oci-dir.tar", ".oci.tar", ".oci.tar.gz", ".oci.tar.zst")
    }
    first.build.write(first.build.recipe.read_text() + 'OCI_THREADS = "7"\n', CLOCK.replace("030405", "040405"))
    assert first.build.run().succeeded

    new = NAME.replace("030405", "040405")
    for suffix, bytes_before in content.items():
        assert (first.deployed / f"{new}{suffix}").read_bytes() == bytes_before, suffix


def test_name_without_a_date_that_is_the_name_of_a_link_too(kit: Kit) -> None:
    outcome = build(kit, "inherit image image-oci-rs", "oci", 'IMAGE_NAME = "app-latest"')

    assert {name: target for name, target in deployed(outcome).items() if name.startswith("app-latest")} == {
        "app-latest.oci": "directory",
        "app-latest-oci": "app-latest.oci",
        "app-latest-oci.tar": "file",
        "app-latest-oci-dir.tar": "file",
        "app-latest.rootfs-oci": "app-latest.oci",
        "app-latest.rootfs-oci.tar": "app-latest-oci.tar",
        "app-latest.rootfs-oci-dir.tar": "app-latest-oci-dir.tar",
    }


def test_layout_is_that_of_the_root_filesystem_under_pseudo(kit: Kit) -> None:
    outcome = build(kit, "inherit image image-oci-rs", "oci", 'OCI_LAYER_COMPRESSION = "none"')

    _, manifest, _ = layout_json(outcome.deployed / f"{NAME}.oci")
    (layer,) = manifest["layers"]
    with tarfile.open(outcome.deployed / f"{NAME}.oci/blobs" / layer["digest"].replace(":", "/")) as archive:
        entries = {
            member.name: (
                member.uid,
                member.gid,
                oct(member.mode),
                member.devmajor,
                member.devminor,
            )
            for member in archive
        }
    assert entries["bin/sh"] == (5, 6, "0o4755", 0, 0)
    assert entries["dev/null"][-2:] == (1, 3)
