"""dockerd loads, pulls and runs the image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandError, copy
from daemons import Daemon, Docker
from images import Image
from losses import (
    assert_kept,
    attributes_of_root,
    empty_xattr,
    inherited_acl,
    time_after_2262,
    time_before_1970,
)
from nasty_image import CONFIG, GREETING, PRINTED, REFERENCE, image_spec

from image_oci_rs import LayerRule, Layers, build

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs("setpriv", "pseudo", "busybox", "dockerd", "docker", "containerd", "ctr"),
]
LOSSES = [attributes_of_root, empty_xattr, inherited_acl, time_after_2262, time_before_1970]


@pytest.fixture
def loaded(image: Image, docker: Docker) -> Iterator[Image]:
    """The image, the only one in docker."""
    assert docker.docker("load", "--input", image.archive) == f"Loaded image: {REFERENCE}"
    yield image
    docker.docker("image", "rm", "--force", REFERENCE)


def test_load_gives_the_image_its_name(loaded: Image, docker: Docker) -> None:
    assert docker.docker("images", "--format", "{{.Repository}}:{{.Tag}}") == REFERENCE
    assert docker.docker("images", "--no-trunc", "--quiet") == loaded.manifest["config"]["digest"]


def test_load_keeps_every_attribute(loaded: Image, docker: Docker) -> None:
    assert_kept(loaded.expected, docker.layer_directory(loaded.diff_id), LOSSES)


def test_a_container_runs(loaded: Image, docker: Docker) -> None:
    assert docker.docker("run", "--rm", "--network=none", REFERENCE).splitlines() == PRINTED


def test_inspect_shows_the_configuration(loaded: Image, docker: Docker) -> None:
    (shown,) = json.loads(docker.docker("image", "inspect", REFERENCE))
    config = shown["Config"]
    assert shown["Author"] == "The Keeper <keeper@example.org>"
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("keeper", "/home/keeper", "SIGUSR1")
    assert config["Env"] == ["PATH=/usr/bin:/bin", f"GREETING={GREETING}"]
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/sh", "-c"], list(CONFIG.cmd or ()))
    assert config["Labels"] == {"org.example.purpose": "to be kept", "org.example.text": GREETING}
    assert config["ExposedPorts"] == {"80/tcp": {}, "5353/udp": {}}
    assert config["Volumes"] == {"/var/lib/data": {}}


@pytest.mark.needs("docker-registry", "skopeo")
def test_pull_keeps_every_attribute(image: Image, docker: Docker, registry: Daemon) -> None:
    remote = f"{registry.address}/team/for-docker:v1.2"
    copy(f"oci:{image.layout}", f"docker://{remote}")
    assert image.digest in docker.docker("pull", remote)
    try:
        assert_kept(image.expected, docker.layer_directory(image.diff_id), LOSSES)
    finally:
        docker.docker("image", "rm", "--force", remote)


def test_the_most_layers_that_docker_loads(tmp_path: Path, docker: Docker) -> None:
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    names = [f"f{number}" for number in range(126)]
    for name in names:
        (rootfs / name).write_text(name)
    rules = tuple(LayerRule(name, "files", (f"/{name}",)) for name in names)

    # One more layer is that of the rest.
    most = image_spec(rootfs, tmp_path / "most", layers=Layers("multi", rules[:124]))
    assert [note for note in build(most).notes if "docker" in note] == []
    docker.docker("load", "--input", tmp_path / "most.tar")
    docker.docker("image", "rm", "--force", REFERENCE)

    too_many = image_spec(rootfs, tmp_path / "many", layers=Layers("multi", rules[:125]))
    assert "126 layers: docker loads no image of more than 125" in build(too_many).notes
    with pytest.raises(CommandError, match="max depth exceeded"):
        docker.docker("load", "--input", tmp_path / "many.tar")


def test_load_lists_further_tags(tmp_path: Path, docker: Docker) -> None:
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs/file").write_text("content")
    spec = image_spec(tmp_path / "rootfs", tmp_path / "tagged", extra_tags=("further", "r.example/other:2"))
    build(spec)
    names = [REFERENCE, f"{REFERENCE.rpartition(':')[0]}:further", "r.example/other:2"]
    loaded = docker.docker("load", "--input", tmp_path / "tagged.tar").splitlines()
    try:
        assert loaded == [f"Loaded image: {name}" for name in names]
        listed = docker.docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        assert {line.split()[0] for line in listed} == set(names)
        assert len({line.split()[1] for line in listed}) == 1
    finally:
        docker.docker("image", "rm", "--force", *names)
