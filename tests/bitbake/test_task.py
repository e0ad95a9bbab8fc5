"""The work inside the task: where the engine comes from, what is told meanwhile, how it stops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.kit import Kit
from broken_engine import NEWER_LIBC
from image_recipe import SMALL_IMAGE, layout_json

from image_oci_rs import ImageSpec, Output, Platform, Source
from image_oci_rs.bitbake import nativepython
from rootfs_fixtures import attributes

SmallImage = Callable[..., BuildDirectory]
PATIENCE = 20.0


def built(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


def digest(outcome: Outcome) -> Any:
    index, _, _ = layout_json(outcome.deployed / "app-latest-oci")
    return index["manifests"][0]["digest"]


def test_log_names_what_was_packed(small_image: SmallImage) -> None:
    build = small_image('ROOTFS_COMMAND:append = "; python3 ${TOPDIR}/make_socket.py"')
    (build.top / "make_socket.py").write_text("import socket; socket.socket(socket.AF_UNIX).bind('a-socket')\n")
    outcome = built(build)

    index, manifest, _ = layout_json(outcome.deployed / "app-latest-oci")
    log = outcome.log("do_image_oci")
    assert "docker.io/library/app:latest: 5 entries, 6 bytes of content, out of " in log
    for descriptor in (index["manifests"][0], manifest["config"], manifest["layers"][0]):
        assert descriptor["digest"] in log
    assert "a-socket" in log
    for ending in (".oci", "-oci.tar", "-oci-dir.tar"):
        assert f"wrote {outcome.build.images}/app-qemux86-64.rootfs-" in log
        assert f"{ending}\n" in log
    assert not [event for event in outcome.events if event.get("level") in ("WARNING", "ERROR")]


def test_no_name_makes_a_line_of_the_log(small_image: SmallImage) -> None:
    build = small_image('ROOTFS_COMMAND:append = "; python3 ${TOPDIR}/make_socket.py"')
    script = r"import socket; socket.socket(socket.AF_UNIX).bind('a\nERROR: forged\x1b[2J')"
    (build.top / "make_socket.py").write_text(script)
    log = built(build).log("do_image_oci")
    assert r"a\nERROR: forged\x1b[2J: socket left out" in log
    assert "\x1b" not in log
    assert [line for line in log.splitlines() if line.startswith("ERROR")] == []


def test_progress_goes_to_the_user_interface(small_image: SmallImage) -> None:
    outcome = built(small_image('ROOTFS_COMMAND:append = "; truncate -s 300M big"', 'OCI_IMAGE_TAR_OUTPUT = ""'))

    events = [event for event in outcome.events if event["event"] == "TaskProgress"]
    shown = [(event["progress"], event["words"]) for event in events if event["progress"] >= 0]
    percent = [value for value, _ in shown]
    assert percent[0] < percent[-1] == 100
    assert percent == sorted(percent)
    # The last file is not the end of the work.
    assert {words for value, words in shown if value == 100} == {"finishing"}
    assert {words for value, words in shown if value < 100} == {None}


def test_python_path_is_left_as_it_was(small_image: SmallImage) -> None:
    build = small_image(
        'do_image_oci[postfuncs] += "show_path"',
        "python show_path () {\n    import sys\n    bb.note('sys.path: %s' % sys.path)\n}",
    )
    log = built(build).log("do_image_oci")
    (line,) = [line for line in log.splitlines() if "sys.path: " in line]
    assert "recipe-sysroot-native" not in line


def test_package_installed_in_bitbakes_own_python(small_image: SmallImage, kit: Kit) -> None:
    build = small_image('OCI_NATIVE_DEPENDS = ""')
    build.host_python.append(kit.package.parent)

    assert "sysroot" not in built(build).log("do_image_oci")
    assert not (build.work / "recipe-sysroot-native").exists()


def test_package_of_the_sysroot_goes_before_an_installed_one(small_image: SmallImage) -> None:
    build = small_image()
    stale = build.top / "stale/image_oci_rs"
    stale.mkdir(parents=True)
    (stale / "__init__.py").write_text("raise ImportError('an old one')\n")
    build.host_python.append(stale.parent)

    built(build)


def test_no_package_at_all_says_what_to_do(small_image: SmallImage) -> None:
    outcome = small_image('OCI_NATIVE_DEPENDS = ""').run()

    assert not outcome.succeeded
    log = outcome.log("do_image_oci")
    assert "ERROR: The Python package image_oci_rs cannot be imported: No module named 'image_oci_rs'." in log
    assert "OCI_NATIVE_DEPENDS" in log
    assert "-m pip install dist/*.whl" in log


def test_engine_that_cannot_be_loaded_runs_in_nativepython3(broken_kit: Kit, kit: Kit) -> None:
    outcome = built(broken_kit.build_directory(SMALL_IMAGE))

    log = outcome.log("do_image_oci")
    assert NEWER_LIBC in log
    assert "recipe-sysroot-native/usr/bin/python3-native/nativepython3" in log
    assert "docker.io/library/app:latest: 5 entries, 6 bytes of content" in log
    # Devices and owners too: pseudo reaches into the other interpreter.
    assert digest(outcome) == digest(built(kit.build_directory(SMALL_IMAGE)))


NO_ROOTFS = 'IMAGE_PREPROCESS_COMMAND = "mv ${IMAGE_ROOTFS} ${IMAGE_ROOTFS}.gone"\n'


def test_failure_in_nativepython3_is_the_tasks(broken_kit: Kit) -> None:
    outcome = broken_kit.build_directory(SMALL_IMAGE + NO_ROOTFS).run()

    assert not outcome.succeeded
    error = outcome.log("do_image_oci").partition("ERROR: ")[2]
    assert "nativepython3" in error
    assert str(outcome.build.work / "rootfs") in error


def test_neither_engine_nor_nativepython3(broken_kit: Kit) -> None:
    build = broken_kit.build_directory(SMALL_IMAGE + 'EXTRANATIVEPATH:forcevariable = ""\n')
    outcome = build.run()

    assert not outcome.succeeded
    assert f"ERROR: The engine can't be loaded here, and there is no nativepython3: {NEWER_LIBC}" in outcome.log(
        "do_image_oci"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kit_name", ["kit", "broken_kit"])
def test_stopped_task_leaves_nothing(number: signal.Signals, kit_name: str, request: pytest.FixtureRequest) -> None:
    kit: Kit = request.getfixturevalue(kit_name)
    build = kit.build_directory(SMALL_IMAGE + 'ROOTFS_COMMAND:append = "; truncate -s 200G big"\n')
    worker = build.start()
    task = pid_of_task_at_work(build)

    started = time.monotonic()
    os.kill(task, number)
    outcome = build.finish(worker)
    assert time.monotonic() - started < 2.0
    assert not outcome.succeeded
    assert [path.name for path in build.images.iterdir() if not path.name.startswith(".")] == []
    wait_for(lambda: not pythons_of(build))

    build.under_pseudo(["rm", build.work / "rootfs/big"])
    outcome = build.run("do_image_oci")
    assert outcome.succeeded, outcome.output
    assert [path.name for path in build.images.iterdir() if path.name.startswith(".")] == []


def pid_of_task_at_work(build: BuildDirectory) -> int:
    """The process of do_image_oci, once it is writing."""
    wait_for(lambda: any(build.images.glob(".*.partial/blobs/**/*")))
    (pid,) = {event["pid"] for event in build.events() if event["task"] == "do_image_oci"}
    return int(pid)


def pythons_of(build: BuildDirectory) -> list[int]:
    """Processes of Python that were started by a build: its directory is in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = ((process / file).read_bytes() for file in ("cmdline", "environ"))
        except OSError:
            continue
        if b"python" in command and os.fsencode(build.top) in environment:
            found.append(int(process.name))
    return found


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize("answer", ["exec sleep 60", "trap '' TERM; while :; do sleep 0.1; done"])
def test_whatever_stops_the_task_stops_the_other_interpreter(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "nativepython3"
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{answer}\n")
    python.chmod(0o755)
    spec = ImageSpec(
        sources=(Source(str(tmp_path / "rootfs")),),
        name="app",
        platform=Platform("amd64"),
        output=Output(layout=str(tmp_path / "app.oci")),
    )

    def stop(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(nativepython, "_PATIENCE", 0.2)
    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(SystemExit):
            nativepython.run_in(str(python), ["build", "--spec", "-"], spec.dumps(), log=print)
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_missing_root_filesystem_is_named(small_image: SmallImage) -> None:
    outcome = small_image(NO_ROOTFS).run()

    assert not outcome.succeeded
    (line,) = [line for line in outcome.log("do_image_oci").splitlines() if line.startswith("ERROR: ")]
    assert str(outcome.build.work / "rootfs") in line


@pytest.mark.needs("busybox")
def test_every_attribute_of_the_nasty_root_filesystem_survives(kit: Kit) -> None:
    latest = 2_000_000_000
    if not (kit.python_path / "rootfs_fixtures").exists():
        kit.add_python(Path(attributes.__file__).parent)
    build = kit.build_directory(
        SMALL_IMAGE
        + 'MAKE = "python3 -m rootfs_fixtures nasty --expected ${WORKDIR}/expected.json"\n'
        + 'ROOTFS_COMMAND = "${MAKE} ${IMAGE_ROOTFS}"\n'
        # The files keep their times, as long as they are not newer.
        + f'REPRODUCIBLE_TIMESTAMP_ROOTFS = ""\nREPRODUCIBLE_TIMESTAMP_ROOTFS:task-image-oci = "{latest}"\n'
        + 'OCI_LAYER_COMPRESSION = "none"\n'
        + f'export PYTHONPATH = "{kit.python_path}"\n'
    )
    outcome = built(build)

    expected = attributes.from_json((build.work / "expected.json").read_text())
    layout = outcome.deployed / "app-latest-oci"
    _, manifest, _ = layout_json(layout)
    (layer,) = manifest["layers"]
    with open(layout / "blobs" / layer["digest"].replace(":", "/"), "rb") as blob:
        packed = attributes.of_layer(blob)
    assert [str(line) for line in attributes.compare(attributes.packed(expected, latest=latest), packed)] == []
