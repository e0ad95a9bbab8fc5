"""What a build needs, in a place that the build user can read."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .build_directory import BuildDirectory

REPOSITORY = Path(__file__).resolve().parents[3]
NATIVE_RECIPE = "python3-image-oci-rs-native"


@dataclass(frozen=True)
class BuildUser:
    """Who runs the tasks: the user who runs this, or for root, whom BitBake refuses, `nobody`."""

    uid: int
    gid: int
    python: str

    @classmethod
    def choose(cls) -> BuildUser:
        if os.getuid() != 0:
            return cls(os.getuid(), os.getgid(), sys.executable)
        nobody = pwd.getpwnam("nobody")
        # The Python that runs this may lie where only root may look.
        return cls(nobody.pw_uid, nobody.pw_gid, "/usr/bin/python3")

    @property
    def become(self) -> list[str]:
        """The words in front of a command that make this user run it."""
        if os.getuid() == self.uid:
            return []
        return [
            "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            "--inh-caps=-all",
        ]


@dataclass(frozen=True)
class Kit:
    """A directory of copies: bb and this package, layers, native packages; and of builds."""

    directory: Path
    user: BuildUser

    @classmethod
    @contextmanager
    def make(cls, keep: bool = False) -> Iterator[Kit]:
        """A kit for the time of a `with`; `keep` leaves the directory there."""
        user = BuildUser.choose()
        directory = Path(tempfile.mkdtemp(prefix="bitbake-harness-"))
        try:
            directory.chmod(0o755)
            kit = cls(directory, user)
            kit._fill()
            yield kit
        finally:
            if not keep:
                shutil.rmtree(directory)

    @property
    def python_path(self) -> Path:
        return self.directory / "python"

    @property
    def native_packages(self) -> Path:
        return self.directory / "native-packages"

    @property
    def layers(self) -> tuple[Path, Path]:
        return self.directory / "layers/meta", self.directory / "layers/image-oci-rs"

    def image_oci(self, release: str) -> str:
        """Lines of a configuration that has a stand-in for image-oci.bbclass as of a release of meta-virtualization."""
        return f'BBPATH .= ":{self.directory}/layers/image-oci/{release}"\n'

    @property
    def package(self) -> Path:
        """The package under test, where its native recipe stages it and only the class finds it."""
        return self.native_packages / NATIVE_RECIPE / "usr/lib/python3.12/site-packages/image_oci_rs"

    def add_python(self, package: Path) -> None:
        """Copies a package or module to where the Python of tasks and commands finds it."""
        target = self.python_path / package.name
        if package.is_dir():
            shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(package, target)

    def build_directory(self, recipe: str, name: str = "app", conf: str = "") -> BuildDirectory:
        """A new build directory.

        Args:
            recipe: The text of the recipe.
            name: Its name, which becomes PN.
            conf: Text of a configuration file that is read last, before INHERIT takes effect.
        """
        builds = self.directory / "builds"
        builds.mkdir(exist_ok=True)
        top = Path(tempfile.mkdtemp(dir=builds))
        top.chmod(0o755)
        os.chown(top, self.user.uid, self.user.gid)
        return BuildDirectory.lay_out(self, top, recipe, name, conf)

    def _fill(self) -> None:
        self.python_path.mkdir()
        # The first import writes parser tables into the package. The build user can't: his would go into the current
        # directory, whence bb fails to import them the next time.
        importlib.import_module("bb")
        self.add_python(_location("bb"))
        self.add_python(Path(__file__).parent)
        meta, layer = self.layers
        shutil.copytree(REPOSITORY / "tests/bitbake/meta", meta)
        shutil.copytree(REPOSITORY / "classes", layer / "classes")
        for file in REPOSITORY.glob("*.inc"):
            shutil.copy(file, layer)
        shutil.copytree(REPOSITORY / "tests/bitbake/image-oci", layer.parent / "image-oci")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "python", layer / "python", ignore=ignored)
        shutil.copytree(_location("image_oci_rs"), self.package, ignore=ignored)
        native_python = self.native_packages / NATIVE_RECIPE / "usr/bin/python3-native/nativepython3"
        native_python.parent.mkdir(parents=True)
        native_python.write_text(f'#!/bin/sh\nNATIVE_PYTHON=1 exec {self.user.python} "$@"\n')
        native_python.chmod(0o755)


def _location(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{sys.executable} has no {package}", name=package)
    return Path(spec.origin).parent
