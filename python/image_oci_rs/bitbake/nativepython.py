"""Runs the command in another Python interpreter, where this one can't load the compiled core."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired

from ..errors import ImageError

_PATIENCE = 5.0  # Seconds that the interpreter has to end in when it is asked to.
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def run_in_nativepython3(
    path: str, error: ImportError, words: Sequence[str], spec: str, log: Callable[[str], object]
) -> str:
    """Runs the command in BitBake's own Python, because the engine can't be loaded in this one.

    Args:
        path: The directories to look for it in, as PATH has them.
        error: Why the engine can't be loaded, for the log.
        words: The command's words.
        spec: What it reads from its standard input.
        log: Takes lines for the log.

    Returns:
        What the command prints, JSON.

    Raises:
        ImageError: There is no such Python, or it failed.
        OSError: It can't be started.
    """
    python = shutil.which("nativepython3", path=path)
    if python is None:
        raise ImageError(f"The engine can't be loaded here, and there is no nativepython3: {error}") from error
    log(f"The engine can't be loaded here, so it runs in {python}: {error}")
    return run_in(python, words, spec, log)


def run_in(python: str, words: Sequence[str], spec: str, log: Callable[[str], object]) -> str:
    """Runs the command, with this very package, in another interpreter.

    Whatever ends this call or this process, be it a signal, ends the other interpreter too.

    Args:
        python: The interpreter.
        words: The command's words, for example `build --spec -`.
        spec: What it reads from its standard input.
        log: Takes the lines that the interpreter writes to its standard error.

    Returns:
        What the command prints, JSON.

    Raises:
        ImageError: It failed; the message is the interpreter's own.
        OSError: The interpreter can't be started.
    """
    packages = str(Path(__file__).resolve().parents[2])
    started = [python, "-m", "image_oci_rs", *words, "--json"]
    environment = {**os.environ, "PYTHONPATH": packages, "PYTHONIOENCODING": "utf-8"}
    with Popen(
        started,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
        preexec_fn=_end_with_parent,
    ) as process:
        try:
            out, err = process.communicate(spec.encode())
        except BaseException:
            _end(process)
            raise
    said = err.decode(errors="replace").strip()
    if process.returncode != 0:
        raise ImageError(f"{' '.join(started)} failed with {process.returncode}: {said}")
    for line in said.splitlines():
        log(line)
    return out.decode()


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except TimeoutExpired:
        process.kill()
