"""A build directory with one recipe: parse it, run its tasks, see what they left."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kit import Kit


@dataclass(frozen=True)
class Outcome:
    """What a run of tasks has left behind.

    Attributes:
        succeeded: Whether all tasks did.
        events: What the tasks told BitBake's user interface, each with "task" and "event".
        output: What was printed; the log of the task that failed, if one did.
    """

    build: BuildDirectory
    succeeded: bool
    events: tuple[dict[str, Any], ...]
    output: str

    @property
    def deployed(self) -> Path:
        """DEPLOY_DIR_IMAGE."""
        return self.build.top / "tmp/deploy/images"

    def log(self, task: str) -> str:
        """The log file of a task."""
        return (self.build.work / "temp" / f"log.{task}").read_text()


@dataclass(frozen=True)
class BuildDirectory:
    """TOPDIR of a build.

    Attributes:
        host_python: Directories beside BitBake's own on the path of the Python that runs the tasks.
    """

    kit: Kit
    top: Path
    recipe: Path
    host_python: list[Path] = field(default_factory=list)

    @classmethod
    def lay_out(cls, kit: Kit, top: Path, recipe: str, name: str, conf: str) -> BuildDirectory:
        """Writes configuration and recipe into `top`."""
        build = cls(kit, top, top / f"{name}.bb")
        (top / "conf").mkdir()
        meta, layer = kit.layers
        (top / "conf/bblayers.conf").write_text(
            f'BBPATH = "${{TOPDIR}}:{layer}"\nBBLAYERS = "{meta}"\n'
            f'NATIVE_PACKAGES = "{kit.native_packages}"\n'
            # Both the build user and whoever runs the tests parse here.
            'BB_CACHEDIR = "${TOPDIR}/cache-${@os.getuid()}"\n'
        )
        build.write(recipe, conf)
        return build

    def write(self, recipe: str, conf: str = "") -> None:
        """Replaces the recipe and the configuration that is read last."""
        self.recipe.write_text(recipe)
        (self.top / "conf/last.conf").write_text(conf)

    @property
    def work(self) -> Path:
        """WORKDIR."""
        return self.top / "tmp/work" / self.recipe.stem

    @property
    def images(self) -> Path:
        """IMGDEPLOYDIR."""
        return self.work / f"deploy-{self.recipe.stem}-image-complete"

    def parse(self) -> Any:
        """The recipe's datastore, in this process."""
        from .datastore import parse

        return parse(self.top, self.recipe)

    def run(self, *tasks: str) -> Outcome:
        """Runs tasks in the order given; none given, all that do_build needs."""
        return self.finish(self.start(*tasks))

    def start(self, *tasks: str) -> subprocess.Popen[str]:
        """Starts what `run` does; `finish` waits for it."""
        self._events.write_text("")
        os.chown(self._events, self.kit.user.uid, self.kit.user.gid)
        command = [
            "pseudo",
            self.kit.user.python,
            "-m",
            "bitbake_harness.worker",
            self.top,
            self.recipe,
            *tasks,
        ]
        environment = self.environment | {"PSEUDO_DISABLED": "1"}
        return subprocess.Popen(
            [*self.kit.user.become, *map(str, command)],
            cwd=self.top, env=environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def finish(self, worker: subprocess.Popen[str]) -> Outcome:
        output, _ = worker.communicate()
        return Outcome(self, worker.returncode == 0, tuple(self.events()), output)

    def events(self) -> list[dict[str, Any]]:
        """The events so far of the run that was started last."""
        # A line that is still being written has no end yet.
        return [json.loads(line) for line in self._events.read_text().splitlines(True) if line.endswith("\n")]

    def under_pseudo(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Runs a command as the build user, who sees IMAGE_ROOTFS as tasks do. It must succeed."""
        pseudo = dict(word.split("=", 1) for word in self.parse().getVar("FAKEROOTENV").split())
        environment = self.environment | pseudo
        done = subprocess.run(
            [*self.kit.user.become, "pseudo", *map(str, command)],
            cwd=self.top,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        stop = [*self.kit.user.become, "pseudo", "-S"]
        subprocess.run(stop, env=environment, check=False, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
        return done

    @property
    def environment(self) -> dict[str, str]:
        """What the tasks' process starts with; nothing of this process's own but PATH."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.top),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": ":".join(map(str, [self.kit.python_path, *self.host_python])),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PSEUDO_PREFIX": "/usr",
        }

    @property
    def _events(self) -> Path:
        return self.top / "events.jsonl"
