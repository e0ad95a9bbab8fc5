"""BitBake runs do_image_oci again when something changes that the image depends on, else not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bb
import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.datastore import task_hashes

import image_oci_rs.bitbake.image
from image_oci_rs.bitbake.image import build_image

SmallImage = Callable[..., BuildDirectory]
ENTRIES = (
    'OCI_IMAGE_LABELS[org.example.key] = "1"',
    'OCI_IMAGE_ENV_VARS[KEY] = "1"',
    'OCI_IMAGE_ANNOTATIONS[a/b] = "1"',
)
# bitbake.conf leaves these out of every hash.
IGNORED_BY_BITBAKE = {"PATH"}


class Recorder:
    """A datastore that remembers what it was asked for."""

    def __init__(self, d: Any) -> None:
        self.d = d
        self.variables: set[str] = set()
        self.flags: set[str] = set()

    def getVar(self, name: str, expand: bool = True) -> Any:
        self.variables.add(name)
        return self.d.getVar(name, expand)

    def getVarFlag(self, name: str, flag: str, expand: bool = True) -> Any:
        self.flags.add(f"{name}[{flag}]")
        return self.d.getVarFlag(name, flag, expand)

    def getVarFlags(self, name: str) -> Any:
        self.variables.add(name)
        return self.d.getVarFlags(name)


@pytest.fixture
def recorded(small_image: SmallImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What was read while images were built in every way that there is."""
    d = small_image('OCI_IMAGE_AUTO_LABELS = "1"', 'OCI_IMAGE_YOCTO_LABELS = "1"', *ENTRIES).parse()
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "images").mkdir()
    d.setVar("IMAGE_ROOTFS", str(tmp_path / "rootfs"))
    d.setVar("IMGDEPLOYDIR", str(tmp_path / "images"))
    recorder = Recorder(d)
    build_image(recorder)
    d.setVar("OCI_IMAGE_CMD", "/bin/sh")
    d.setVar("REPRODUCIBLE_TIMESTAMP_ROOTFS", "")
    build_image(recorder)
    d.setVar("OCI_LAYER_MODE", "auto")
    d.setVar("OCI_LAYER_PACKAGES", "none")
    d.setVar("OCI_LAYER_LOCK", str(tmp_path / "layers.lock"))
    build_image(recorder)
    d.setVar("OCI_BASE_IMAGE", "has-deployed-nothing")
    with pytest.raises(bb.BBHandledException):
        build_image(recorder)
    d.setVar("OCI_BASE_IMAGE", "")
    d.setVar("OCI_IMAGE_ARCH", "arm")
    build_image(recorder)
    build_in_nativepython3(recorder, monkeypatch)
    return recorder


def build_in_nativepython3(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_engine(*_: object) -> None:
        raise ImportError("no engine")

    monkeypatch.setattr(image_oci_rs.bitbake.image, "build", no_engine)
    with pytest.raises(bb.BBHandledException):
        build_image(recorder)


def test_every_variable_that_is_read_is_declared(recorded: Recorder) -> None:
    d = recorded.d
    declared = set(d.getVarFlag("oci_rs_library", "vardeps").split())
    without_effect = set(d.getVarFlag("oci_rs_library", "vardepsexclude").split())
    # BitBake itself asks for these, to tell of progress.
    read = {name for name in recorded.variables if not name.startswith("__")}
    # Part of the task's own text: what is removed when conversions are done.
    flags = recorded.flags - {"do_image_oci[subimages]"}

    assert declared == (read - without_effect) | flags
    assert without_effect <= read


def test_every_declared_variable_and_varflag_changes_the_hash(small_image: SmallImage) -> None:
    d = small_image(*ENTRIES).parse()
    before = task_hashes(d)
    for name in set(d.getVarFlag("oci_rs_library", "vardeps").split()) - IGNORED_BY_BITBAKE:
        changed = d.createCopy()
        variable, bracket, flag = name.rstrip("]").partition("[")
        if bracket:
            changed.setVarFlag(variable, flag, "another value")
        else:
            changed.setVar(variable, "another value")
        assert task_hashes(changed)["do_image_oci"] != before["do_image_oci"], name


@pytest.mark.parametrize(
    "line",
    [
        # What defaults are made of.
        'TARGET_ARCH = "aarch64"',
        'PATCH_GIT_USER_NAME = "Ann"',
        'IMAGE_BASENAME = "other"',
        # More or fewer of what is there already.
        'OCI_IMAGE_LABELS[new] = ""',
        'OCI_IMAGE_LABELS:append = " a=b"',
        'OCI_IMAGE_CMD = ""',
        'OCI_NATIVE_DEPENDS = ""',
        'IMAGE_FSTYPES = "oci oci.tar"',
    ],
)
def test_change_of_a_recipe_changes_the_hash(small_image: SmallImage, line: str) -> None:
    before, after = hash_of(small_image(*ENTRIES)), hash_of(small_image(*ENTRIES, line))
    assert before != after


def test_empty_command_is_not_an_unset_one(small_image: SmallImage) -> None:
    # They differ in what OCI_IMAGE_ENTRYPOINT_ARGS is for.
    lines = ('OCI_IMAGE_ENTRYPOINT = "sh"', 'OCI_IMAGE_ENTRYPOINT_ARGS = "-l"')
    assert hash_of(small_image(*lines)) != hash_of(small_image(*lines, 'OCI_IMAGE_CMD = ""'))


@pytest.mark.parametrize(
    "line",
    [
        'OCI_THREADS = "63"',
        'BB_NUMBER_THREADS = "63"',
        'OCI_CACHE_DIR = ""',
        'OCI_CACHE_DIR = "/elsewhere"',
        'OCI_CACHE_LIMIT = "1M"',
        'DATE = "20010203"\nTIME = "112233"',
        'TMPDIR = "/elsewhere"',
        'HOST_PATH = "/bin"',
        'SOME_OTHER_VARIABLE = "1"',
        'OCI_IMAGE_LABELS[doc] = "Said otherwise"',
        'OCI_LAYER_CACHE = "1"',
        'IMAGE_POSTPROCESS_COMMAND = "true"',
        'DESCRIPTION = "Another one"',
    ],
)
def test_change_that_the_image_does_not_depend_on_leaves_the_hash(small_image: SmallImage, line: str) -> None:
    assert hash_of(small_image(*ENTRIES)) == hash_of(small_image(*ENTRIES, line))


def test_hash_is_the_same_in_another_build_directory_and_at_another_time(
    small_image: SmallImage,
) -> None:
    clocks = ['DATE = "20260102"\nTIME = "030405"\n', 'DATE = "20270102"\nTIME = "030406"\n']
    hashes = {hash_of(small_image(*ENTRIES, conf=clock)) for clock in clocks}
    assert len(hashes) == 1


def test_image_of_debug_files_depends_on_the_same(small_image: SmallImage) -> None:
    debug = ('IMAGE_GEN_DEBUGFS = "1"', 'IMAGE_FSTYPES_DEBUGFS = "oci"')
    hashes = [
        task_hashes(small_image(*debug, f'OCI_IMAGE_LABELS[a] = "{value}"').parse())["do_image_debugfs_oci"]
        for value in (1, 2)
    ]
    assert hashes[0] != hashes[1]


def hash_of(build: BuildDirectory) -> str:
    return task_hashes(build.parse())["do_image_oci"]
