"""Labels that say where an image comes from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.datastore import task_hashes
from image_recipe import layout_json

from image_oci_rs.bitbake.deploy import Outputs
from image_oci_rs.bitbake.description import image_spec

SmallImage = Callable[..., BuildDirectory]


def spec_of(build: BuildDirectory) -> dict[str, Any]:
    d = build.parse()
    return image_spec(d, Outputs.of(d)).to_json()


REVISION = "org.opencontainers.image.revision"
BRANCH = "org.opencontainers.image.ref.name"
CREATED = "org.opencontainers.image.created"
VERSION = "org.opencontainers.image.version"
AUTOMATIC = [
    ('PV = "2.1"', {CREATED: "2018-03-09T12:34:56Z", VERSION: "2.1"}),
    ('PV = "1.0"', {CREATED: "2018-03-09T12:34:56Z"}),
    ('OCI_IMAGE_BUILD_DATE = "2026-01-12T20:32:24+01:00"', {CREATED: "2026-01-12T19:32:24Z"}),
    ('OCI_IMAGE_BUILD_DATE = "0"', {CREATED: "1970-01-01T00:00:00Z"}),
    ('OCI_IMAGE_BUILD_DATE = "none"', {}),
    (
        'OCI_IMAGE_REVISION = "8a3f2b1"\nOCI_IMAGE_BRANCH = "main"\nOCI_IMAGE_BUILD_DATE = "none"',
        {REVISION: "8a3f2b1", BRANCH: "main"},
    ),
    ('OCI_IMAGE_LABELS = ".created=yesterday"', {CREATED: "yesterday"}),
    ('OCI_IMAGE_AUTO_LABELS = "0"\nPV = "2.1"\nOCI_IMAGE_REVISION = "8a3f2b1"', {}),
]


@pytest.mark.parametrize(("lines", "labels"), AUTOMATIC)
def test_automatic_labels(small_image: SmallImage, lines: str, labels: dict[str, str]) -> None:
    # The build directory is in no repository.
    assert spec_of(small_image('OCI_IMAGE_AUTO_LABELS = "1"', lines))["config"]["labels"] == labels


def test_without_a_variable_the_time_is_that_of_the_root_filesystem(small_image: SmallImage) -> None:
    build = small_image('OCI_IMAGE_AUTO_LABELS = "1"', 'REPRODUCIBLE_TIMESTAMP_ROOTFS = ""')
    build.write(build.recipe.read_text() + 'ROOTFS_COMMAND:append = "; find . -exec touch -h --date=@77 {} +"\n')
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    _, _, config = layout_json(outcome.deployed / "app-latest-oci")
    assert config["created"] == "1970-01-01T00:01:17Z"
    assert config["config"]["Labels"] == {CREATED: "1970-01-01T00:01:17Z"}


def test_commit_and_branch_of_the_build_directory_are_labels(small_image: SmallImage) -> None:
    build = small_image('OCI_IMAGE_AUTO_LABELS = "1"', 'OCI_IMAGE_BUILD_DATE = "none"')
    revision = commit(build, build.top, "conf")
    assert config_of(build)["Labels"] == {REVISION: revision, BRANCH: "work/branch"}

    git(build, "checkout", "--quiet", "--detach")
    assert config_of(build)["Labels"] == {REVISION: revision}

    recipe = build.recipe.read_text() + 'OCI_IMAGE_REVISION = "none"\n'
    build.write(recipe)
    assert "Labels" not in config_of(build)


BY_SOMEBODY = ("-c", "user.name=a", "-c", "user.email=a@b")
YOCTO = "io.github.image-oci-rs.yocto"


def test_recipe_machine_distribution_and_layers_are_labels(small_image: SmallImage) -> None:
    build = small_image(
        'OCI_IMAGE_YOCTO_LABELS = "1"',
        'PF = "app-1.0-r0"',
        'MACHINE = "qemux86-64"',
        'DISTRO = "poky"',
        'DISTRO_VERSION = "6.0.2"',
        'BBLAYERS = "${TOPDIR}/meta-b ${TOPDIR}/meta-a/ ${TOPDIR}/meta-c"',
    )
    commits = {}
    for name in "meta-a", "meta-b":
        layer = build.top / name
        layer.mkdir()
        (layer / "file").write_text("1\n")
        for path in layer, layer / "file":
            os.chown(path, build.kit.user.uid, build.kit.user.gid)
        commits[name] = commit(build, layer)
        # A tag changes nothing.
        git(build, *BY_SOMEBODY, "tag", "--annotate", "--message=1", "v1", layer=layer)
    (build.top / "meta-c").mkdir()
    (build.top / "meta-a/file").write_text("2\n")
    (build.top / "meta-b/untracked").write_text("2\n")
    # As after an editor has saved what it had read: git would note that in its index, if it might.
    os.utime(build.top / "meta-b/file", (1, 1))
    index = (build.top / "meta-b/.git/index").stat()
    assert config_of(build)["Labels"] == {
        f"{YOCTO}.recipe": "app-1.0-r0",
        f"{YOCTO}.machine": "qemux86-64",
        f"{YOCTO}.distro": "poky 6.0.2",
        f"{YOCTO}.layers": f"meta-a={commits['meta-a']}-modified meta-b={commits['meta-b']} meta-c=unknown",
    }
    after = (build.top / "meta-b/.git/index").stat()
    assert (after.st_ino, after.st_mtime_ns) == (index.st_ino, index.st_mtime_ns)


def test_a_commit_does_not_run_the_task_again(small_image: SmallImage) -> None:
    build = small_image('OCI_IMAGE_AUTO_LABELS = "1"', 'OCI_IMAGE_YOCTO_LABELS = "1"', 'BBLAYERS = "${TOPDIR}"')
    before = task_hashes(build.parse())
    commit(build, build.top, "conf")
    assert task_hashes(build.parse()) == before


def commit(build: BuildDirectory, directory: Path, *names: str) -> str:
    """Makes a repository with one commit, and tells its name."""
    git(build, "init", "--quiet", "--initial-branch=work/branch", "--template=", layer=directory)
    git(build, "add", *(names or ["."]), layer=directory)
    git(build, *BY_SOMEBODY, "commit", "--quiet", "--message=first", layer=directory)
    return git(build, "rev-parse", "HEAD", layer=directory)


def git(build: BuildDirectory, *words: str, layer: Path | None = None) -> str:
    """Runs git as the build user, to whom the repository belongs."""
    command = [*build.kit.user.become, "git", "-C", str(layer or build.top), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def config_of(build: BuildDirectory) -> Any:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return layout_json(outcome.deployed / "app-latest-oci")[2]["config"]
