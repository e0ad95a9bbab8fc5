"""Runs the command in another Python interpreter, where this one can't load the compiled core."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired

from .errors import ImageError

_PATIENCE = 5.0  # Seconds that the interpreter has to end in when it is asked to.
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def run_in(python: str, command: str, spec: str, log: Callable[[str], object]) -> str:
    """Runs `build` or `index`, with this very package, in another interpreter.

    Whatever ends this call or this process, be it a signal, ends the other interpreter too.

    Args:
        python: The interpreter.
        command: Which of the two.
        spec: The description that it takes, in JSON.
        log: Takes the lines that the interpreter writes to its standard error.

    Returns:
        What was made, in JSON.

    Raises:
        ImageError: It failed; the message is the interpreter's own.
        OSError: The interpreter can't be started.
    """
    packages = str(Path(__file__).resolve().parents[1])
    words = [python, "-m", "image_oci_rs", command, "--spec", "-", "--json"]
    environment = {**os.environ, "PYTHONPATH": packages, "PYTHONIOENCODING": "utf-8"}
    with Popen(
        words,
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
        raise ImageError(f"{' '.join(words)} failed with {process.returncode}: {said}")
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
