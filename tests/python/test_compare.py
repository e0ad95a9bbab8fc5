"""diff and explain, of real images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_oci_rs import ImageSpec, Layers, LayoutError, Output, Platform, Source, build, cli, diff, explain

MANIFEST = "/bin/sh shell\n/opt/app app\n/opt/gone app\n/opt/new app\n"


@pytest.fixture
def images(tmp_path: Path) -> tuple[str, str, str]:
    """An image, the next one, and the manifest of packages."""
    manifest = tmp_path / "manifest"
    manifest.write_text(MANIFEST)
    rootfs = tmp_path / "rootfs"
    for directory in ("bin", "opt"):
        (rootfs / directory).mkdir(parents=True)
    for name in ("bin/sh", "opt/app", "opt/gone", "made"):
        (rootfs / name).write_text(name)
        os.utime(rootfs / name, (1000, 1000))
    packages = f"manifest:{manifest}"
    paths = []
    for release in ("old", "new"):
        paths.append(str(tmp_path / release))
        build(
            ImageSpec(
                sources=(Source(str(rootfs)),),
                name="app",
                platform=Platform("amd64"),
                output=Output(layout=paths[-1]),
                created=2000,
                layers=Layers("auto", packages=packages),
            )
        )
        (rootfs / "opt/gone").unlink(missing_ok=True)
        (rootfs / "opt/new").write_text("new")
        (rootfs / "opt/app").write_text("changed")
        (rootfs / "opt/app").chmod(0o700)
    return paths[0], paths[1], packages


def test_diff_tells_layers_packages_and_files(images: tuple[str, str, str]) -> None:
    difference = diff(*images)
    assert [(layer.name, layer.stays) for layer in difference.layers] == [
        ("app", False),
        ("shell", True),
        ("rest", True),
        ("database", True),
    ]
    assert difference.pulled == sum(layer.size for layer in difference.layers if not layer.stays)
    assert difference.total == sum(layer.size for layer in difference.layers)
    assert [(package.name, package.files, package.bytes) for package in difference.packages] == [("app", 3, 10)]
    assert [(file.path, file.change, file.attributes) for file in difference.files] == [
        ("/opt/app", "changed", ("content", "mode", "mtime")),
        ("/opt/gone", "removed", ()),
        ("/opt/new", "added", ()),
    ]


def test_an_image_does_not_differ_from_itself(images: tuple[str, str, str]) -> None:
    difference = diff(images[0], images[0], images[2])
    assert (difference.pulled, difference.packages, difference.files) == (0, (), ())


def test_explain_tells_the_layer_and_why(images: tuple[str, str, str]) -> None:
    found = explain(images[0], "/opt/app", images[2])
    assert (found.path, found.layer, found.layers, found.name, found.why) == ("/opt/app", 1, 4, "app", "recipe app")
    assert found.owner is not None and found.owner.name == "app"
    assert found.contains == ("app",)
    assert explain(images[0], "opt/app", images[2]) == found
    rest = explain(images[0], "made", images[2])
    assert (rest.name, rest.owner) == ("rest", None)


def test_a_file_that_is_not_there_is_named(images: tuple[str, str, str]) -> None:
    with pytest.raises(LayoutError, match="there is no '?\"?/no"):
        explain(images[0], "/no", images[2])


def test_on_the_command_line(images: tuple[str, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    old, new, packages = images
    assert cli.run(["diff", old, new, "--packages", packages]) == 0
    shown = capsys.readouterr().out
    assert "  changed  /opt/app  content, mode, mtime\n" in shown and "  package app" in shown
    assert cli.run(["explain", old, "/bin/sh", "--packages", packages]) == 0
    assert capsys.readouterr().out.startswith("/bin/sh is in layer 2 of 4: shell\n")
    assert cli.run(["diff", old, new, "--json"]) == 0
    assert '"pulled"' in capsys.readouterr().out
