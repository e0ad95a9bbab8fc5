#!/usr/bin/env python3
"""Builds the layer's recipe and images with real releases of OE-core, and checks what comes out.

    scripts/oe-build.py CHECKOUT...

A CHECKOUT is a directory that holds `bitbake` and `openembedded-core`, of releases that belong together. Nothing of
OE-core is built but what the layer needs of it: the host's compilers, Rust, Python and pseudo are used (oe/host.conf
says how). So it takes a minute or two for each release. Root becomes `nobody` for it, because bitbake refuses root;
`nobody` must be able to read the checkouts.

What the machine needs is Debian's or Ubuntu's build-essential busybox-static chrpath cpio diffstat file gawk git
locales lz4 pseudo python3-venv zstd and attr; and Rust. Crates are fetched by cargo, Python's tools by pip.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from rootfs_fixtures import attributes, nasty  # noqa: E402
from rootfs_fixtures.tree import expected  # noqa: E402

NATIVE = "python3-image-oci-rs-native"
IMAGE = "every-attribute"


def main() -> int:
    """Exits with 0 if every check of every release agrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT")
    parser.add_argument("--work", type=Path, metavar="DIR", help="build there, and leave it for inspection")
    parser.add_argument("--verbose", action="store_true", help="show what bitbake says")
    arguments = parser.parse_args()
    with work_directory(arguments.work) as work:
        host = Host.prepare(work)
        for checkout in arguments.checkouts:
            release = Release.lay_out(host, checkout.resolve(), arguments.verbose)
            print(f"==> {release.title}", flush=True)
            check_release(release)
    return 0


def check_release(release: Release) -> None:
    """Builds, looks, builds again."""
    release.bitbake("the recipe: fetch, unpack, compile, install, stage", NATIVE)
    release.bitbake("the image", IMAGE)
    say("the engine in the task is the one that was staged", engine_is_staged(release))
    say("conversions, links, manifest", outputs(release))
    say("the image is valid", validate(release))
    say("every attribute of every file", compare_files(release))
    before = image_digest(release)
    release.bitbake("the image task once more", "-f", "-c", "image_oci", IMAGE)
    release.bitbake("and what follows", IMAGE)
    say("the same digest", same(before, image_digest(release)))
    shutil.rmtree(release.build / "tmp")
    # image.bbclass keeps images themselves out of shared state.
    release.bitbake("the image in an empty TMPDIR, the engine out of shared state", IMAGE)
    if any(release.build.glob(f"tmp/work/*/{NATIVE}/*/temp/log.do_compile")):
        fail(f"{NATIVE} was compiled again")
    say("the same digest", same(before, image_digest(release)))


def say(what: str, result: str) -> None:
    """Prints a check and what it found."""
    print(f"{what}: {result}", flush=True)


def fail(text: str) -> None:
    """Ends the script."""
    sys.exit(f"error: {text}")


@contextmanager
def work_directory(given: Path | None) -> Iterator[Path]:
    """A directory that everybody may enter."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    work = Path(tempfile.mkdtemp(prefix="oe-build-"))
    try:
        work.chmod(0o755)
        yield work
    finally:
        shutil.rmtree(work)


@dataclass(frozen=True)
class Host:
    """Programs and sources, in a place that the build user can read.

    Attributes:
        directory: OE_HOST of host.conf.
        rust: The version of the host's rustc.
    """

    directory: Path
    rust: str

    @classmethod
    def prepare(cls, work: Path) -> Host:
        """Fills the directory with what is not there yet."""
        directory = work / "host"
        (directory / "bin").mkdir(parents=True, exist_ok=True)
        copy_layer(directory / "image-oci-rs")
        copy_crates(directory / "downloads")
        tree(REPOSITORY / "tests/rootfs_fixtures", directory / "python/rootfs_fixtures")
        if not (directory / "rust").exists():
            copy_rust(directory / "rust")
            make_python_tools(directory)
            make_locale(directory / "locale")
        for program in "cargo", "rustc":
            link(directory / "bin" / program, directory / "rust/bin" / program)
        # The options that OE-core uses are the same.
        link(directory / "bin/pbzip2", Path("/usr/bin/bzip2"))
        version = output([directory / "bin/rustc", "--version"]).split()[1]
        give_away(directory / "downloads")
        return cls(directory, version)


def copy_layer(target: Path) -> None:
    """What git knows of the repository, and what it would take up: no build products."""
    shutil.rmtree(target, ignore_errors=True)
    listed = output(["git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


def copy_crates(downloads: Path) -> None:
    """Crates as BitBake's fetcher names them in DL_DIR."""
    downloads.mkdir(exist_ok=True)
    subprocess.run(["cargo", "fetch", "--locked", "--quiet"], cwd=REPOSITORY, check=True)
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    for crate in home.glob("registry/cache/*/*.crate"):
        if not (downloads / crate.name).exists():
            shutil.copyfile(crate, downloads / crate.name)


