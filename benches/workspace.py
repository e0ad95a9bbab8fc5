"""Where everything is unpacked, built and removed again: a directory that the build user can reach."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import debian
from build_user import BuildUser
from measure import run

PYTHON = "/usr/bin/python3"
SMALL_FILES = Path(__file__).with_name("small_files.py")


@dataclass(frozen=True)
class Workspace:
    """The directory, and the paths in it."""

    directory: Path
    user: BuildUser
    many: int
    few: int

    @classmethod
    @contextmanager
    def at(cls, directory: Path, quick: bool) -> Iterator[Workspace]:
        """A workspace without root filesystems; those that a run before made stay."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(directory / "package"),
        }
        user = BuildUser.in_directory(directory / "user", environment)
        workspace = cls(directory, user, *((20_000, 2_000) if quick else (200_000, 20_000)))
        workspace.out.mkdir(exist_ok=True)
        workspace.user.make_directory("out")
        workspace._install()
        try:
            yield workspace
        finally:
            user.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What root's commands start with."""
        return {name: value for name, value in self.user.environment.items() if not name.startswith("PSEUDO")}

    @property
    def out(self) -> Path:
        """Where root's commands write."""
        return self.directory / "out"

    @property
    def user_out(self) -> Path:
        """Where the build user's commands write."""
        return self.user.directory / "out"

    @property
    def debian(self) -> Path:
        """The real root filesystem as root has it."""
        return self.directory / "debian"

    @property
    def user_debian(self) -> Path:
        """The same under pseudo."""
        return self.user.directory / "debian"

    @property
    def tar(self) -> Path:
        """The plain layer of the real root filesystem: the bytes that the compressors alone get."""
        return self.directory / "layer.tar"

    def small(self, files: int) -> Path:
        """A root filesystem of so many small files."""
        return self.directory / f"small-{files}"

    def build(self, rootfs: Path, *options: str) -> list[str]:
        """Our command."""
        return [PYTHON, "-m", "image_oci_rs", "build", str(rootfs), "image", *options]

    def fill(self, archive: Path, quick: bool) -> None:
        """Makes the root filesystems that are not there."""
        if not self.debian.exists():
            _say("unpack as root")
            with _complete(self.debian) as partial:
                run(debian.unpack_command(archive, partial, quick))
        if not self.user.has_unpacked:
            _say("unpack under pseudo")
            target = self.user.make_directory("debian")
            archive_of_user = self.user.directory / "rootfs.tar"
            shutil.copy(archive, archive_of_user)
            self.user.unpack(debian.unpack_command(archive_of_user, target, quick))
            archive_of_user.unlink()
        for files in (self.few, self.many):
            if not self.small(files).exists():
                _say(f"make {files} small files")
                with _complete(self.small(files)) as partial:
                    # A process of its own: what this one ever holds is counted as memory of all that it starts.
                    run([sys.executable, str(SMALL_FILES), str(partial), str(files)])
        _say("the plain layer")
        run(self.build(self.debian, "--compression", "none", "--replace"), self.environment, self.directory)
        blobs = (self.directory / "image/blobs/sha256").iterdir()
        max(blobs, key=lambda blob: blob.stat().st_size).replace(self.tar)
        shutil.rmtree(self.directory / "image")

    def warm_up(self) -> None:
        """Reads everything once, so that the page cache has it for whoever comes first."""
        _say("read everything once")
        for tree in (self.debian, self.user_debian, self.small(self.few), self.small(self.many), self.tar):
            # tar does not read what it would write to /dev/null.
            run(["sh", "-c", 'tar -C "$1" -cf - "$2" | cat >/dev/null', "sh", str(tree.parent), tree.name])

    def _install(self) -> None:
        """A copy of the package, compiled as pip compiles it."""
        found = importlib.util.find_spec("image_oci_rs")
        if found is None or found.origin is None:
            sys.exit(f"error: {sys.executable} has no image_oci_rs")
        target = self.directory / "package/image_oci_rs"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(found.origin).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
        run([PYTHON, "-m", "compileall", "-q", str(target)])


@contextmanager
def _complete(directory: Path) -> Iterator[Path]:
    """A directory that has its final name only when it is complete."""
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    yield partial
    partial.rename(directory)


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)
