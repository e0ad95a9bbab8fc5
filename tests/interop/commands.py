"""Runs the programs that consume images, in an environment that is the same on every machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Without settings of whoever runs the tests. Nothing leaves this machine, so no proxy is of use either.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.lower().endswith("_proxy") and not name.startswith(("BUILDAH_", "CONTAINER", "DOCKER_", "REGISTRY_"))
}


class CommandError(AssertionError):
    """A command failed; the message has all that it printed."""


def run(*command: str | Path, environment: Mapping[str, str] = ENVIRONMENT, timeout: float = 120) -> str:
    """Runs a command and returns its standard output without the newline at the end.

    Raises:
        CommandError: It failed.
        subprocess.TimeoutExpired: It took too long.
    """
    done = subprocess.run(
        list(map(str, command)),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        line = " ".join(map(str, command))
        raise CommandError(f"{line}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.rstrip("\n")


def copy(source: str, target: str) -> None:
    """Copies an image with skopeo, which would else compress layers anew on some ways."""
    options = ["--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    run("skopeo", "--insecure-policy", "copy", *options, source, target)
