"""Builds an image in another Python interpreter, where this one can't load the compiled core."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired

from .api import BuildResult
from .errors import ImageError
from .spec import ImageSpec

_PATIENCE = 5.0  # Seconds that the interpreter has to end in when it is asked to.
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def build_in(python: str, spec: ImageSpec, log: Callable[[str], object]) -> BuildResult:
    """Builds an image like `build`, with this very package, in another interpreter.

    Whatever ends this call or this process, be it a signal, ends the other interpreter too.

    Args:
        python: The interpreter.
        spec: What to build.
        log: Takes the lines that the interpreter writes to its standard error.

    Returns:
        What was made.

    Raises:
        ImageError: The build failed; the message is the interpreter's own.
        OSError: The interpreter can't be started.
    """
    packages = str(Path(__file__).resolve().parents[1])
    command = [python, "-m", "image_oci_rs", "build", "--spec", "-", "--json"]
    environment = {**os.environ, "PYTHONPATH": packages, "PYTHONIOENCODING": "utf-8"}
    with Popen(
        command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
        preexec_fn=_end_with_parent,
    ) as process:
        try:
            out, err = process.communicate(spec.dumps().encode())
        except BaseException:
            _end(process)
            raise
    words = err.decode(errors="replace").strip()
    if process.returncode != 0:
        raise ImageError(f"{' '.join(command)} failed with {process.returncode}: {words}")
    for line in words.splitlines():
        log(line)
    return BuildResult.loads(out.decode())


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except TimeoutExpired:
        process.kill()
