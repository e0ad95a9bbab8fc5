"""containerd imports the image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import Containerd
from images import WITH_ZSTD, Image
from losses import (
    assert_kept,
    attributes_of_root,
    empty_xattr,
    inherited_acl,
    time_after_2262,
    time_before_1970,
)
from nasty_image import REFERENCE

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs("setpriv", "pseudo", "busybox", "zstd", "containerd", "ctr"),
    pytest.mark.parametrize("image", WITH_ZSTD, indirect=True),
]
LOSSES = [attributes_of_root, empty_xattr, inherited_acl, time_after_2262, time_before_1970]


@pytest.fixture
def imported(image: Image, containerd: Containerd) -> Iterator[Image]:
    """The image, the only one in containerd. `native` snapshots are whole directories."""
    containerd.ctr("images", "import", "--snapshotter=native", image.archive)
    yield image
    containerd.ctr("images", "rm", "--sync", REFERENCE)


def test_import_gives_the_image_its_name(imported: Image, containerd: Containerd) -> None:
    _, listed = containerd.ctr("images", "ls").splitlines()
    name, media_type, digest, *_ = listed.split()
    assert name == REFERENCE
    assert media_type == "application/vnd.oci.image.manifest.v1+json"
    assert digest == imported.digest


def test_import_keeps_every_attribute(imported: Image, containerd: Containerd, workspace: Path) -> None:
    containerd.ctr("images", "mount", "--snapshotter=native", REFERENCE, workspace)
    try:
        assert_kept(imported.expected, workspace, LOSSES)
    finally:
        containerd.ctr("images", "unmount", "--rm", workspace)
