"""The harness as a command, as the demo and whoever wants to try the class use it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bitbake_harness.__main__ import assignment
from bitbake_harness.build_directory import BuildDirectory
from image_recipe import layout_json


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that the build user can read; pytest's own are for nobody else."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


@pytest.mark.parametrize("packed", [True, False])
def test_root_filesystem_becomes_an_image(open_directory: Path, packed: bool) -> None:
    rootfs = open_directory / "rootfs"
    (rootfs / "bin").mkdir(parents=True)
    (rootfs / "bin/sh").write_text("#!/bin/false\n")
    if packed:
        with tarfile.open(open_directory / "rootfs.tar.gz", "w:gz") as archive:
            archive.add(rootfs, "")
        rootfs = open_directory / "rootfs.tar.gz"
    done = harness(
        *("--rootfs", rootfs, "--deploy", open_directory / "out", "--name", "hello"),
        *(
            "--fstypes",
            "oci oci.tar.zst",
            "--set",
            "IMAGE_TYPEDEP:oci=",
            "--set",
            'OCI_IMAGE_LABELS[.title]=It\'s a "test"',
        ),
    )

    assert done.returncode == 0, done.stderr
    assert f"{open_directory}/out/hello-latest-oci\n" in done.stdout
    _, _, config = layout_json(open_directory / "out/hello-latest-oci")
    assert config["config"]["Labels"]["org.opencontainers.image.title"] == 'It\'s a "test"'


def test_failing_task_fails_the_command(open_directory: Path) -> None:
    (open_directory / "rootfs").mkdir()
    done = harness(
        *("--rootfs", open_directory / "rootfs", "--deploy", open_directory / "out"),
        *("--set", "OCI_IMAGE_PORTS=0"),
    )

    assert done.returncode == 1
    assert "ERROR: app was skipped: OCI_IMAGE_PORTS: " in done.stderr
    assert not (open_directory / "out").exists()


def harness(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bitbake_harness", *words]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("value", ["a'b", 'a"b', "a'b'c\"d", "", "a=b"])
def test_assignment_is_read_as_it_was_meant(value: str, small_image: Callable[..., BuildDirectory]) -> None:
    assert small_image(assignment("SOME", value)).parse().getVar("SOME") == value


@pytest.mark.parametrize("value", ["two\nlines", "'\"", "ends in \\"])
def test_assignment_that_bitbake_cannot_read(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be written in a recipe"):
        assignment("SOME", value)
