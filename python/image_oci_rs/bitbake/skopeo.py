"""Runs skopeo, which talks to registries."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError


@dataclass(frozen=True)
class Skopeo:
    """The program and how it is run.

    Attributes:
        program: Its path.
        environment: Its environment: where to find proxies and credentials.
        tls_verify: Whether registries must use TLS with a valid certificate.
        log: Takes lines for the log.
    """

    program: str
    environment: Mapping[str, str]
    tls_verify: bool
    log: Callable[[str], object]

    def manifest(self, reference: str) -> bytes:
        """The manifest or index of an image, byte for byte.

        Raises:
            ImageError: skopeo failed; the message is its own.
        """
        return self._run("inspect", f"--tls-verify={self._verify}", "--raw", f"docker://{reference}")

    def copy(self, reference: str, directory: Path, everything: bool) -> None:
        """Copies an image into a directory, as skopeo's transport `dir` has it: nothing is converted.

        Args:
            reference: The image.
            directory: The new directory.
            everything: Whether the images of all platforms are copied, if it is an index.

        Raises:
            ImageError: skopeo failed; the message is its own.
        """
        words = ("--all",) if everything else ()
        self._run("copy", *words, f"--src-tls-verify={self._verify}", f"docker://{reference}", f"dir:{directory}")

    @property
    def _verify(self) -> str:
        return "true" if self.tls_verify else "false"

    def _run(self, verb: str, *words: str) -> bytes:
        # The policy is about signatures. The digest is pinned, and skopeo of a native sysroot has no policy file.
        command = (self.program, "--insecure-policy", verb, "--retry-times", "3", *words)
        self.log(" ".join(command))
        done = subprocess.run(
            command, env=dict(self.environment), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode != 0:
            raise ImageError(said.splitlines()[-1] if said else f"skopeo ended with {done.returncode}")
        for line in said.splitlines():
            self.log(line)
        return done.stdout