def copy_rust(target: Path) -> None:
    """The toolchain; it may lie where only root may look."""
    source = Path(output(["rustc", "--print", "sysroot"]).strip())
    for part in "bin", "lib", "libexec":
        if (source / part).exists():
            tree(source / part, target / part)


def make_python_tools(directory: Path) -> None:
    """What python_pep517.bbclass calls, out of a Python that the build user can run."""
    venv = directory / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", venv], check=True)
    tools = ["build", "installer", "maturin>=1.4,<2", "setuptools", "wheel"]
    subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *tools], check=True)
    for program in "maturin", "pyproject-build":
        link(directory / "bin" / program, venv / "bin" / program)
    # OE-core's `installer` has an option more than PyPI's, and scarthgap's Python lies where it installs to.
    python = directory / "bin/nativepython3"
    python.write_text(
        "#!/bin/bash\n"
        "words=()\n"
        "while (($#)); do\n"
        '    if [[ $1 == --interpreter ]]; then shift; else words+=("$1"); fi\n'
        "    shift\n"
        "done\n"
        'if [[ "${words[*]}" == "-m installer "* && "${words[*]}" != *" --prefix"* ]]; then\n'
        '    words=(-m installer --prefix "$prefix" "${words[@]:2}")\n'
        "fi\n"
        f'exec {venv}/bin/python3 "${{words[@]}}"\n'
    )
    python.chmod(0o755)


def make_locale(directory: Path) -> None:
    """The locale without which bitbake does not start."""
    directory.mkdir()
    subprocess.run(["localedef", "--no-archive", "-i", "en_US", "-f", "UTF-8", directory / "en_US.UTF-8"], check=True)


def tree(source: Path, target: Path) -> None:
    """Copies a directory, with hard links where that can be."""

    def place(file: str, copy: str) -> None:
        try:
            os.link(file, copy)
        except OSError:
            shutil.copy2(file, copy)

    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True, copy_function=place, ignore=shutil.ignore_patterns("__pycache__"))


def link(name: Path, target: Path) -> None:
    """Makes a symbolic link, in place of one that is there."""
    name.unlink(missing_ok=True)
    name.symlink_to(target)


