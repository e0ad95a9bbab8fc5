"""What the program prints, where, and with which exit code."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_core import RESULT, FakeCore

from image_oci_rs import ImageSpec, InternalError, LayoutError, RootfsError, SpecError, cli
from image_oci_rs.errors import os_error

BUILD = ["build", "-m", "amd64", "rootfs", "app"]


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEBUG", raising=False)


def test_words_go_to_stderr(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(BUILD) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "docker.io/library/app:1.0\n"
        "  manifest  sha256:aa\n"
        "  config    sha256:bb\n"
        "  layer     sha256:cc  gzip, 2.0 KiB of 4.0 KiB, 5 entries, rest\n"
        "  cache     680 of 690 members\n"
        "  packages  11 by dpkg, 1 of them without files; 12 files owned, 13 not, 14 claimed twice, 15 missing\n"
        "  wrote     /out/app\n"
        "  wrote     /x.lock\n"
        "  warning   layer shell: bish: no such package\n"
        "  note      run/x.sock: socket left out\n"
        "  took      0.50 s\n"
    )


def test_a_cache_that_failed_is_a_note(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.answer = {**RESULT, "cache": {"hits": 0, "misses": 9, "failures": 7}}
    assert cli.run(BUILD) == 0
    err = capsys.readouterr().err
    assert "  cache     0 of 9 members\n" in err
    assert "  note      failures of the cache: 7; " in err


def test_no_cache_is_no_line(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.answer = {**RESULT, "cache": None}
    assert cli.run(BUILD) == 0
    assert "cache" not in capsys.readouterr().err


def test_data_goes_to_stdout(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*BUILD, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == RESULT
    assert err == ""


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (SpecError("is wrong", "tag", "x"), 2, "tag: is wrong (got 'x')"),
        (RootfsError('"/r/a": shrank', "/r/a"), 1, '"/r/a": shrank'),
        (LayoutError('"/x": no index', "/x"), 1, '"/x": no index'),
        (os_error(errno.ENOSPC, "No space left on device", "/out/a", "write"), 1,
         "can't write '/out/a': No space left on device"),
        (InternalError("internal error"), 1, "internal error"),
        (OSError(errno.EIO, "I/O error", "/x"), 1, "[Errno 5] I/O error: '/x'"),
    ],
)  # fmt: skip
def test_failures(
    failure: Exception,
    code: int,
    message: str,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    core.failure = failure
    assert cli.run(BUILD) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"image-oci-rs: error: {message}\n")


def test_control_c(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.failure = KeyboardInterrupt()
    assert cli.run(BUILD) == 130
    assert capsys.readouterr() == ("", "image-oci-rs: interrupted\n")


@pytest.mark.parametrize("by", ["option", "environment"])
def test_debug_shows_the_specification_and_the_traceback(
    by: str,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core.failure = RootfsError("broken", "/r")
    if by == "environment":
        monkeypatch.setenv("DEBUG", "1")
    assert cli.run([*BUILD, *(["--debug"] if by == "option" else [])]) == 1
    err = capsys.readouterr().err
    spec, end = json.JSONDecoder().raw_decode(err)
    assert spec == core.specs[0]
    assert "Traceback (most recent call last)" in err[end:]
    assert err.endswith("image-oci-rs: error: broken\n")


def test_debug_is_off(core: FakeCore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    core.failure = RootfsError("broken", "/r")
    for value in ("0", ""):
        monkeypatch.setenv("DEBUG", value)
        assert cli.run(BUILD) == 1
        assert capsys.readouterr().err == "image-oci-rs: error: broken\n"


def test_a_missing_core_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, core: FakeCore
) -> None:
    monkeypatch.delattr("image_oci_rs._core")
    monkeypatch.setitem(sys.modules, "image_oci_rs._core", None)
    assert cli.run(BUILD) == 1
    with pytest.raises(SystemExit) as caught:
        cli.run(["-V"])
    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("image-oci-rs: error: ") and "_core" in line for line in lines)


@pytest.mark.parametrize("arguments", [["-V"], ["--version"], ["build", "-V"]])
def test_version(arguments: list[str], core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run(arguments)
    assert caught.value.code == 0
    assert capsys.readouterr() == ("image-oci-rs 9.9.9\n", "")


@pytest.mark.parametrize("arguments", [["-h"], ["build", "-h"], ["build", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run(arguments)
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: image-oci-rs ")
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["bild"], "invalid choice: 'bild'"),
        (["validate"], "required: PATH"),
        (["inspect", "a", "b"], "unrecognized arguments: b"),
    ],
)
def test_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


REPORT = {
    "path": "/x",
    "images": 1,
    "blobs": 3,
    "bytes": 1536,
    "findings": [
        {"code": "layer-digest", "subject": "sha256:aa", "message": "is sha256:bb"},
        {"code": "layer-size", "subject": "sha256:aa", "message": "is 1, not 2"},
    ],
}


def test_validate(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.answer = {**REPORT, "findings": []}
    assert cli.run(["validate", "x"]) == 0
    assert capsys.readouterr() == ("", "/x: valid; images: 1, blobs: 3, 1.5 KiB\n")
    assert core.paths == ["x"]


def test_validate_with_findings(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.answer = REPORT
    assert cli.run(["validate", "x"]) == 1
    assert capsys.readouterr() == (
        "layer-digest: sha256:aa: is sha256:bb\nlayer-size: sha256:aa: is 1, not 2\n",
        "/x: not valid; findings: 2\n",
    )
    assert cli.run(["validate", "--json", "x"]) == 1
    assert json.loads(capsys.readouterr().out) == REPORT


INSPECTION = {
    "path": "/x",
    "images": [
        {
            "name": "docker.io/library/app:1.0",
            "tag": "1.0",
            "manifest": {"media_type": "m", "digest": "sha256:aa", "size": 1},
            "config_descriptor": {"media_type": "c", "digest": "sha256:bb", "size": 2},
            "layers": [
                {
                    "media_type": "application/vnd.oci.image.layer.v1.tar+zstd",
                    "digest": "sha256:cc",
                    "size": 5 << 20,
                    "diff_id": "sha256:dd",
                }
            ],
            "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
            "created": "2024-01-01T00:00:00Z",
            "author": None,
            "config": {"Cmd": ["sh", "-c", "ü"], "User": "0", "ExposedPorts": {"80/tcp": {}}},
            "annotations": {"a": "b"},
            "history": [{"created_by": "image-oci-rs"}],
        }
    ],
}


def test_inspect(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.answer = INSPECTION
    assert cli.run(["inspect", "x"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (
        "docker.io/library/app:1.0\n"
        "  tag          1.0\n"
        "  manifest     sha256:aa\n"
        "  config       sha256:bb\n"
        "  platform     linux/arm/v7\n"
        "  created      2024-01-01T00:00:00Z\n"
        "  layer        sha256:cc  zstd, 5.0 MiB\n"
        "  diff_id      sha256:dd\n"
        '  Cmd          ["sh", "-c", "ü"]\n'
        "  User         0\n"
        '  ExposedPorts {"80/tcp": {}}\n'
        "  annotation   a=b\n"
        "  history      image-oci-rs\n"
    )
    assert cli.run(["inspect", "--json", "x"]) == 0
    assert json.loads(capsys.readouterr().out) == INSPECTION


def test_a_specification_from_a_file(core: FakeCore, make_spec: Callable[..., ImageSpec], tmp_path: Path) -> None:
    spec = make_spec(tag="1.0")
    (tmp_path / "spec.json").write_text(spec.dumps())
    assert cli.run(["build", "--spec", "spec.json"]) == 0
    assert core.specs == [spec.to_json()]


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 1, "can't read 'spec.json': No such file or directory"),
        (b"{", 2, "argument --spec: spec.json: must be JSON, but line 1: "),
        (b"\xff", 2, "argument --spec: spec.json: must be UTF-8 (got 'byte 0')"),
        (b'{"nmae": 1}', 2,
         "argument --spec: spec.json: there is no such key; did you mean 'name'? (got 'nmae')"),
        (b"[" * 100_000, 2, "argument --spec: spec.json: must be JSON that can be read: "),
        (b"1" * 5_000, 2, "argument --spec: spec.json: must be "),
    ],
)  # fmt: skip
def test_a_broken_specification(
    content: bytes | None,
    code: int,
    message: str,
    core: FakeCore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content is not None:
        Path("spec.json").write_bytes(content)
    try:
        found = cli.run(["build", "--spec", "spec.json"])
    except SystemExit as exit_:
        assert isinstance(exit_.code, int)
        found = exit_.code
    assert found == code
    assert message in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STEPS: list[tuple[int, int, int | None, int | None]] = [
    (1, 1024, None, None),
    (50, 512 << 10, 100, 1 << 20),
    (100, 1 << 20, 100, 1 << 20),
]


def test_progress_on_a_terminal(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    core.steps = STEPS
    assert cli.run([*BUILD, "--json"]) == 0
    assert isinstance(sys.stderr, Terminal)
    shown = sys.stderr.getvalue().split("\r")
    assert [line.rstrip() for line in shown if line.strip()] == [
        "packing: 1 entries, 1.0 KiB",
        " 50%  50 entries, 512.0 KiB",
        "100%  100 entries, 1.0 MiB",
    ]
    assert shown[-1] == ""


def test_no_progress_in_a_pipe(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.steps = STEPS
    assert cli.run([*BUILD, "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_the_line_goes_when_a_build_fails(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    core.steps = STEPS
    core.failure = RootfsError("broken", "/r")
    assert cli.run(BUILD) == 1
    assert isinstance(sys.stderr, Terminal)
    assert sys.stderr.getvalue().endswith("\rimage-oci-rs: error: broken\n")


def test_tqdm_draws_where_it_is_installed(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    class Bar:
        n = 0
        total: int | None = None

        def __init__(self, **settings: object) -> None:
            assert settings["file"] is sys.stderr
            assert settings["leave"] is False

        def set_postfix_str(self, text: str, refresh: bool) -> None:
            calls.append(text)

        def update(self, count: int) -> None:
            self.n += count
            calls.append((self.n, self.total))

        def close(self) -> None:
            calls.append("closed")

    module = type(sys)("tqdm")
    module.tqdm = Bar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm", module)
    monkeypatch.setattr(sys, "stderr", Terminal())
    core.steps = STEPS[:2]
    assert cli.run([*BUILD, "--json"]) == 0
    assert calls == [
        "1 entries",
        (1024, None),
        "50 entries",
        (512 << 10, 1 << 20),
        "closed",
    ]


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "image_oci_rs", "build", "-h"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--arch-variant" in done.stdout


def test_a_reader_that_stops_reading_is_no_error(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    core.answer = INSPECTION
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert cli.run(["inspect", "x"]) == 1


def test_letters_that_the_locale_lacks_do_not_stop_the_program(tmp_path: Path) -> None:
    (tmp_path / "rootfs").mkdir()
    program = [sys.executable, "-m", "image_oci_rs"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = ["build", "-a", "Jürgen", "rootfs", "app", "--json"]
    for arguments in (words, ["inspect", "app"], ["validate", "app"]):
        done = subprocess.run([*program, *arguments], capture_output=True, env=environment, check=True)
        assert b"Traceback" not in done.stderr
        if arguments[0] == "inspect":
            assert b"J\\xfcrgen" in done.stdout


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
def test_closed_streams_do_not_end_the_work(closed: str, rootfs: Path, tmp_path: Path) -> None:
    redirection = {"stdout": ">&-", "stderr": "2>&-", "both": "<&- >&- 2>&-"}[closed]
    program = f"{sys.executable} -c 'import sys; from image_oci_rs.cli import main; sys.exit(main())'"
    for words in (f"build {rootfs} {tmp_path}/app", f"validate {tmp_path}/app", f"inspect {tmp_path}/app"):
        done = subprocess.run(["sh", "-c", f"{program} {words} {redirection}"], capture_output=True, text=True)
        assert (done.returncode, "Error" in done.stderr) == (0, False), (words, done.stderr)
