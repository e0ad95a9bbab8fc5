"""Builds that can't succeed say why, raise the right exception and leave nothing behind."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from image_oci_rs import (
    Archive,
    Cache,
    ImageError,
    ImageOSError,
    ImageSpec,
    LayoutError,
    Output,
    OutputExistsError,
    Progress,
    RootfsError,
    Source,
    SpecError,
    build,
    cli,
    inspect,
    validate,
)

MakeSpec = Callable[..., ImageSpec]
HUGE = 64 << 30  # Of a sparse file: takes no space, and minutes to pack.


@pytest.fixture
def huge_file(rootfs: Path) -> Path:
    path = rootfs / "huge"
    with path.open("wb") as stream:
        stream.truncate(HUGE)
    return path


@contextmanager
def another_user() -> Iterator[None]:
    """Root may read and write everything; what must not be, another user shows."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that another user reaches; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def fails(
    spec: ImageSpec,
    kind: type[Exception],
    *words: str,
    progress: Callable[..., object] | None = None,
) -> ImageError:
    """The error of a build, which names everything in `words` and leaves no output."""
    with pytest.raises(ImageError) as caught:
        build(spec, progress)
    assert isinstance(caught.value, kind), repr(caught.value)
    for word in words:
        assert word in str(caught.value)
    for path in spec.output.paths:
        assert not os.path.lexists(path)
    return caught.value


def test_no_such_root_filesystem(make_spec: MakeSpec, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    error = fails(make_spec(sources=(Source(missing),)), FileNotFoundError, missing)
    assert isinstance(error, ImageOSError)
    assert (error.errno, error.filename) == (errno.ENOENT, missing)
    assert str(error).endswith("No such file or directory")
    assert names(tmp_path) == ["rootfs"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"x" * 2048, b"\x1f\x8b"])
