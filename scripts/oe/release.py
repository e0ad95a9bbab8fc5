"""A checkout of OE-core, a build directory for it, and what bitbake leaves there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from oe.host import Host, become, give_away, pseudo_libraries

NATIVE = "python3-image-oci-rs-native"
WHEEL_RECIPE = "python3-image-oci-rs-bin-native"
IMAGE = "every-attribute"


def say(what: str, result: str) -> None:
    """Prints a check and what it found."""
    print(f"{what}: {result}", flush=True)


def fail(text: str) -> NoReturn:
    """Ends the script."""
    sys.exit(f"error: {text}")


@dataclass(frozen=True)
class Release:
    """A checkout of OE-core and a build directory for it."""

    host: Host
    checkout: Path
    build: Path
    series: str
    verbose: bool
    # Where images are, below the build directory.
    deploys: str = "tmp/deploy/images/qemux86-64"
    # The recipe of the engine.
    engine: str = NATIVE

    @classmethod
    def lay_out(cls, host: Host, checkout: Path, verbose: bool) -> Release:
        """Writes the configuration."""
        core = checkout / "openembedded-core/meta"
        found = re.findall(r'^LAYERSERIES_CORENAMES = "(.*)"$', (core / "conf/layer.conf").read_text(), re.MULTILINE)
        series = found[0].split()[-1]
        build = host.directory.parent / series
        (build / "conf/multiconfig").mkdir(parents=True, exist_ok=True)
        layer = host.directory / "image-oci-rs"
        (build / "conf/local.conf").write_text(
            f'OE_HOST = "{host.directory}"\nOE_PSEUDO = "{pseudo_libraries()}"\nOE_RUST = "{host.rust}"\n'
            # Later releases refuse to be told.
            + ('TCLIBCAPPEND = ""\n' if series == "scarthgap" else "")
            + f"require {layer}/scripts/oe/host.conf\n"
        )
        (build / "conf/multiconfig/arm.conf").write_text(
            'MACHINE = "qemuarm64"\nTMPDIR = "${TOPDIR}/tmp-arm"\n'
            'ASSUME_PROVIDED += "packagegroup-cross-canadian-qemuarm64 meta-environment-extsdk-qemuarm64"\n'
        )
        (build / "conf/bblayers.conf").write_text(
            f'BBPATH = "${{TOPDIR}}"\nBBFILES = ""\nBBLAYERS = "{core} {layer} {layer}/scripts/oe/meta-host"\n'
        )
        for name in "tmp", "tmp-arm", "sstate-cache":
            shutil.rmtree(build / name, ignore_errors=True)
        give_away(build)
        return cls(host, checkout, build, series, verbose)

    @property
    def title(self) -> str:
        """The release, and the versions of both."""
        version = re.findall(r'__version__ = "(.*)"', (self.checkout / "bitbake/lib/bb/__init__.py").read_text())[0]
        return f"{self.series}, BitBake {version}"

    def output(self, *arguments: str) -> str:
        """Runs bitbake, which must succeed, and returns what it prints."""
        return self._run(self.checkout / "bitbake/bin/bitbake", *arguments)

    def parse(self, what: str) -> None:
        """Parses all recipes as in a build of a distribution, which looks at licences too. It must give no warning."""
        configuration = self.build / "conf/distribution.conf"
        configuration.write_text('INHERIT += "license"\n')
        give_away(configuration)
        said = self._run(self.checkout / "bitbake/bin/bitbake", "-p", "-R", str(configuration))
        # The first may stand behind what bitbake says of its progress.
        warnings = re.findall("(?:WARNING|ERROR): .*", said)
        if warnings:
            fail("\n".join(warnings))
        (recipes,) = re.findall("^Parsing of .*", said, re.MULTILINE) or fail(f"nothing was parsed: {said}")
        say(what, recipes)

    def bitbake(self, what: str, *arguments: str) -> None:
        """Runs bitbake, which must succeed, and prints its warnings."""
        started = time.monotonic()
        said = self.output(*arguments)
        for line in re.findall("^(?:WARNING|ERROR): .*", said, re.MULTILINE):
            print(line)
        (tasks,) = re.findall("Tasks Summary: Attempted (.*) and all succeeded", said) or ["no tasks"]
        say(what, f"{tasks}; {time.monotonic() - started:.0f} s")

    def selftest(self, what: str, *cases: str) -> None:
        """Runs oe-selftest, which must succeed; from then on the configuration has the layer that it asks for."""
        started = time.monotonic()
        layer = self.build / "selftest/meta-selftest"
        place = self.build / "selftest/build"
        shutil.rmtree(layer.parent, ignore_errors=True)
        shutil.copytree(self.checkout / "openembedded-core/meta-selftest", layer, symlinks=True)
        place.mkdir()
        with open(self.build / "conf/bblayers.conf", "a") as file:
            file.write(f'BBLAYERS += "{layer}"\n')
        with open(self.build / "conf/local.conf", "a") as file:
            file.write('BBMASK += "/meta-selftest/recipes-"\nBBFILE_PATTERN_IGNORE_EMPTY_selftest = "1"\n')
        give_away(layer.parent)
        # Kept, because it takes its build directory for HOME, as this one is, and refuses to remove that.
        options = ["--newbuilddir", str(place), "--keep-builddir", "-r", *cases]
        said = self._run(self.checkout / "openembedded-core/scripts/oe-selftest", *options)
        (tests,) = re.findall("successes=([0-9]+), skipped=0, failures=0, errors=0", said) or fail(
            "oe-selftest ran nothing"
        )
        say(what, f"{tests} tests; {time.monotonic() - started:.0f} s")

    def _run(self, program: Path, *arguments: str) -> str:
        done = subprocess.run(
            [*become(), program, *arguments],
            cwd=self.build, env=self.environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if self.verbose or done.returncode:
            print(done.stdout)
        if done.returncode:
            fail(f"{program.name} {' '.join(arguments)} failed")
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of this process's own."""
        layers = [self.checkout / "openembedded-core/scripts", self.checkout / "bitbake/bin"]
        places = [*layers, self.host.directory / "bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return {
            "PATH": ":".join(map(str, places)),
            "HOME": str(self.build),
            "LANG": "en_US.UTF-8",
            "LOCPATH": str(self.host.directory / "locale"),
            "BB_ENV_PASSTHROUGH_ADDITIONS": "LOCPATH",
            # oe-selftest asks for these; it commits the layer that it changes.
            "BUILDDIR": str(self.build),
            "GIT_AUTHOR_NAME": "nobody",
            "GIT_AUTHOR_EMAIL": "nobody@localhost",
            "GIT_COMMITTER_NAME": "nobody",
            "GIT_COMMITTER_EMAIL": "nobody@localhost",
        }

    @property
    def deployed(self) -> Path:
        """DEPLOY_DIR_IMAGE."""
        return self.build / self.deploys

    def of_multiconfig(self, name: str, machine: str) -> Release:
        """The same, but with the images of another configuration."""
        return replace(self, deploys=f"tmp-{name}/deploy/images/{machine}")

    @property
    def staged(self) -> Path:
        """The site-packages of the native recipe in shared state's sysroot."""
        (found,) = self.build.glob(f"tmp/sysroots-components/*/{self.engine}/usr/lib/python3*/site-packages")
        return found

    def with_wheel(self, wheel: Path) -> Release:
        """The same with an empty TMPDIR, OE-core's own Rust and the engine of a wheel."""
        copy = self.host.directory / wheel.name
        shutil.copyfile(wheel, copy)
        defaults = self.checkout / "openembedded-core/meta/conf/distro/include/tcmode-default.inc"
        (rust,) = re.findall(r'^RUSTVERSION \?= "(.*)"$', defaults.read_text(), re.MULTILINE)
        with open(self.build / "conf/local.conf", "a") as file:
            file.write(f'RUSTVERSION = "{rust}"\nOCI_ENGINE_WHEEL = "{copy}"\n')
            if self.series != "scarthgap":
                file.write('OCI_ENGINE = "wheel"\n')
        shutil.rmtree(self.build / "tmp", ignore_errors=True)
        return replace(self, engine=WHEEL_RECIPE)

    def layout(self, image: str = IMAGE) -> Path:
        """The layout that an image recipe has deployed."""
        return self.deployed / f"{image}-latest-oci"

    def log(self, task: str) -> str:
        """The log of a task of the image."""
        (found,) = self.build.glob(f"tmp/work/*/{IMAGE}/*/temp/log.{task}")
        return found.read_text()
