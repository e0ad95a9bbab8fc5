"""The command line's options become a specification: sloci-image's own, and ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fake_core import FakeCore

from image_oci_rs import cli


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEBUG", raising=False)


def spec_of(core: FakeCore, *arguments: str) -> dict[str, Any]:
    assert cli.run(["build", *arguments]) == 0
    return core.specs[-1]


def test_the_least(core: FakeCore, tmp_path: Path) -> None:
    spec = spec_of(core, "rootfs", "app", "--arch", "amd64")
    assert spec == {
        "sources": [{"path": f"{tmp_path}/rootfs", "target": "/"}],
        "name": "app",
        "tag": "latest",
        "extra_tags": [],
        "platform": {"architecture": "amd64", "os": "linux", "variant": None},
        "config": {
            "user": None,
            "exposed_ports": None,
            "env": [],
            "entrypoint": None,
            "cmd": None,
            "volumes": None,
            "working_dir": None,
            "labels": {},
            "stop_signal": None,
        },
        "author": None,
        "created": None,
        "annotations": {},
        "compression": {"algorithm": "gzip", "level": None},
        "base": None,
        "layers": {
            "mode": "single",
            "rules": [],
            "missing": "error",
            "max": 80,
            "lock": None,
            "lock_output": None,
            "packages": "auto",
            "installed": None,
        },
        "exclude_xattrs": ["security.selinux", "trusted.*", "system.nfs4_acl"],
        "output": {"layout": f"{tmp_path}/app", "archives": [], "replace": False},
        "threads": None,
        "cache": None,
    }


@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        (["-m", "armv7l"], "platform", {"architecture": "arm", "os": "linux", "variant": "v7"}),
        (["--arch", "x86"], "platform.architecture", "386"),
        (["-m", "arm", "--arch-variant", "v6"], "platform.variant", "v6"),
        (["-m", "arm", "--arch-variant", ""], "platform.variant", None),
        (["--os", "freebsd"], "platform.os", "freebsd"),
        (["-a", "A <a@b>"], "author", "A <a@b>"),
        (["-a", "--"], "author", "--"),
        (["--author", "A"], "author", "A"),
        (["-c", "a b", "--cmd", "c"], "config.cmd", ["a b", "c"]),
        (["-c", "-v", "--cmd", "--replace", "-c", "--"], "config.cmd", ["-v", "--replace", "--"]),
        (["-c", ""], "config.cmd", []),
        (["-c", "a", "-c", ""], "config.cmd", ["a", ""]),
        (["-C", "/bin/sh", "--entrypoint", "-c"], "config.entrypoint", ["/bin/sh", "-c"]),
        (["-C/bin/sh", "--entrypoint=-c"], "config.entrypoint", ["/bin/sh", "-c"]),
        (["-e", "A=1", "--env", "B=a b=c"], "config.env", ["A=1", "B=a b=c"]),
        (["-l", ".title=T", "--label", "k=v=w"],
         "config.labels", {"org.opencontainers.image.title": "T", "k": "v=w"}),
        (["-p", "80", "--port", "53/udp", "--expose", "9/sctp"],
         "config.exposed_ports", ["80/tcp", "53/udp", "9/sctp"]),
        (["-u", "1000:users"], "config.user", "1000:users"),
        (["--user", ""], "config.user", ""),
        (["-v", "/a", "--volume", "/b"], "config.volumes", ["/a", "/b"]),
        (["-w", "/srv"], "config.working_dir", "/srv"),
        (["--working-dir", "/srv"], "config.working_dir", "/srv"),
        (["--stop-signal", "INT"], "config.stop_signal", "SIGINT"),
        (["--annotation", "a=b", "--annotation", ".c="], "annotations", {"a": "b", ".c": ""}),
        (["--compression", "zstd", "--level", "19"],
         "compression", {"algorithm": "zstd", "level": 19}),
        (["--level", "9"], "compression", {"algorithm": "gzip", "level": 9}),
        (["--created", "2024-01-01T00:00:00Z"], "created", 1704067200),
        (["--created", "0"], "created", 0),
        (["--name", "registry.example:5000/a/b"], "name", "registry.example:5000/a/b"),
        (["--extra-tag", "1", "--extra-tag", "r.example/b:2"], "extra_tags", ["1", "r.example/b:2"]),
        (["--exclude-xattr", "user.*"], "exclude_xattrs",
         ["security.selinux", "trusted.*", "system.nfs4_acl", "user.*"]),
        (["--threads", "3"], "threads", 3),
        (["--replace"], "output.replace", True),
        (["--base", "/b"], "base", {"path": "/b", "tag": None, "mode": "overlay"}),
        (["--base", "/b", "--base-tag", "1.0"], "base.tag", "1.0"),
        (["--base", "/b", "--base-mode", "exact"], "base.mode", "exact"),
        (["--port", ""], "config.exposed_ports", []),
        (["--layer-mode", "auto"], "layers.mode", "auto"),
        (["--layer-mode", "auto", "--lock", "/x.lock"], "layers.lock", "/x.lock"),
        (["--layer-mode", "auto", "--layer-max", "20"], "layers.max", 20),
        (["--layers", "a:files:/x", "--missing", "warn"], "layers.missing", "warn"),
        (["--layer-mode", "auto", "--packages", "pkgdata:/p"], "layers.packages", "pkgdata:/p"),
        (["--layers", "a:files:/x"], "layers.mode", "multi"),
        (
            ["--layers", "a:packages:b+c d:host:/s:/t", "--layers=e:files:/x,/y"],
            "layers.rules",
            [
                {"name": "a", "type": "packages", "content": ["b", "c"]},
                {"name": "d", "type": "host", "content": ["/s:/t"]},
                {"name": "e", "type": "files", "content": ["/x", "/y"]},
            ],
        ),
        (["--cache", "/c"], "cache", {"directory": "/c", "limit": 4294967296}),
        (["--cache", "/c", "--cache-limit", "5"], "cache.limit", 5),
        (["--cache-limit=2K", "--cache=/c"], "cache.limit", 2048),
        (["--cache", "/c", "--cache-limit", "3M"], "cache.limit", 3145728),
        (["--cache", "/c", "--cache-limit", "1G"], "cache.limit", 1073741824),
        (["--cache", "/c", "--cache-limit", "2T"], "cache.limit", 2199023255552),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["before", "between", "behind"])
def test_every_option_reaches_its_field(
    arguments: list[str], path: str, value: object, order: str, core: FakeCore
) -> None:
    words = {
        "before": [*arguments, "rootfs", "app:1.0"],
        "between": ["rootfs", *arguments, "app:1.0"],
        "behind": ["rootfs", "app:1.0", *arguments],
    }[order]
    found: Any = spec_of(core, *words)
    for key in path.split("."):
        found = found[key]
    assert found == value


def test_the_architecture_is_this_machine_s_by_default(core: FakeCore) -> None:
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    machine = os.uname().machine
    platform = spec_of(core, "rootfs", "app")["platform"]
    assert platform["architecture"] == names.get(machine, platform["architecture"])
    spec = spec_of(core, "--tar", "rootfs", "app")
    assert spec["output"]["archives"][0]["path"].endswith(f"-{machine}-linux.oci-image.tar")


@pytest.mark.parametrize(
    ("arguments", "layout", "archive", "name", "tag"),
    [
        (["app:1.0"], "app", None, "app", "1.0"),
        (["out/dir/app:1.0"], "out/dir/app", None, "app", "1.0"),
        (["/abs/a:b/app"], "/abs/a:b/app", None, "app", "latest"),
        (["App:1", "--name", "app"], "App", None, "app", "1"),
        (["-t", "-m", "x86_64", "app"],
         None, "app-latest-x86_64-linux.oci-image.tar", "app", "latest"),
        (["--tar", "-m", "armv7l", "--arch-variant", "v6", "out/app:1.0"],
         None, "out/app-1.0-armv7l-v6-linux.oci-image.tar", "app", "1.0"),
        (["--tar", "-m", "aarch64", "--name", "r.example/x", "app:1"],
         None, "app-1-aarch64-linux.oci-image.tar", "r.example/x", "1"),
    ],
)  # fmt: skip
def test_where_the_image_goes_and_what_it_is_called(
    arguments: list[str],
    layout: str | None,
    archive: str | None,
    name: str,
    tag: str,
    core: FakeCore,
    tmp_path: Path,
) -> None:
    spec = spec_of(core, "rootfs", *arguments)
    output = spec["output"]
    assert output["layout"] == (layout and str(tmp_path / layout))
    archives = [{"path": str(tmp_path / archive), "prefix": ""}] if archive else []
    assert output["archives"] == archives
    assert (spec["name"], spec["tag"]) == (name, tag)


def test_two_dashes_end_the_options(core: FakeCore, tmp_path: Path) -> None:
    spec = spec_of(core, "-m", "arm", "--", "-rootfs", "-x/app")
    assert spec["sources"][0]["path"] == f"{tmp_path}/-rootfs"
    assert spec["output"]["layout"] == f"{tmp_path}/-x/app"


PORT = "must be PORT, PORT/tcp, PORT/udp or PORT/sctp with a PORT from 1 to 65535"
TAG = "must be 1 to 128 letters, digits, '_', '.' and '-', and not begin with '.' or '-'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "0"], f"argument -p/--port/--expose: {PORT} (got '0')"),
        (["--expose", "70000"], f"argument -p/--port/--expose: {PORT} (got '70000')"),
        (["-p", "80/icmp"], f"argument -p/--port/--expose: {PORT} (got '80/icmp')"),
        (["-l", "title"], "argument -l/--label: must be KEY=VALUE (got 'title')"),
        (["-e", "=x"], "argument -e/--env: must be KEY=VALUE (got '=x')"),
        (["--annotation", "x"], "argument --annotation: must be KEY=VALUE (got 'x')"),
        (["-m", "vax"], "argument -m/--arch: must be one of 386, amd64, arm, "),
        (["-m", "vax"], "(got 'vax')"),
        (["-m", "arm", "--arch-variant", "v9"],
         "argument --arch-variant: must be v5, v6, v7 or v8 for arm (got 'v9')"),
        (["--os", "Linux"], "argument --os: must be one of aix, "),
        (["-u", "a b"], "argument -u/--user: must be USER or USER:GROUP"),
        (["-v", "data"],
         "argument -v/--volume: must be an absolute path without '..' (got 'data')"),
        (["-w", "srv"],
         "argument -w/--working-dir: must be an absolute path without '..' (got 'srv')"),
        (["--stop-signal", "SIGTREM"],
         "argument --stop-signal: must be the name of a Linux signal, "),
        (["--compression", "lzma"],
         "argument --compression: must be gzip, zstd or none (got 'lzma')"),
        (["--level", "13"], "argument --level: must be a whole number from 1 to 12 (got 13)"),
        (["--level", "x"], "argument --level: invalid int value: 'x'"),
        (["--compression", "none", "--level", "1"], "argument --level: must be left out"),
        (["--created", "yesterday"],
         "argument --created: must be a whole second as RFC 3339 writes it, "),
        (["--created", "-1"], "argument --created: must be a whole second"),
        (["--name", "App"], "argument --name: must be at most 255 lower-case letters"),
        (["--name", "app:1"], "argument --name: must be at most 255 lower-case letters"),
        (["--threads", "0"], "argument --threads: must be a whole number from 1 to 1024 (got 0)"),
        (["--base", "/b", "--base-mode", "over"], "argument --base-mode: must be overlay or exact (got 'over')"),
        (["--base-tag", "x"], "argument --base-tag: must stand beside --base (got 'x')"),
        (["--layer-mode", "many"], "argument --layer-mode: must be single, multi or auto (got 'many')"),
        (["--layer-mode", "multi"], "argument --layers: must say which layers there are"),
        (["--layers", "a"], "argument --layers: must be NAME:TYPE:CONTENT (got 'a')"),
        (["--layers", "a:files:/x", "--layer-mode", "auto"], "argument --layers: must be left out in the mode 'auto'"),
        (["--layer-max", "0"], "argument --layer-max: must be"),
        (["--lock", "x"], "argument --lock: must be left out unless the mode is 'auto'"),
        (["--packages", "rpm"], "argument --packages: must be auto, dpkg, opkg, apk, none, pkgdata:DIRECTORY or "),
        (["--installed", "x"], "argument --installed: must be left out unless packages is 'pkgdata:DIRECTORY'"),
        (["--cache", ""], "argument --cache: must be a path (got '')"),
        (["--cache", "rootfs/c"], "argument --cache: must not lie inside the root filesystem "),
        (["--cache", "."], "argument --cache: must be a directory for nothing else, but holds "),
        (["--cache", "c", "--cache-limit", "0"],
         "argument --cache-limit: must be a whole number from 1 to 9223372036854775807 (got 0)"),
        (["--cache", "c", "--cache-limit", "9999999T"],
         "argument --cache-limit: must be a whole number from 1 to 9223372036854775807 (got "),
        (["--cache-limit", "1G"], "argument --cache-limit: must stand beside --cache (got '1G')"),
        (["--exclude-xattr", "a*b"],
         "argument --exclude-xattr: must be a name, with '*' at its end or nowhere (got 'a*b')"),
        (["-a", "a\udcff"], "argument -a/--author: must be UTF-8"),
        (["--cmd", "\udcff"], "argument -c/--cmd: must be UTF-8"),
        (["--cmd"], "argument --cmd: expected one argument"),
        (["-c"], "argument -c: expected one argument"),
        (["--prot", "80"], "unrecognized arguments: --prot"),
        (["--por", "80"], "unrecognized arguments: --por"),
    ],
)  # fmt: skip
def test_bad_values_name_the_option_and_the_value(
    arguments: list[str], message: str, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run(["build", "rootfs", "app", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert core.specs == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ROOTFS and NAME[:TAG] are required, or --spec"),
        (["rootfs"], "ROOTFS and NAME[:TAG] are required, or --spec"),
        (["rootfs", "app", "more"], "unrecognized arguments: more"),
        (["rootfs", "app:a b"], f"argument NAME[:TAG]: {TAG} (got 'a b')"),
        (["rootfs", "app:"], f"argument NAME[:TAG]: {TAG} (got '')"),
        (["rootfs", "App"], "argument NAME[:TAG]: must be at most 255 lower-case letters"),
        (["rootfs", "App"], "(got 'App'); or give --name"),
        (["", "app"], "argument ROOTFS: must be a path (got '')"),
        (["rootfs", "rootfs/app"],
         "argument NAME[:TAG]: must not lie inside the root filesystem "),
        (["rootfs", "app", "--spec", "x"], "argument --spec: not allowed with ROOTFS"),
        (["-t", "-p", "80", "--replace", "--spec", "x"],
         "argument --spec: not allowed with -p/--port/--expose, -t/--tar, --replace"),
    ],
)  # fmt: skip
def test_bad_positionals(
    arguments: list[str], message: str, core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run(["build", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert core.specs == []
