"""Whole builds through the compiled core, checked with the standard library alone."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import socket
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import image_oci_rs
from image_oci_rs import (
    Archive,
    BuildResult,
    Compression,
    Config,
    ImageSpec,
    Output,
    Platform,
    Progress,
    Source,
    build,
    inspect,
    validate,
)

MakeSpec = Callable[..., ImageSpec]


def blob(layout: Path, digest: str) -> bytes:
    algorithm, _, name = digest.partition(":")
    content = (layout / "blobs" / algorithm / name).read_bytes()
    assert hashlib.new(algorithm, content).hexdigest() == name
    return content


def document(layout: Path, digest: str) -> Any:
    return json.loads(blob(layout, digest))


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def test_every_field_of_the_specification_reaches_the_image(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(
        name="registry.example/team/app",
        tag="1.0",
        platform=Platform("arm", variant="v7"),
        config=Config(
            user="1000:users",
            exposed_ports=("80", "53/udp"),
            env=("A=1", "Q=a b\t\"'$\\ü\n="),
            entrypoint=("/bin/app", ""),
            cmd=("-c", "echo Hello from layered container"),
            volumes=("/data",),
            working_dir="/srv",
            labels={"org.opencontainers.image.title": 'Bob\'s "best" image', "e": ""},
            stop_signal="SIGINT",
        ),
        author="A <a@example.com>",
        created=1704067200,
        annotations={"com.example.a": "ü"},
    )
    result = build(spec)
    layout = tmp_path / "out"
    assert result.layout == str(layout)
    assert result.name == "registry.example/team/app:1.0"
    assert result.created == "2024-01-01T00:00:00Z"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}

    index = json.loads((layout / "index.json").read_text())
    assert index["schemaVersion"] == 2
    (entry,) = index["manifests"]
    assert entry["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert entry["digest"] == result.manifest.digest
    assert entry["size"] == result.manifest.size == len(blob(layout, entry["digest"]))
    assert "platform" not in entry
    assert entry["annotations"] == {
        "com.example.a": "ü",
        "io.containerd.image.name": "registry.example/team/app:1.0",
        "org.opencontainers.image.ref.name": "1.0",
    }

    manifest = document(layout, entry["digest"])
    assert manifest["annotations"] == {"com.example.a": "ü"}
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert manifest["config"]["digest"] == result.config.digest
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert (layer["digest"], layer["size"]) == (result.layers[0].digest, result.layers[0].size)

    config = document(layout, result.config.digest)
    assert config["architecture"] == "arm"
    assert config["variant"] == "v7"
    assert config["os"] == "linux"
    assert config["author"] == "A <a@example.com>"
    assert config["created"] == "2024-01-01T00:00:00Z"
    assert config["rootfs"] == {"type": "layers", "diff_ids": [result.layers[0].diff_id]}
    assert len([item for item in config["history"] if not item.get("empty_layer")]) == 1
    assert config["config"] == {
        "User": "1000:users",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Env": ["A=1", "Q=a b\t\"'$\\ü\n="],
        "Entrypoint": ["/bin/app", ""],
        "Cmd": ["-c", "echo Hello from layered container"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Labels": {"org.opencontainers.image.title": 'Bob\'s "best" image', "e": ""},
        "StopSignal": "SIGINT",
    }
    docker = json.loads((layout / "manifest.json").read_text())
    assert docker[0]["RepoTags"] == ["registry.example/team/app:1.0"]


def test_further_tags_are_in_manifest_json_only(make_spec: Callable[..., ImageSpec], tmp_path: Path) -> None:
    tags = ("1", "localhost/app:2", "docker.io/other:latest")
    result = build(make_spec(name="r.example/app", tag="1.0", extra_tags=tags))
    names = [
        "r.example/app:1.0",
        "r.example/app:1",
        "localhost/app:2",
        "docker.io/library/other:latest",
    ]
    (docker,) = json.loads((tmp_path / "out/manifest.json").read_text())
    assert docker["RepoTags"] == names
    (entry,) = json.loads((tmp_path / "out/index.json").read_text())["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "r.example/app:1.0",
        "org.opencontainers.image.ref.name": "1.0",
    }
    assert validate(tmp_path / "out").findings == ()
    (note,) = result.notes
    assert f"{', '.join(names[1:])}; podman load and containerd take {names[0]} alone" in note


def test_the_least_image_has_no_empty_fields(make_spec: MakeSpec, tmp_path: Path) -> None:
    result = build(make_spec())
    config = document(tmp_path / "out", result.config.digest)
    assert config.get("config", {}) == {}
    assert set(config) <= {"architecture", "os", "config", "created", "history", "rootfs"}
    assert config["created"] == result.created == "2023-11-14T22:13:20Z"
    assert result.name == "docker.io/library/app:latest"


def test_the_layer_is_the_root_filesystem(make_spec: MakeSpec, rootfs: Path, tmp_path: Path) -> None:
    result = build(make_spec())
    (layer,) = result.layers
    content = gzip.decompress(blob(tmp_path / "out", layer.digest))
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == layer.diff_id
    assert len(content) == layer.uncompressed_size
    (tmp_path / "layer.tar").write_bytes(content)
    with tarfile.open(tmp_path / "layer.tar") as archive:
        members = {member.name.strip("./"): member for member in archive}
        assert members["bin/app"].islnk() != members["bin/same"].islnk()
        for name, member in members.items():
            status = (rootfs / name).lstat()
            assert (member.uid, member.gid) == (status.st_uid, status.st_gid)
            assert member.mtime == int(status.st_mtime)
            if member.issym():
                assert member.linkname == os.readlink(rootfs / name)
                continue
            assert member.mode == status.st_mode & 0o7777
            if not member.isdir():
                stream = archive.extractfile(member)
                assert stream is not None
                assert stream.read() == (rootfs / name).read_bytes()
    expected = {"", "bin", "bin/app", "bin/same", "data", "etc", "etc/motd", "etc/passwd"}
    assert set(members) == expected
    assert layer.entries == len(expected)
    assert result.counts.to_json() == {
        "files": 2,
        "directories": 4,
        "symlinks": 1,
        "hard_links": 1,
        "devices": 0,
        "fifos": 0,
        "sockets_left_out": 0,
        "xattrs": 0,
        "xattrs_left_out": 0,
    }
    app = (rootfs / "bin/app").stat().st_size
    assert result.content_bytes == app + (rootfs / "etc/passwd").stat().st_size
    assert result.notes == ()
    assert 0 < result.seconds < 60


def test_the_result_both_ways(make_spec: MakeSpec) -> None:
    result = build(make_spec())
    assert BuildResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_socket_is_left_out_with_a_note(make_spec: MakeSpec, rootfs: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.getcwd()
        os.chdir(rootfs)  # The path of a socket has to be short.
        try:
            listener.bind("x.sock")
        finally:
            os.chdir(directory)
    os.mkfifo(rootfs / "fifo")
    result = build(make_spec())
    assert (result.counts.sockets_left_out, result.counts.fifos) == (1, 1)
    assert len(result.notes) == 1
    assert "x.sock" in result.notes[0]


@pytest.mark.parametrize("algorithm", ["gzip", "zstd", "none"])
def test_the_number_of_threads_changes_no_byte(
    algorithm: str, make_spec: MakeSpec, rootfs: Path, tmp_path: Path
) -> None:
    noise = random.Random(1)
    for number in range(40):
        (rootfs / f"data/{number}").write_bytes(noise.randbytes(100_000) + bytes(200_000))
    (rootfs / "data/large").write_bytes(noise.randbytes(3_000_000) + b"text " * 2_000_000)
    outputs = []
    for threads in (1, 2, 7, None):
        output = Output(layout=str(tmp_path / f"out-{threads}"))
        build(make_spec(output=output, compression=Compression(algorithm), threads=threads))
        outputs.append(files_of(tmp_path / f"out-{threads}"))
    assert all(output == outputs[0] for output in outputs)


@pytest.mark.parametrize(
    ("algorithm", "media_type", "magic"),
    [
        ("gzip", "application/vnd.oci.image.layer.v1.tar+gzip",
         b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd", b"\x28\xb5\x2f\xfd"),
        ("none", "application/vnd.oci.image.layer.v1.tar", b"./"),
    ],
)  # fmt: skip
def test_compressions(algorithm: str, media_type: str, magic: bytes, make_spec: MakeSpec, tmp_path: Path) -> None:
    plain = build(make_spec(compression=Compression("none"), output=Output(layout=str(tmp_path / "plain"))))
    result = build(make_spec(compression=Compression(algorithm)))
    (layer,) = result.layers
    assert layer.media_type == media_type
    assert layer.diff_id == plain.layers[0].diff_id
    assert blob(tmp_path / "out", layer.digest).startswith(magic)


@pytest.mark.parametrize(("algorithm", "highest"), [("gzip", 12), ("zstd", 22)])
def test_every_level_is_taken(algorithm: str, highest: int, make_spec: MakeSpec, rootfs: Path) -> None:
    (rootfs / "data/words").write_text(" ".join(map(str, range(30_000))))
    sizes = []
    for level in (1, highest):
        output = Output(layout=str(rootfs.parent / "out"), replace=True)
        spec = make_spec(output=output, compression=Compression(algorithm, level))
        sizes.append(build(spec).layers[0].size)
    assert sizes[1] < sizes[0]


def test_the_environment_s_time_counts_unless_another_is_given(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    result = build(make_spec())
    assert result.created == "2020-09-13T12:26:40Z"
    content = gzip.decompress(blob(tmp_path / "out", result.layers[0].digest))
    (tmp_path / "layer.tar").write_bytes(content)
    with tarfile.open(tmp_path / "layer.tar") as archive:
        assert {member.mtime for member in archive} == {1600000000}
    replaced = Output(layout=str(tmp_path / "out"), replace=True)
    assert build(make_spec(created=0, output=replaced)).created == "1970-01-01T00:00:00Z"


def test_archives_hold_the_layout(make_spec: MakeSpec, tmp_path: Path) -> None:
    archives = (
        Archive(str(tmp_path / "x.tar")),
        Archive(str(tmp_path / "d.tar"), prefix="some/dir"),
    )
    result = build(make_spec(output=Output(layout=str(tmp_path / "out"), archives=archives)))
    assert result.archives == (f"{tmp_path}/x.tar", f"{tmp_path}/d.tar")
    expected = files_of(tmp_path / "out")
    for name, prefix in (("x.tar", ""), ("d.tar", "some/dir/")):
        found = {}
        with tarfile.open(tmp_path / name) as archive:
            for member in archive:
                stream = archive.extractfile(member)
                if stream is not None:
                    path = member.name[2:] if member.name.startswith("./") else member.name
                    found[path] = stream.read()
        assert found == {prefix + path: content for path, content in expected.items()}


def test_an_archive_alone_leaves_nothing_else(make_spec: MakeSpec, tmp_path: Path) -> None:
    result = build(make_spec(output=Output(archives=(Archive(str(tmp_path / "x.tar")),))))
    assert result.layout is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rootfs", "x.tar"]


def test_replacing(make_spec: MakeSpec, tmp_path: Path, rootfs: Path) -> None:
    first = build(make_spec())
    (rootfs / "etc/new").write_text("new")
    second = build(make_spec(output=Output(layout=str(tmp_path / "out"), replace=True)))
    assert second.manifest.digest != first.manifest.digest
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [second.manifest.digest]
    assert len(list((tmp_path / "out/blobs/sha256").iterdir())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "rootfs"]


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_an_archive_of_the_root_filesystem_gives_the_same_layer(
    compression: str, make_spec: MakeSpec, rootfs: Path, tmp_path: Path
) -> None:
    expected = build(make_spec())
    path = tmp_path / f"rootfs.tar.{compression}"
    mode: Any = f"w:{compression}"
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:
        archive.add(rootfs, ".")
    output = Output(layout=str(tmp_path / "from-archive"))
    result = build(make_spec(sources=(Source(str(path)),), output=output))
    assert result.layers == expected.layers
    assert result.manifest == expected.manifest


def test_later_sources_lie_over_earlier_ones(make_spec: MakeSpec, rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "extra/etc").mkdir(parents=True)
    (tmp_path / "extra/etc/passwd").write_text("other\n")
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/file").write_text("opt\n")
    extra, opt = Source(str(tmp_path / "extra")), Source(str(tmp_path / "opt"), target="/opt/x")
    result = build(make_spec(sources=(Source(str(rootfs)), extra, opt)))
    content = gzip.decompress(blob(tmp_path / "out", result.layers[0].digest))
    (tmp_path / "layer.tar").write_bytes(content)
    found = {}
    with tarfile.open(tmp_path / "layer.tar") as archive:
        for member in archive:
            if member.isreg():
                stream = archive.extractfile(member)
                assert stream is not None
                name = member.name.strip("./")
                assert name not in found
                found[name] = stream.read()
    assert found["etc/passwd"] == b"other\n"
    assert found["opt/x/file"] == b"opt\n"
    assert "bin/app" in found


def test_progress_comes_from_the_calling_thread_and_ends_with_the_total(make_spec: MakeSpec, rootfs: Path) -> None:
    (rootfs / "large").write_bytes(random.Random(1).randbytes(20_000_000))
    seen: list[Progress] = []
    threads = set()

    def note(progress: Progress) -> None:
        seen.append(progress)
        threads.add(threading.get_ident())

    result = build(make_spec(), note)
    assert threads == {threading.get_ident()}
    last = seen[-1]
    assert last.entries == last.total_entries == result.layers[0].entries
    assert last.bytes == last.total_bytes == result.content_bytes
    assert last.fraction == 1.0
    for earlier, later in zip(seen, seen[1:]):
        assert earlier.entries <= later.entries
        assert earlier.bytes <= later.bytes


def test_other_threads_run_meanwhile(make_spec: MakeSpec, rootfs: Path) -> None:
    (rootfs / "large").write_bytes(random.Random(1).randbytes(30_000_000))
    ticks = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.005)

    other = threading.Thread(target=tick)
    other.start()
    result = build(make_spec())
    done.set()
    other.join()
    longest = max(later - earlier for earlier, later in zip(ticks, ticks[1:]))
    assert longest < max(0.25, result.seconds / 2)


def test_the_image_is_valid_and_can_be_inspected(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(
        tag="1.0",
        platform=Platform("arm", variant="v7"),
        config=Config(cmd=("sh",), labels={"k": "v"}),
        author="A",
        created=1704067200,
        annotations={"a": "b"},
        output=Output(layout=str(tmp_path / "out"), archives=(Archive(str(tmp_path / "out.tar")),)),
    )
    result = build(spec)
    for path in (tmp_path / "out", str(tmp_path / "out.tar")):
        report = validate(path)
        assert report.findings == ()
        assert report.valid
        assert (report.path, report.images, report.blobs) == (str(path), 1, 3)
        (image,) = inspect(path).images
        assert image.name == "docker.io/library/app:1.0"
        assert image.tag == "1.0"
        assert image.manifest == result.manifest
        assert image.config_descriptor == result.config
        (layer,) = image.layers
        assert (layer.digest, layer.diff_id) == (result.layers[0].digest, result.layers[0].diff_id)
        assert image.platform == {"architecture": "arm", "os": "linux", "variant": "v7"}
        assert image.created == "2024-01-01T00:00:00Z"
        assert image.author == "A"
        assert image.config == {"Cmd": ["sh"], "Labels": {"k": "v"}}
        assert image.annotations == {"a": "b"}
        assert len(image.history) == 1


def test_a_changed_blob_is_found(make_spec: MakeSpec, tmp_path: Path) -> None:
    result = build(make_spec())
    path = tmp_path / "out/blobs/sha256" / result.layers[0].digest[7:]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    report = validate(tmp_path / "out")
    assert not report.valid
    assert any(result.layers[0].digest in finding.message + finding.subject
               for finding in report.findings)  # fmt: skip


def test_the_version() -> None:
    assert image_oci_rs.__version__.count(".") == 2