def test_a_file_that_is_no_archive(content: bytes, make_spec: MakeSpec, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    error = fails(make_spec(sources=(Source(str(path)),)), RootfsError, str(path))
    assert isinstance(error, RootfsError)
    assert error.path == str(path)
    assert names(tmp_path) == ["file", "rootfs"]


def test_a_device_is_no_root_filesystem(make_spec: MakeSpec) -> None:
    fails(make_spec(sources=(Source("/dev/null"),)), RootfsError, "/dev/null")


def test_an_unreadable_file(open_directory: Path, make_spec: MakeSpec) -> None:
    root, out = open_directory / "r", open_directory / "o"
    root.mkdir()
    (root / "secret").write_text("x")
    (root / "secret").chmod(0)
    out.mkdir()
    out.chmod(0o777)
    spec = make_spec(sources=(Source(str(root)),), output=Output(layout=str(out / "x")))
    with another_user():
        error = fails(spec, PermissionError, f"{root}/secret", "Permission denied")
    assert isinstance(error, ImageOSError)
    assert (error.errno, error.filename) == (errno.EACCES, f"{root}/secret")
    assert names(out) == []


def test_an_output_directory_that_can_not_be_written(open_directory: Path, make_spec: MakeSpec) -> None:
    root, out = open_directory / "r", open_directory / "o"
    root.mkdir()
    out.mkdir(mode=0o755)
    out.chmod(0o555)
    for output in (Output(layout=str(out / "x")), Output(archives=(Archive(str(out / "x")),))):
        with another_user():
            error = fails(
                make_spec(sources=(Source(str(root)),), output=output),
                PermissionError,
                str(out),
                "Permission denied",
            )
        assert isinstance(error, ImageOSError)
        assert error.errno == errno.EACCES
        assert str(error.filename).startswith(str(out))
    assert names(out) == []


def test_a_cache_that_can_not_be_written(open_directory: Path, make_spec: MakeSpec) -> None:
    root, out, cache = (open_directory / name for name in ("r", "o", "c"))
    root.mkdir()
    out.mkdir()
    out.chmod(0o777)
    cache.mkdir(mode=0o755)
    for directory in (cache, cache / "below"):
        spec = make_spec(
            sources=(Source(str(root)),),
            output=Output(layout=str(out / "x")),
            cache=Cache(str(directory)),
        )
        with another_user():
            error = fails(spec, PermissionError, f"the cache '{directory}'", "Permission denied")
        assert isinstance(error, ImageOSError)
        assert (error.errno, error.filename) == (errno.EACCES, str(directory))
    assert names(out) == names(cache) == []


def test_a_cache_below_a_file(make_spec: MakeSpec, rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fails(make_spec(cache=Cache(str(tmp_path / "file/cache"))), NotADirectoryError, f"{tmp_path}/file/cache")


def test_an_output_directory_that_does_not_exist(make_spec: MakeSpec, tmp_path: Path) -> None:
    layout = tmp_path / "missing/dir/x"
    try:
        build(make_spec(output=Output(layout=str(layout))))
    except FileNotFoundError as error:
        assert isinstance(error, ImageOSError)
        assert str(tmp_path / "missing") in str(error)
    else:
        assert layout.is_dir()


def test_an_output_below_a_file(make_spec: MakeSpec, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    layout = tmp_path / "file/x"
    error = fails(make_spec(output=Output(layout=str(layout))), NotADirectoryError, str(layout.parent))
    assert isinstance(error, ImageOSError)


@pytest.mark.parametrize("kind", ["layout", "empty directory", "file", "dangling link"])
@pytest.mark.parametrize("output", ["layout", "archive"])
def test_output_exists(kind: str, output: str, make_spec: MakeSpec, tmp_path: Path) -> None:
    path = tmp_path / "out"
    if kind == "file":
        path.write_text("precious")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    else:
        path.mkdir()
    if kind == "layout":
        (path / "oci-layout").touch()
    before = path.lstat()
    wanted = Output(layout=str(path)) if output == "layout" else Output(archives=(Archive(str(path)),))
    with pytest.raises(OutputExistsError) as caught:
        build(make_spec(output=wanted))
    assert str(caught.value) == f"output '{path}' exists already"
    assert isinstance(caught.value, FileExistsError)
    assert (caught.value.errno, caught.value.filename) == (errno.EEXIST, str(path))
    after = path.lstat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == ["out", "rootfs"]
    result = build(make_spec(output=replace(wanted, replace=True)))
    assert (result.layout, *result.archives).count(str(path)) == 1
    assert names(tmp_path) == ["out", "rootfs"]


@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("output", ["layout", "archive"])
def test_a_directory_that_is_no_layout_is_never_replaced(
    output: str, replaced: bool, make_spec: MakeSpec, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "precious").touch()
    wanted = Output(layout=str(path)) if output == "layout" else Output(archives=(Archive(str(path)),))
    with pytest.raises(OutputExistsError) as caught:
        build(make_spec(output=replace(wanted, replace=replaced)))
    assert str(caught.value) == f"output '{path}' is a directory that holds other things than an image layout"
    assert not caught.value.replaceable
    assert (names(tmp_path), names(path)) == (["out", "rootfs"], ["precious"])


def archive_of(path: Path, members: list[tuple[str, bytes]], mode: str = "w:gz") -> None:
    how: str = mode
    with tarfile.open(path, how) as archive:  # type: ignore[call-overload]
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_archive(mode: str, make_spec: MakeSpec, tmp_path: Path) -> None:
    path = tmp_path / "r.tar"
    archive_of(path, [("a", os.urandom(100_000)), ("b", os.urandom(100_000))], mode)
    path.write_bytes(path.read_bytes()[:150_000])
    fails(make_spec(sources=(Source(str(path)),)), RootfsError, str(path))
    assert names(tmp_path) == ["r.tar", "rootfs"]


@pytest.mark.parametrize("name", ["../etc/passwd", "a/../../b", "/etc/passwd", "a/..", ".."])
def test_names_that_leave_the_archive(name: str, make_spec: MakeSpec, tmp_path: Path) -> None:
    path = tmp_path / "r.tar"
    archive_of(path, [("ok", b"x"), (name, b"x")])
    fails(make_spec(sources=(Source(str(path)),)), RootfsError, name)
    assert names(tmp_path) == ["r.tar", "rootfs"]


def test_a_file_that_shrinks_while_it_is_read(huge_file: Path, make_spec: MakeSpec, tmp_path: Path) -> None:
    def shrink(progress: Progress) -> None:
        if progress.bytes:
            os.truncate(huge_file, 10)

    fails(make_spec(), RootfsError, str(huge_file), progress=shrink)
    assert names(tmp_path) == ["rootfs"]


def test_what_a_callback_raises_stops_the_build(huge_file: Path, make_spec: MakeSpec, tmp_path: Path) -> None:
    class StopIt(Exception):
        pass

    calls = []

    def stop(progress: Progress) -> None:
        calls.append(progress)
        if progress.bytes:
            raise StopIt("enough")

    start = time.monotonic()
    with pytest.raises(StopIt, match="enough"):
        build(make_spec(), stop)
    assert time.monotonic() - start < 10
    assert [bool(progress.bytes) for progress in calls].count(True) == 1
    assert names(tmp_path) == ["rootfs"]


DRIVER = """
import sys
from image_oci_rs import ImageSpec, build
def note(progress):
    if progress.bytes:
        print("packing", flush=True)
build(ImageSpec.loads(sys.argv[1]), note)
"""


def interrupted(
    command: list[str], number: signal.Signals, started: Callable[[], bool] | None = None
) -> tuple[int, str, float]:
    """Exit code, standard error and the seconds it took a program to end after a signal.

    The signal is sent when `started` is true, or without it when the program has written a line.
    """

    def heed_signals() -> None:
        # A shell without job control has what it starts in the background ignore this one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals) as process:
        assert process.stdout is not None and process.stderr is not None
        if started is None:
            assert process.stdout.readline() == b"packing\n"
        else:
            while not started():
                assert process.poll() is None
                time.sleep(0.01)
        start = time.monotonic()
        process.send_signal(number)
        process.stdout.read()
        words = process.stderr.read().decode()
        return process.wait(), words, time.monotonic() - start


@pytest.mark.parametrize("output", ["layout", "archive"])
def test_control_c_ends_a_script_within_a_second(
    output: str, huge_file: Path, make_spec: MakeSpec, tmp_path: Path
) -> None:
    wanted = Output(layout=str(tmp_path / "out"))
    if output == "archive":
        wanted = Output(archives=(Archive(str(tmp_path / "out")),))
    spec = make_spec(output=wanted)
    code, words, seconds = interrupted([sys.executable, "-c", DRIVER, spec.dumps()], signal.SIGINT)
    assert code == -signal.SIGINT
    assert words.endswith("KeyboardInterrupt\n")
    assert seconds < 1
    assert names(tmp_path) == ["rootfs"]


@pytest.mark.parametrize(
    ("number", "expected", "message"),
    [(signal.SIGINT, 130, "image-oci-rs: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_signals_end_the_program_within_a_second(
    number: signal.Signals,
    expected: int,
    message: str,
    huge_file: Path,
    make_spec: MakeSpec,
    tmp_path: Path,
) -> None:
    (tmp_path / "spec.json").write_text(make_spec().dumps())
    command = [sys.executable, "-m", "image_oci_rs", "build", "--spec", str(tmp_path / "spec.json")]
    # The layout is written under another name, which is there as soon as the core works.
    code, words, seconds = interrupted(command, number, lambda: len(names(tmp_path)) > 2)
    assert (code, words) == (expected, message)
    assert seconds < 1
    assert names(tmp_path) == ["rootfs", "spec.json"]


def test_a_build_that_was_killed_leaves_no_image_and_the_next_one_cleans_up(
    huge_file: Path, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec()
    code, _, _ = interrupted([sys.executable, "-c", DRIVER, spec.dumps()], signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    os.truncate(huge_file, 10)
    build(spec)
    assert names(tmp_path) == ["out", "rootfs"]


def test_text_that_is_no_specification_is_refused_by_the_core_too(
    make_spec: MakeSpec,
) -> None:
    from image_oci_rs import _core

    for text in ("", "{}", "[]", "null", make_spec().dumps()[:-1], '{"name": "a"}'):
        with pytest.raises(SpecError) as caught:
            _core.build(text)
        assert text.startswith(str(caught.value.value))
        assert str(caught.value).startswith("spec: ")


@pytest.mark.parametrize("read", [validate, inspect])
def test_reading_what_is_no_image(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        read(tmp_path / "missing")
    assert isinstance(missing.value, ImageOSError)
    assert missing.value.filename == str(tmp_path / "missing")
    (tmp_path / "file").write_text("no image")
    with pytest.raises(LayoutError) as caught:
        read(tmp_path / "file")
    assert caught.value.path == str(tmp_path / "file")


def test_the_program_says_it_in_one_line(rootfs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    assert cli.run(["build", str(rootfs), str(tmp_path / "out")]) == 1
    assert capsys.readouterr() == (
        "",
        f"image-oci-rs: error: output '{tmp_path}/out' exists already; --replace replaces it\n",
    )
    (tmp_path / "out/precious").touch()
    assert cli.run(["build", "--replace", str(rootfs), str(tmp_path / "out")]) == 1
    assert capsys.readouterr() == (
        "",
        f"image-oci-rs: error: output '{tmp_path}/out' is a directory that holds other things than an image layout\n",
    )
