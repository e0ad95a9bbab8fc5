"""A user who is not root and runs commands under pseudo, as BitBake's image tasks do."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path


class BuildUser:
    """Whoever runs this; for root, `nobody`.

    Attributes:
        home: A directory of the user's. What pseudo knows of owners and devices below it is kept there as well.
        untracked: A directory in it of which pseudo knows nothing, as BitBake's IMGDEPLOYDIR.
    """

    def __init__(self, home: Path) -> None:
        """Makes the directory; every directory above it must be open to the user."""
        self.home = home
        self.untracked = home / "untracked"
        (home / "python").mkdir(parents=True)
        self.untracked.mkdir()
        self._become: list[str] = []
        self._python = sys.executable
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            ids = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}"]
            self._become = ["setpriv", *ids, "--clear-groups", "--inh-caps=-all"]
            # The Python that runs this may lie where only root may look.
            self._python = "/usr/bin/python3"
            for directory in (home, self.untracked):
                os.chown(directory, nobody.pw_uid, nobody.pw_gid)

    def add_package(self, name: str) -> None:
        """Copies a Python package from where this process finds it to where the user's Python does."""
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{sys.executable} has no {name}", name=name)
        source, target = Path(spec.origin), self.home / "python"
        if source.name == "__init__.py":
            shutil.copytree(source.parent, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target / source.name)

    def python(self, *arguments: str | Path, text: str = "") -> str:
        """Runs Python under pseudo, `text` on its standard input, and returns what it prints.

        Raises:
            RuntimeError: It failed; with all that it printed.
        """
        command = [*self._become, "pseudo", self._python, *map(str, arguments)]
        done = subprocess.run(
            command, env=self._environment, cwd=self.home, input=text, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def stop_pseudo(self) -> None:
        """Ends pseudo's server, which otherwise stays for a while and keeps its files open."""
        subprocess.run([*self._become, "pseudo", "-S"], env=self._environment, check=False, capture_output=True)

    @property
    def _environment(self) -> dict[str, str]:
        (libraries,) = Path("/usr/lib").glob("*/pseudo")
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.home / "python"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PSEUDO_PREFIX": "/usr",
            "PSEUDO_BINDIR": "/usr/bin",
            "PSEUDO_LIBDIR": str(libraries),
            "PSEUDO_LOCALSTATEDIR": str(self.home / "pseudo"),
            "PSEUDO_PASSWD": "/",
            "PSEUDO_IGNORE_PATHS": f"/usr,/dev,/proc,/sys,{self.untracked}",
            # As BitBake sets it: where a link leads to does not decide which file is meant.
            "PSEUDO_NOSYMLINKEXP": "1",
        }
