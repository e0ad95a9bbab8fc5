"""The build user, and the pseudo that makes it look like root: as BitBake runs the tasks of images."""

from __future__ import annotations

import os
import pwd
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import CommandFailed, run


@dataclass(frozen=True)
class BuildUser:
    """A user without privileges in a directory of its own.

    Attributes:
        environment: What every command starts with.
    """

    directory: Path
    environment: dict[str, str]

    @classmethod
    def in_directory(cls, directory: Path, environment: dict[str, str]) -> BuildUser:
        """`nobody`, who becomes the owner of a new `directory`."""
        user = cls(directory, environment | {"PSEUDO_PREFIX": "/usr", "PSEUDO_LOCALSTATEDIR": str(directory / "state")})
        directory.mkdir(exist_ok=True)
        nobody = pwd.getpwnam("nobody")
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        return user

    def under_pseudo(self, command: Sequence[str]) -> list[str]:
        """`command` as this user runs it under pseudo."""
        return [*self._become, "pseudo", *command]

    @property
    def has_unpacked(self) -> bool:
        """Whether `unpack` was done, now or by an earlier run."""
        return self._kept.exists()

    def unpack(self, command: Sequence[str]) -> None:
        """Runs a command that fills the directory, and keeps what pseudo then knows of the files."""
        run(self.under_pseudo(command), self.environment, self.directory)
        self._stop()
        partial = self._kept.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for database in self._state.glob("*.db"):
            shutil.copy(database, partial)
        partial.rename(self._kept)

    def start(self, unpacked: Path) -> None:
        """A pseudo that is running, and knows what it knew after `unpack`.

        What earlier commands made was removed behind its back, and inodes are used again.
        """
        self._stop()
        shutil.rmtree(self._state, ignore_errors=True)
        run([*self._become, "cp", "-r", str(self._kept), str(self._state)], self.environment, self.directory)
        owner = run(self.under_pseudo(["stat", "--format=%u", str(unpacked)]), self.environment, self.directory)
        if owner.strip() != "0":
            raise CommandFailed(f"pseudo does not know {unpacked}: the owner it tells is {owner.strip()}")

    def stop(self) -> None:
        """Ends the server, whose directory may then be removed."""
        self._stop()

    def make_directory(self, name: str) -> Path:
        """A directory of the user's own."""
        run([*self._become, "mkdir", "-p", name], self.environment, self.directory)
        return self.directory / name

    def _stop(self) -> None:
        """Ends the server and waits until it is gone: only then is its database in the file."""
        pid_file = self._state / "pseudo.pid"
        server = Path("/proc", pid_file.read_text().strip()) if pid_file.exists() else None
        try:
            run([*self._become, "pseudo", "-S"], self.environment, self.directory)
        except CommandFailed:
            pass  # None was running.
        for _ in range(600):
            if server is None or not _is_pseudo(server):
                return
            time.sleep(0.1)
        raise CommandFailed(f"the server of pseudo, {server}, does not end")

    @property
    def _become(self) -> list[str]:
        nobody = pwd.getpwnam("nobody")
        return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--inh-caps=-all"]

    @property
    def _state(self) -> Path:
        return self.directory / "state"

    @property
    def _kept(self) -> Path:
        return self.directory / "state.kept"


def _is_pseudo(process: Path) -> bool:
    """Whether a directory of /proc is still that of a server; its number may be another process's by now."""
    try:
        return (process / "comm").read_text().strip() == "pseudo"
    except OSError:
        return False