def output(command: Sequence[str | Path]) -> str:
    """What a command that must succeed prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def become() -> list[str]:
    """The words in front of a command that is not to run as root."""
    if os.getuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--inh-caps=-all"]


def give_away(directory: Path) -> None:
    """Makes a directory and its files the build user's."""
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (directory, *directory.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


@dataclass(frozen=True)
class Release:
    """A checkout of OE-core and a build directory for it."""

    host: Host
    checkout: Path
    build: Path
    series: str
    verbose: bool

    @classmethod
    def lay_out(cls, host: Host, checkout: Path, verbose: bool) -> Release:
        """Writes the configuration."""
        core = checkout / "openembedded-core/meta"
        found = re.findall(r'^LAYERSERIES_CORENAMES = "(.*)"$', (core / "conf/layer.conf").read_text(), re.MULTILINE)
        series = found[0].split()[-1]
        build = host.directory.parent / series
        (build / "conf").mkdir(parents=True, exist_ok=True)
        (libraries,) = Path("/usr/lib").glob("*/pseudo")
        layer = host.directory / "image-oci-rs"
        (build / "conf/local.conf").write_text(
            f'OE_HOST = "{host.directory}"\nOE_PSEUDO = "{libraries}"\nOE_RUST = "{host.rust}"\n'
            # Later releases refuse to be told.
            + ('TCLIBCAPPEND = ""\n' if series == "scarthgap" else "")
            + f"require {layer}/scripts/oe/host.conf\n"
        )
        (build / "conf/bblayers.conf").write_text(
            f'BBPATH = "${{TOPDIR}}"\nBBFILES = ""\nBBLAYERS = "{core} {layer} {layer}/scripts/oe/meta-host"\n'
        )
        shutil.rmtree(build / "tmp", ignore_errors=True)
        shutil.rmtree(build / "sstate-cache", ignore_errors=True)
        give_away(build)
        return cls(host, checkout, build, series, verbose)

    @property
    def title(self) -> str:
        """The release, and the versions of both."""
        version = re.findall(r'__version__ = "(.*)"', (self.checkout / "bitbake/lib/bb/__init__.py").read_text())[0]
        return f"{self.series}, BitBake {version}"

    def bitbake(self, what: str, *arguments: str) -> None:
        """Runs bitbake, which must succeed without a warning."""
        started = time.monotonic()
        command: list[str | Path] = [*become(), self.checkout / "bitbake/bin/bitbake", *arguments]
        done = subprocess.run(
            command, cwd=self.build, env=self.environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if self.verbose or done.returncode:
            print(done.stdout)
        if done.returncode:
            fail(f"bitbake {' '.join(arguments)} failed")
        for line in re.findall("^(?:WARNING|ERROR): .*", done.stdout, re.MULTILINE):
            print(line)
        (tasks,) = re.findall("Tasks Summary: Attempted (.*) and all succeeded", done.stdout) or ["no tasks"]
        say(what, f"{tasks}; {time.monotonic() - started:.0f} s")

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
        }

    @property
    def deployed(self) -> Path:
        """DEPLOY_DIR_IMAGE."""
        return self.build / "tmp/deploy/images/qemux86-64"

    @property
    def staged(self) -> Path:
        """The site-packages of the native recipe in shared state's sysroot."""
        (found,) = self.build.glob(f"tmp/sysroots-components/*/{NATIVE}/usr/lib/python3*/site-packages")
        return found

    @property
    def layout(self) -> Path:
        """The image of every-attribute."""
        return self.deployed / f"{IMAGE}-latest-oci"

    def log(self, task: str) -> str:
        """The log of a task of the image."""
        (found,) = self.build.glob(f"tmp/work/*/{IMAGE}/*/temp/log.{task}")
        return found.read_text()


def engine_is_staged(release: Release) -> str:
    """Compares the file that the task had loaded with the one that the recipe made."""
    (loaded,) = re.findall("^NOTE: engine (.*)$", release.log("do_image_oci"), re.MULTILINE)
    (staged,) = (release.staged / "image_oci_rs").glob("_core*.so")
    if f"{IMAGE}/" not in loaded or "recipe-sysroot-native" not in loaded:
        fail(f"the task loaded {loaded}")
    return same(sha256(staged), sha256(Path(loaded)))


def outputs(release: Release) -> str:
    """Files and links beside the image, archives that hold the same, and the manifest of images."""
    base = f"{IMAGE}-qemux86-64.rootfs"
    names = ["oci", "oci.tar.gz", "oci.tar.zst", "tar.bz2"]
    wanted = {f"{base}.{name}" for name in names}
    wanted |= {f"{IMAGE}-latest-oci", f"{IMAGE}-latest-oci.tar", f"{IMAGE}-latest-oci-dir.tar"}
    links = {path.name for path in release.deployed.iterdir() if path.is_symlink() and path.exists()}
    if not wanted <= links:
        fail(f"{release.deployed} has no {sorted(wanted - links)}")
    files = {str(path.relative_to(release.layout)) for path in release.layout.rglob("*") if path.is_file()}
    for name in f"{base}.oci.tar.gz", f"{IMAGE}-latest-oci.tar":
        with tarfile.open(release.deployed / name) as archive:
            held = {member.name.removeprefix("./") for member in archive if member.isfile()}
        if held != files:
            fail(f"{name} does not hold what the layout does: {sorted(held ^ files)}")
    (document,) = release.build.glob(f"tmp/work/*/{IMAGE}/*/image-task-manifest/do_image_oci.json")
    (task,) = json.loads(document.read_text())
    listed = sorted(image["filename"].rpartition(".rootfs")[2].partition(".")[2] for image in task["images"])
    if listed != ["oci", "oci.tar.gz", "oci.tar.zst"]:
        fail(f"{document.name} lists {listed}")
    return f"{len(wanted)} links, {len(files)} files in each archive, {len(listed)} images listed"


def validate(release: Release) -> str:
    """Runs the staged package's own command."""
    command: list[str | Path] = ["/usr/bin/python3", "-m", "image_oci_rs", "validate", release.layout]
    environment = {"PYTHONPATH": str(release.staged), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return image_digest(release)


def compare_files(release: Release) -> str:
    """Compares the layer with what do_rootfs has made, but for the times, which image.bbclass makes one."""
    index = json.loads((release.layout / "index.json").read_text())
    manifest = blob(release, index["manifests"][0])
    config = blob(release, manifest["config"])
    (layer,) = manifest["layers"]
    path = release.layout / "blobs" / layer["digest"].replace(":", "/")
    gzip = subprocess.Popen(["gzip", "-dc", path], stdout=subprocess.PIPE)
    assert gzip.stdout is not None
    found = attributes.of_layer(gzip.stdout)
    if gzip.wait():
        fail(f"{path} is no gzip file")
    times = {record.mtime for record in found.values()}
    if len(times) != 1:
        fail(f"the files have {len(times)} times")
    (mtime,) = times
    wanted = {name: replace(record, mtime=mtime) for name, record in attributes.packed(expected(nasty.table())).items()}
    differences = attributes.compare(wanted, found)
    if differences:
        fail("\n".join(map(str, differences)))
    if config["config"]["Labels"]["org.opencontainers.image.title"] != 'Bob\'s "best" app':
        fail(f"the title is {config['config']['Labels']}")
    return f"{len(found)} entries, as {pwd.getpwuid(release.build.stat().st_uid).pw_name} under pseudo"


def blob(release: Release, descriptor: dict[str, Any]) -> Any:
    """A document of the image."""
    return json.loads((release.layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text())


def image_digest(release: Release) -> str:
    """The digest of the manifest."""
    return str(json.loads((release.layout / "index.json").read_text())["manifests"][0]["digest"])


def same(before: str, after: str) -> str:
    """Both, which must be equal."""
    if before != after:
        fail(f"{before} became {after}")
    return after


def sha256(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
