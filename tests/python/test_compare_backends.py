"""scripts/backends: what the command that compares two backends says about two layouts made by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from backends.build import names_in
from backends.comparison import Built, compare
from backends.image import Image

Member = tuple[str, dict[str, Any]]
CONFIG: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["A=1"], "Cmd": ["/bin/sh"], "Labels": {"a": "b"}},
    "rootfs": {"type": "layers", "diff_ids": []},
    "history": [{"created_by": "by hand"}],
}
STEPS = [{"created_by": "umoci repack"}, {"created_by": "umoci config", "empty_layer": True}]
FILES: list[Member] = [
    ("./", {"type": tarfile.DIRTYPE, "mode": 0o755}),
    ("tmp/", {"type": tarfile.DIRTYPE, "mode": 0o1777}),
    ("bin/app", {"mode": 0o755, "content": b"app", "pax_headers": {"SCHILY.xattr.user.a": "1"}}),
    ("bin/same", {"type": tarfile.LNKTYPE, "linkname": "bin/app"}),
    ("dev/null", {"type": tarfile.CHRTYPE, "mode": 0o666, "devmajor": 1, "devminor": 3}),
]


def layer(members: Iterable[Member]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, attributes in members:
            attributes = dict(attributes)
            content = attributes.pop("content", b"")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in attributes.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


@pytest.fixture
def layout(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, *layers: bytes, **config: Any) -> Path:
        place = tmp_path / name
        (place / "blobs/sha256").mkdir(parents=True)

        def blob(content: bytes) -> dict[str, Any]:
            digest = hashlib.sha256(content).hexdigest()
            (place / "blobs/sha256" / digest).write_bytes(content)
            return {"digest": f"sha256:{digest}", "size": len(content)}

        manifest = {
            "config": blob(json.dumps(CONFIG | config).encode()),
            "layers": [blob(content) for content in layers],
            "annotations": {"org.example.key": "value"},
        }
        (place / "index.json").write_text(json.dumps({"manifests": [blob(json.dumps(manifest).encode())]}))
        return place

    return make


def text_of(old: Path, new: Path, limit: int | None = 20) -> tuple[str, bool]:
    built = [Built(path.name, Image.of_layout(path), ["app.rootfs.manifest"]) for path in (old, new)]
    return compare(built[0], built[1], limit)


def test_images_that_say_the_same(layout: Callable[..., Path]) -> None:
    assert text_of(layout("umoci", layer(FILES)), layout("image-oci-rs", gzip.compress(layer(FILES)))) == (
        "Configuration: the same\nLayers: the same\nFiles (5 compared): the same\nNames in DEPLOY_DIR_IMAGE: the same",
        False,
    )


def test_every_difference_has_its_line(layout: Callable[..., Path]) -> None:
    lossy: list[Member] = [
        ("./", {"type": tarfile.DIRTYPE, "mode": 0o755}),
        ("tmp/", {"type": tarfile.DIRTYPE, "mode": 0o1755}),
        ("bin/app", {"mode": 0o755, "content": b"another", "uid": 65534}),
        ("bin/same", {"mode": 0o755, "content": b"another", "uid": 65534}),
        ("dev/null", {"mode": 0o666}),
        ("lost", {}),
    ]
    old = layout("umoci", layer(lossy), config={"Env": ["A=2"], "User": "app"}, author="Ann", history=STEPS)
    text, differs = text_of(old, layout("image-oci-rs", layer(FILES[:2]), layer(FILES[2:])))
    assert differs
    assert text == (
        "Configuration:\n"
        '  author: "Ann" (umoci), unset (image-oci-rs)\n'
        '  config.Cmd: unset (umoci), ["/bin/sh"] (image-oci-rs)\n'
        '  config.Env.A: "2" (umoci), "1" (image-oci-rs)\n'
        '  config.Labels.a: unset (umoci), "b" (image-oci-rs)\n'
        '  config.User: "app" (umoci), unset (image-oci-rs)\n'
        "  history: umoci repack, umoci config (umoci), by hand (image-oci-rs)\n"
        "Layers:\n"
        "  1 (umoci), 2 (image-oci-rs)\n"
        "Files (6 compared):\n"
        "  different content: 2\n"
        "    bin/app\n"
        "    bin/same\n"
        "  different hard links: 2\n"
        "    bin/app: bin/app (umoci), bin/app bin/same (image-oci-rs)\n"
        "    bin/same: bin/same (umoci), bin/app bin/same (image-oci-rs)\n"
        "  different kind: 1\n"
        "    dev/null: file 0666 0:0 (umoci), character device 0666 0:0 1,3 (image-oci-rs)\n"
        "  different mode: 1\n"
        "    tmp: 1755 (umoci), 1777 (image-oci-rs)\n"
        "  different owner: 2\n"
        "    bin/app: 65534 (umoci), 0 (image-oci-rs)\n"
        "    bin/same: 65534 (umoci), 0 (image-oci-rs)\n"
        "  different xattrs: 2\n"
        "    bin/app: none (umoci), user.a='1' (image-oci-rs)\n"
        "    bin/same: none (umoci), user.a='1' (image-oci-rs)\n"
        "  only in the image of umoci: 1\n"
        "    lost\n"
        "Names in DEPLOY_DIR_IMAGE: the same"
    )


def test_more_files_than_are_named(layout: Callable[..., Path]) -> None:
    many: list[Member] = [(f"f{number}", {}) for number in range(4)]
    old, new = layout("umoci", layer(many)), layout("image-oci-rs", layer([]))
    assert "    f1\n    and 2 more; --all names every one\n" in text_of(old, new, 2)[0]
    assert "more" not in text_of(old, new, None)[0]


def test_whiteouts_remove_what_lower_layers_have(layout: Callable[..., Path]) -> None:
    lower: list[Member] = [("a/x", {}), ("a/y", {}), ("b/x", {}), ("b/sub/y", {}), ("c", {}), ("cc", {})]
    upper: list[Member] = [("a/.wh.x", {}), ("b/.wh..wh..opq", {}), ("b/new", {}), (".wh.c", {})]
    image = Image.of_layout(layout("umoci", layer(lower), layer(upper)))
    assert sorted(image.entries) == ["a/y", "b/new", "cc"]


def test_zstd_is_read(layout: Callable[..., Path]) -> None:
    packed = subprocess.run(["zstd", "-c"], input=layer(FILES), capture_output=True, check=True).stdout
    assert len(Image.of_layout(layout("image-oci-rs", packed)).entries) == len(FILES)


def test_names_are_compared_without_the_time_of_the_build(layout: Callable[..., Path]) -> None:
    image = Image.of_layout(layout("any", layer(FILES)))
    old = Built("umoci", image, ["app-20260101000000.rootfs-oci", "app.manifest", "app-latest-oci"])
    new = Built("image-oci-rs", image, ["app-20260101000959.rootfs.oci", "app.manifest", "app-latest-oci"])
    assert compare(old, new)[0].splitlines()[-2:] == [
        "  only umoci: app-<time>.rootfs-oci",
        "  only image-oci-rs: app-<time>.rootfs.oci",
    ]


def test_names_are_those_of_the_manifest_of_shared_state(tmp_path: Path) -> None:
    deployed = tmp_path / "images"
    lines = [deployed / "app-latest-oci", deployed / "app.oci" / "index.json", tmp_path / "other/file"]
    (tmp_path / "manifest-m-app.image_complete").write_text("".join(f"{line}\n" for line in lines))
    assert names_in({"SSTATE_MANFILEPREFIX": f"{tmp_path}/manifest-m-app"}, deployed) == ["app-latest-oci"]
    assert names_in({"SSTATE_MANFILEPREFIX": "/nowhere"}, deployed) == []
