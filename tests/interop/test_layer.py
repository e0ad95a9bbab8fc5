"""The images themselves, before anybody consumes them: nothing is missing in their layers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from images import Image, Images
from losses import assert_same
from nasty_image import REFERENCE, image_spec

from image_oci_rs import api
from rootfs_fixtures import nasty
from rootfs_fixtures.attributes import of_layer

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("setpriv", "pseudo", "busybox", "zstd")]
every_image = pytest.mark.parametrize(
    "image",
    [f"{builder}-{algorithm}" for builder in ("root", "pseudo", "class") for algorithm in ("gzip", "zstd", "none")],
    indirect=True,
)


@every_image
def test_a_layer_holds_every_attribute(image: Image) -> None:
    assert_same(image.expected, of_layer(io.BytesIO(image.layer)))


@every_image
def test_an_image_is_valid(image: Image) -> None:
    for path in (image.layout, image.archive):
        assert api.validate(path).findings == ()
    assert image.diff_id == "sha256:" + hashlib.sha256(image.layer).hexdigest()


@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("builder", ["pseudo", "class"])
def test_a_user_under_pseudo_builds_what_root_builds(images: Images, builder: str, algorithm: str) -> None:
    by_root, under_pseudo = images.get(f"root-{algorithm}"), images.get(f"{builder}-{algorithm}")
    assert under_pseudo.digest == by_root.digest
    assert under_pseudo.archive.read_bytes() == by_root.archive.read_bytes()


def test_entries_are_sorted_by_their_bytes(image: Image) -> None:
    with tarfile.open(fileobj=io.BytesIO(image.layer), encoding="utf-8", errors="surrogateescape") as layer:
        names = [name.encode("utf-8", "surrogateescape") for name in layer.getnames()]
    assert names[0] == b"."
    assert names[1:] == sorted(names[1:])


def test_an_image_has_its_name_in_three_places(image: Image) -> None:
    (entry,) = json.loads((image.layout / "index.json").read_text())["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == REFERENCE
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "v1.2"
    (manifest,) = json.loads((image.layout / "manifest.json").read_text())
    assert manifest["RepoTags"] == [REFERENCE]


def test_a_file_of_more_than_8_gib_is_kept(workspace: Path) -> None:
    (huge,) = nasty.HUGE
    rootfs = workspace / "rootfs"
    (rootfs / "var").mkdir(parents=True)
    huge.create(bytes(rootfs / os.fsdecode(huge.path)))
    spec = image_spec(rootfs, workspace / "image", "zstd")
    (layer,) = api.build(spec).layers
    blob = workspace / "image.oci/blobs" / layer.digest.replace(":", "/")
    # Its header is enough: what follows is 8 GiB that only the builder need read.
    with subprocess.Popen(["zstd", "--decompress", "--stdout", blob], stdout=subprocess.PIPE) as unpacking:
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as members:
            _, _, member = (members.next(), members.next(), members.next())
        unpacking.kill()
    assert member is not None
    assert (member.name, member.size) == ("var/huge", huge.size)
    assert layer.uncompressed_size > huge.size > 8 * 2**30
