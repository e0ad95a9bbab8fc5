"""Several layers, as the variables ask for them."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from bb.checksum import FileChecksumCache
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.datastore import task_hashes
from image_recipe import layout_json

SmallImage = Callable[..., BuildDirectory]
PLAIN = "Level 21"  # bb.plain's has no name.

# Three packages, one of which needs another, and a file that no package owns.
ROOTFS = (
    "mkdir -p bin etc opt/app; echo sh > bin/sh; chmod 4755 bin/sh; chown 5:6 bin/sh; echo lib > opt/app/lib;"
    " echo app > opt/app/app; echo conf > etc/app.conf; echo made > etc/made"
)
PKGDATA = {
    "busybox": ("busybox", {"/bin/sh": 3}, ""),
    "app": ("app", {"/opt/app/app": 4, "/etc/app.conf": 5}, "libapp (>= 1.0)"),
    "libapp": ("app", {"/opt/app/lib": 4}, ""),
}


@pytest.fixture
def image(small_image: SmallImage) -> Callable[..., BuildDirectory]:
    """A small image whose packages pkgdata knows."""

    def make(*lines: str) -> BuildDirectory:
        build = small_image(f'ROOTFS_COMMAND = "{ROOTFS}"', 'PKGDATA_DIR = "${TOPDIR}/pkgdata"', *lines)
        runtime = build.top / "pkgdata/runtime"
        runtime.mkdir(parents=True)
        for package, (recipe, files, needs) in PKGDATA.items():
            values = {"PN": recipe, "PKGV": "1.0", "RDEPENDS": needs, "FILES_INFO": json.dumps(files)}
            lines_of = [f"PN: {recipe}"] + [f"{key}:{package}: {value}" for key, value in values.items()]
            (runtime / package).write_text("\n".join(lines_of) + "\n")
        return build

    return make


def built(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


def layers(outcome: Outcome) -> dict[str, list[str]]:
    """The names of the layers, and what is in them besides directories."""
    layout = outcome.deployed / "app-latest-oci"
    _, manifest, _ = layout_json(layout)
    found = {}
    for layer in manifest["layers"]:
        blob = layout / "blobs/sha256" / layer["digest"].removeprefix("sha256:")
        with tarfile.open(blob) as archive:
            names = [member.name for member in archive if not member.isdir()]
        found[layer["annotations"]["io.github.image-oci-rs.layer.name"]] = names
    return found


def told(outcome: Outcome, level: str) -> list[str]:
    return [event["message"] for event in outcome.events if event.get("level") == level]


def test_layers_are_split_as_the_variable_says(image: SmallImage) -> None:
    outcome = built(
        image(
            'OCI_LAYER_MODE = "multi"',
            'OCI_LAYERS = "shell:packages:busybox app:packages:app conf:files:/etc/app.conf"',
        )
    )
    assert layers(outcome) == {
        "shell": ["bin/sh"],
        "app": ["opt/app/app", "opt/app/lib"],
        "conf": ["etc/app.conf"],
        "rest": ["etc/made"],
    }
    _, manifest, config = layout_json(outcome.deployed / "app-latest-oci")
    assert manifest["layers"][1]["annotations"]["io.github.image-oci-rs.layer.packages"] == "app 1.0, libapp 1.0"
    assert [entry["comment"].partition(":")[0] for entry in config["history"]] == ["shell", "app", "conf", "rest"]
    # Under pseudo, as everything.
    blob = manifest["layers"][0]["digest"].removeprefix("sha256:")
    with tarfile.open(outcome.deployed / "app-latest-oci/blobs/sha256" / blob) as archive:
        shell = archive.getmember("bin/sh")
    assert (shell.uid, shell.gid, shell.mode) == (5, 6, 0o4755)


def test_automatic_layers_and_their_lock_file(image: SmallImage) -> None:
    build = image('OCI_LAYER_MODE = "auto"', 'OCI_LAYER_LOCK = "${TOPDIR}/layers.lock"')
    outcome = built(build)
    assert layers(outcome) == {
        "app": ["etc/app.conf", "opt/app/app", "opt/app/lib"],
        "busybox": ["bin/sh"],
        "rest": ["etc/made"],
        "database": [],
    }
    (lock,) = outcome.deployed.glob("*.oci-layers.lock")
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert lines == ["app app 1.0 0", "busybox busybox 1.0 0"]
    (message,) = told(outcome, PLAIN)
    assert str(build.top / "layers.lock") in message and lock.name in message

    # As the message says; with another plan, which counts from then on.
    (build.top / "layers.lock").write_text("app one 1.0 0\nbusybox one 1.0 0\n")
    outcome = built(build)
    assert layers(outcome)["one"] == ["bin/sh", "etc/app.conf", "opt/app/app", "opt/app/lib"]
    assert told(outcome, PLAIN) == []
    assert list(outcome.deployed.glob("*.oci-layers.lock")) == []


def test_nothing_left_over_is_no_layer(image: SmallImage) -> None:
    # The packages of image-oci.bbclass's own example, and no file besides theirs.
    words = "base:packages:libapp shell:packages:busybox app:packages:app conf:files:/etc/made"
    outcome = built(image('OCI_LAYER_MODE = "multi"', f'OCI_LAYERS = "{words}"'))
    assert layers(outcome) == {
        "base": ["opt/app/lib"],
        "shell": ["bin/sh"],
        "app": ["etc/app.conf", "opt/app/app"],
        "conf": ["etc/made"],
    }


def test_what_is_missing_can_be_a_warning(image: SmallImage) -> None:
    words = "web:packages:nginx+busybox dirs:directories:/run/nginx+/opt"
    lines = ('OCI_LAYER_MODE = "multi"', f'OCI_LAYERS = "{words}"')
    assert not image(*lines).run().succeeded
    outcome = built(image(*lines, 'OCI_LAYER_MISSING = "warn"'))
    assert layers(outcome)["web"] == ["bin/sh"]
    assert layers(outcome)["dirs"] == ["opt/app/app", "opt/app/lib"]
    package, path = told(outcome, "WARNING")
    assert package.startswith("OCI_LAYERS: layer web: nginx: no such package is in the root filesystem")
    assert path == "OCI_LAYERS: layer dirs: /run/nginx: no such path in the root filesystem"


def test_files_of_the_build_machine_come_with_a_warning(image: SmallImage) -> None:
    build = image('OCI_LAYER_MODE = "multi"', 'OCI_LAYERS = "certs:host:${TOPDIR}/ca.pem:/etc/ca.pem"')
    (build.top / "ca.pem").write_text("ca")
    outcome = built(build)
    assert layers(outcome)["certs"] == ["etc/ca.pem"]
    (warning,) = told(outcome, "WARNING")
    assert "certs" in warning and "/ca.pem:/etc/ca.pem" in warning


def test_a_file_of_the_build_machine_goes_into_a_directory(image: SmallImage) -> None:
    # As image-oci.bbclass documents it; the directory is not there yet.
    build = image('OCI_LAYER_MODE = "multi"', 'OCI_LAYERS = "certs:host:${TOPDIR}/my:ca.pem:/etc/ssl/certs/"')
    (build.top / "my:ca.pem").write_text("ca")
    assert layers(built(build))["certs"] == ["etc/ssl/certs/my:ca.pem"]


def test_a_source_with_a_colon_is_in_the_signature(image: SmallImage) -> None:
    build = image('OCI_LAYER_MODE = "multi"', 'OCI_LAYERS = "a:host:${TOPDIR}/a:b.pem:/x"')
    hashes = []
    for content in ("one", "two"):
        (build.top / "a:b.pem").write_text(content)
        checksums = build.parse().getVarFlag("do_image_oci", "file-checksums")
        (found,) = FileChecksumCache().get_checksums(checksums, "app", [])
        assert found[0] == str(build.top / "a:b.pem")
        hashes.append(found[1])
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize("name", ["${IMAGE_NAME}", "${IMAGE_LINK_NAME}"], ids=["same-build", "earlier-do_rootfs"])
def test_what_was_built_and_not_installed_makes_no_difference(image: SmallImage, name: str) -> None:
    build = image(
        'OCI_LAYER_MODE = "auto"',
        'IMAGE_MANIFEST = "${IMGDEPLOYDIR}/${IMAGE_NAME}.manifest"',
        f"ROOTFS_COMMAND:append = '; printf \"app all 1\\nlibapp all 1\\n\" >${{IMGDEPLOYDIR}}/{name}.manifest'",
    )
    # /bin/sh is somebody else's: what has it in pkgdata was not installed.
    found = layers(built(build))
    assert sorted(found) == ["app", "database", "rest"]
    assert "bin/sh" in found["rest"]


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (('OCI_LAYER_MODE = "auto"', 'OCI_LAYER_LOCK = "${TOPDIR}/read"'), "read"),
        (('OCI_LAYER_MODE = "multi"', 'OCI_LAYERS = "a:files:/etc/made b:host:/no/such:/x+${TOPDIR}/read:/y"'), "read"),
        (('OCI_LAYER_MODE = "multi"', "OCI_LAYERS = \"'a:host:${TOPDIR}/c++/a file:/y'\""), "c++/a file"),
        (('OCI_LAYER_MODE = "auto"', 'OCI_LAYER_PACKAGES = "manifest:${TOPDIR}/read"'), "read"),
    ],
)
def test_what_is_read_is_in_the_signature(image: SmallImage, lines: tuple[str, ...], name: str) -> None:
    build = image(*lines)
    before = build.parse().getVarFlag("do_image_oci", "file-checksums")
    assert f"{build.top}/{name}:False" in before
    (build.top / name).parent.mkdir(exist_ok=True)
    (build.top / name).write_text("x")
    assert f"{build.top}/{name}:True" in build.parse().getVarFlag("do_image_oci", "file-checksums")


def test_where_the_lock_file_lies_is_not_in_the_signature(image: SmallImage) -> None:
    d = image('OCI_LAYER_MODE = "auto"', 'OCI_LAYER_LOCK = "${TOPDIR}/a"').parse()
    before = task_hashes(d)["do_image_oci"]
    d.setVar("OCI_LAYER_LOCK", os.fspath(Path("/elsewhere/b")))
    assert task_hashes(d)["do_image_oci"] == before


@pytest.mark.parametrize("mode", ["single", "auto", "multi"])
def test_what_the_mode_does_not_use_is_a_note(image: SmallImage, mode: str) -> None:
    layers, lock = 'OCI_LAYERS = "shell:directories:/etc"', 'OCI_LAYER_LOCK = "${TOPDIR}/layers.lock"'
    log = built(image(layers, lock, f'OCI_LAYER_MODE = "{mode}"')).log("do_image_oci")
    assert ("OCI_LAYERS is set, and has no meaning" in log) == (mode != "multi")
    assert ("OCI_LAYER_LOCK is set, and has no meaning" in log) == (mode != "auto")


def test_layers_are_checked_in_every_mode(image: SmallImage) -> None:
    for mode in ("single", "auto", "multi"):
        skipped = image('OCI_LAYERS = "garbage"', f'OCI_LAYER_MODE = "{mode}"').parse().getVar("__SKIPPED")
        assert skipped.startswith("OCI_LAYERS: must be "), mode


def test_a_package_that_is_not_there_stops_the_task(image: SmallImage) -> None:
    outcome = image('OCI_LAYER_MODE = "multi"', 'OCI_LAYERS = "web:packages:nginx"').run()
    assert not outcome.succeeded
    assert (
        "OCI_LAYERS: no such package is in the root filesystem: install it, or leave it out here (got 'nginx')"
        in outcome.output
    )
