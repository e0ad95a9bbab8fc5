"""Builds a recipe with a backend, in the build directory whose environment is sourced."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from backends.comparison import Built
from backends.image import Image

# Variables of the recipe that tell where its image is.
VARIABLES = ("DEPLOY_DIR_IMAGE", "IMAGE_BASENAME", "OCI_IMAGE_TAG", "OCI_IMAGE_BACKEND", "SSTATE_MANFILEPREFIX")
# Lines of bitbake's output that are printed when it fails.
LAST_LINES = 30


def fail(text: str) -> NoReturn:
    """Ends the program with 2, as diff does when it cannot compare."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


@dataclass(frozen=True)
class Build:
    """A recipe and the place for what is compared.

    Attributes:
        recipe: The recipe's name, with mc:NAME: in front for one of a multiconfig.
        kept: The directory that gets a copy of each layout.
        verbose: Whether bitbake's output is shown.
    """

    recipe: str
    kept: Path
    verbose: bool

    def with_backend(self, backend: str, again_from: str | None = None) -> Built:
        """Builds the recipe, and copies its layout before the next build removes it.

        Args:
            backend: The value of OCI_IMAGE_BACKEND.
            again_from: A task that runs in any case, and so do those after it.
        """
        conf = self.kept / f"{backend}.conf"
        # Also for a recipe that chooses a backend itself.
        conf.write_text(f'OCI_IMAGE_BACKEND:forcevariable = "{backend}"\n')
        variables = self._variables(conf)
        if variables.get("OCI_IMAGE_BACKEND") != backend:
            fail(f"{self.recipe}: OCI_IMAGE_BACKEND is {variables.get('OCI_IMAGE_BACKEND')!r} although {conf} sets it")
        print(f"==> bitbake {self.recipe}, OCI_IMAGE_BACKEND = {backend}", flush=True)
        self._bitbake("-R", str(conf), *(["-C", again_from] if again_from else []), self.recipe)
        deployed = Path(variables["DEPLOY_DIR_IMAGE"])
        tag = variables["OCI_IMAGE_TAG"].rpartition(":")[2]
        layout = deployed / f"{variables['IMAGE_BASENAME']}-{tag}-oci"
        if not (layout / "index.json").exists():
            fail(f"{self.recipe} has deployed no image layout {layout}: is oci in IMAGE_FSTYPES?")
        copy = self.kept / backend
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(layout, copy)
        return Built(backend, Image.of_layout(copy), names_in(variables, deployed))

    def _variables(self, conf: Path) -> dict[str, str]:
        said = self._bitbake("-R", str(conf), "-e", self.recipe)
        found = dict(re.findall(r'^(?:export )?([A-Z_]+)="(.*)"$', said, re.MULTILINE))
        if re.search(r"/classes/image-oci\.bbclass:\d", said) is None:
            fail(f"{self.recipe} does not inherit meta-virtualization's image-oci, which chooses between backends")
        return {name: found[name] for name in VARIABLES if name in found}

    def _bitbake(self, *arguments: str) -> str:
        done = subprocess.run(
            ["bitbake", *arguments],
            text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if self.verbose and "-e" not in arguments:
            print(done.stdout)
        if done.returncode:
            if not self.verbose:
                # The end says which task failed and where its log is.
                print(*done.stdout.splitlines()[-LAST_LINES:], sep="\n", file=sys.stderr)
            fail(f"bitbake {' '.join(arguments)} failed with {done.returncode}")
        return done.stdout


def names_in(variables: dict[str, str], deployed: Path) -> Sequence[str]:
    """The files that the recipe's image tasks have deployed, as shared state lists them."""
    manifest = Path(f"{variables['SSTATE_MANFILEPREFIX']}.image_complete")
    paths = [Path(line) for line in manifest.read_text().splitlines()] if manifest.exists() else []
    return sorted(str(path.relative_to(deployed)) for path in paths if path.parent == deployed)
