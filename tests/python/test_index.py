"""One image out of images for several platforms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from image_oci_rs import (
    Archive,
    ImageSpec,
    IndexSpec,
    LayoutError,
    Output,
    Platform,
    Source,
    SpecError,
    build,
    cli,
    index,
    validate,
)

PLATFORMS = {
    "amd64": Platform("amd64"),
    "v6": Platform("arm", "linux", "v6"),
    "v7": Platform("arm", "linux", "v7"),
    "arm64": Platform("arm64", "linux", "v8"),
}


@pytest.fixture
def images(tmp_path: Path) -> dict[str, str]:
    """The layouts of the same root filesystem for each platform."""
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    (rootfs / "file").write_text("content")
    return {name: image(rootfs, tmp_path / name, platform) for name, platform in PLATFORMS.items()}


def image(rootfs: Path, layout: Path, platform: Platform) -> str:
    output = Output(layout=str(layout), archives=(Archive(f"{layout}.tar"),))
    build(ImageSpec(sources=(Source(str(rootfs)),), name="one", platform=platform, output=output, created=1))
    return str(layout)


def spec(paths: Iterable[str], layout: Path, **changes: Any) -> IndexSpec:
    fields = {"images": tuple(paths), "name": "r.example/app", "tag": "1.0", "output": Output(str(layout))}
    return IndexSpec(**{**fields, **changes})


def blob(layout: Path, digest: str) -> Any:
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())


def test_the_index_lists_each_platform_with_its_variant(images: dict[str, str], tmp_path: Path) -> None:
    layout = tmp_path / "app"
    result = index(spec(images.values(), layout, annotations={"org.example.key": "value"}))
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry == {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": result.index.digest,
        "size": result.index.size,
        "annotations": {
            "io.containerd.image.name": "r.example/app:1.0",
            "org.opencontainers.image.ref.name": "1.0",
            "org.example.key": "value",
        },
    }
    document = blob(layout, entry["digest"])
    assert (document["schemaVersion"], document["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")
    assert document["annotations"] == {"org.example.key": "value"}
    assert [manifest["platform"] for manifest in document["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm", "os": "linux", "variant": "v6"},
        {"architecture": "arm", "os": "linux", "variant": "v7"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert all("annotations" not in manifest for manifest in document["manifests"])
    assert [listed.platform for listed in result.images] == [
        "linux/amd64",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/arm64/v8",
    ]
    assert [listed.digest for listed in result.images] == [manifest["digest"] for manifest in document["manifests"]]
    assert not (layout / "manifest.json").exists()
    report = validate(layout)
    assert report.valid, report.findings


def test_blobs_are_those_of_the_images(images: dict[str, str], tmp_path: Path) -> None:
    index(spec(images.values(), tmp_path / "app"))
    inodes = {path.name: path.stat().st_ino for path in (tmp_path / "app/blobs/sha256").iterdir()}
    (layer,) = {path.name for path in Path(images["v6"], "blobs/sha256").iterdir()} & {
        path.name for path in Path(images["amd64"], "blobs/sha256").iterdir()
    }
    assert inodes[layer] in {Path(path, "blobs/sha256", layer).stat().st_ino for path in images.values()}


def test_order_and_form_of_the_images_change_no_byte(images: dict[str, str], tmp_path: Path) -> None:
    archives = [f"{path}.tar" for path in reversed(images.values())]
    results = [
        index(spec(images.values(), tmp_path / "one")),
        index(spec(archives, tmp_path / "two")),
    ]
    index(spec(list(images.values())[:3], tmp_path / "three"))
    results.append(index(spec([str(tmp_path / "three"), images["arm64"]], tmp_path / "four")))
    assert len({result.index.digest for result in results}) == 1


def test_two_images_of_one_platform_are_an_error(images: dict[str, str], tmp_path: Path) -> None:
    rootfs = tmp_path / "rootfs"
    (rootfs / "file").write_text("another")
    # Without a variant it is what runtimes take for v8.
    other = image(rootfs, tmp_path / "other", Platform("arm64"))
    with pytest.raises(SpecError) as caught:
        index(spec([*images.values(), other], tmp_path / "app"))
    assert str(caught.value).startswith(f'images: it is for linux/arm64/v8, and so is "{other}"')
    assert not (tmp_path / "app").exists()


def test_what_is_no_single_image_is_named(images: dict[str, str], tmp_path: Path) -> None:
    for wrong in (str(tmp_path / "rootfs"), str(tmp_path / "missing")):
        with pytest.raises((LayoutError, OSError), match=wrong):
            index(spec([wrong], tmp_path / "app"))
    layer = max(Path(images["v7"], "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    layer.write_bytes(b"x" * layer.stat().st_size)
    with pytest.raises(LayoutError, match=f"{layer.name}: the digest of its bytes is"):
        index(spec(images.values(), tmp_path / "app"))
    two = tmp_path / "two"
    assert cli.run(["index", images["v6"], f"{two}:one"]) == 0
    listing = json.loads((two / "index.json").read_text())
    listing["manifests"].append({**listing["manifests"][0], "digest": f"sha256:{'0' * 64}"})
    listing["manifests"][1]["annotations"] = {"org.opencontainers.image.ref.name": "two"}
    listing["manifests"][1]["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    (two / "index.json").write_text(json.dumps(listing))
    with pytest.raises(LayoutError, match="it must have one image, and has 2: "):
        index(spec([str(two)], tmp_path / "app"))


def test_what_is_wrong_with_a_description_is_named(tmp_path: Path) -> None:
    for changes, message in (
        ({"images": ()}, "images: must name at least one image"),
        ({"images": "app"}, "images: "),
        ({"name": "App"}, "name: "),
        ({"tag": "-"}, "tag: "),
        (
            {"annotations": {"io.containerd.image.name": "x"}},
            "annotations: must not hold the key 'io.containerd.",
        ),
        ({"output": None}, "output: must be of the class Output"),
        ({"output": Output("./a")}, "output: must not be one of the images"),
        ({"output": Output("./a/b")}, "output: must not lie inside the image "),
        ({"images": ("x/a",), "output": Output("x")}, "output: must not hold "),
    ):
        with pytest.raises(SpecError) as caught:
            spec(["a"], tmp_path / "app", **changes)
        assert str(caught.value).startswith(message), changes


def test_the_command(images: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["index", images["v7"], images["amd64"], f"{tmp_path}/app:2.0", "--annotation", "a=b"]
    assert cli.run([*words, "--name", "r.example/app"]) == 0
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("", "r.example/app:2.0")
    assert [line.split()[2] for line in err.splitlines() if "image " in line] == ["linux/amd64,", "linux/arm/v7,"]
    assert err.splitlines()[-1] == f"  wrote     {tmp_path}/app"
    assert cli.run([*words, "--name", "r.example/app"]) == 1
    assert "exists" in capsys.readouterr().err
    assert cli.run([*words, "--tar", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["archives"]) == ("docker.io/library/app:2.0", [f"{tmp_path}/app-2.0.oci-image.tar"])
    file = tmp_path / "spec.json"
    file.write_text(spec(images.values(), tmp_path / "by-spec").dumps())
    assert cli.run(["index", "--spec", str(file), "--json"]) == 0
    assert (tmp_path / "by-spec/index.json").exists()
    capsys.readouterr()
    assert cli.run(["index", "--spec", str(file)]) == 1
    assert capsys.readouterr().err.endswith(" exists already; output.replace in the description replaces it\n")


def test_options_of_the_command_stand_anywhere(images: dict[str, str], tmp_path: Path) -> None:
    words = [images["v7"], "--annotation", "-a=b", images["amd64"], "--name", "app", f"{tmp_path}/x"]
    assert cli.run(["index", *words]) == 0
    (entry,) = json.loads((tmp_path / "x/index.json").read_text())["manifests"]
    assert entry["annotations"]["-a"] == "b"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "at least one IMAGE and NAME[:TAG] are required, or --spec"),
        ([], "at least one IMAGE and NAME[:TAG] are required, or --spec"),
        (["a", "App"], "argument NAME[:TAG]: must be "),
        (["a", "app", "--name", "App"], "argument --name: must be "),
        (["a", "app:-"], "argument NAME[:TAG]: must be "),
        (["a", ":1"], "argument NAME[:TAG]: must be a path"),
        (["a", "a"], "argument NAME[:TAG]: must not be one of the images"),
        (["a", "app", "--annotation", "x"], "argument --annotation: must be KEY=VALUE"),
        (["--spec", "s.json", "a", "--tar", "--name", "x", "--replace"],
         "argument --spec: not allowed with --name, -t/--tar, --replace, IMAGE"),
    ],
)  # fmt: skip
def test_the_command_names_what_is_wrong(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run(["index", *words])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
