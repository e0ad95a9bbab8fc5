"""Programs and sources of a build, where its user can read them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# What packages.sh has.
PACKAGES = (
    "base-files",
    "base-passwd",
    "busybox",
    "ca-certificates",
    "curl",
    "helloworld-flask",
    "lighttpd",
    "lighttpd-module-accesslog",
    "netbase",
    "nginx",
)


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
        for name, make in ("rust", copy_rust), ("venv", make_python_tools), ("locale", make_locale):
            if not (directory / name).exists():
                make(directory / name)
        for program in "cargo", "rustc":
            link(directory / "bin" / program, directory / "rust/bin" / program)
        for program in "maturin", "pyproject-build":
            link(directory / "bin" / program, directory / "venv/bin" / program)
        for program in "groupadd", "useradd":
            write_user_program(directory / "bin" / program, Path("/usr/sbin") / program)
        write_nativepython3(directory / "bin/nativepython3", directory / "venv/bin/python3")
        # The options that OE-core uses are the same.
        link(directory / "bin/pbzip2", Path("/usr/bin/bzip2"))
        version = output([directory / "bin/rustc", "--version"]).split()[1]
        write_pkgdata(directory / "pkgdata/runtime")
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


def make_python_tools(venv: Path) -> None:
    """What python_pep517.bbclass calls, out of a Python that the build user can run."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", venv], check=True)
    tools = ["build", "installer", "maturin>=1.4,<2", "setuptools", "wheel"]
    subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *tools], check=True)


def write_nativepython3(file: Path, python: Path) -> None:
    """OE-core's `installer` has an option more than PyPI's, and scarthgap's Python lies where it installs to."""
    file.write_text(
        "#!/bin/bash\n"
        "words=()\n"
        "while (($#)); do\n"
        '    if [[ $1 == --interpreter ]]; then shift; else words+=("$1"); fi\n'
        "    shift\n"
        "done\n"
        'if [[ "${words[*]}" == "-m installer "* && "${words[*]}" != *" --prefix"* ]]; then\n'
        '    words=(-m installer --prefix "$prefix" "${words[@]:2}")\n'
        "fi\n"
        f'exec {python} "${{words[@]}}"\n'
    )
    file.chmod(0o755)


def write_user_program(file: Path, program: Path) -> None:
    """Makes a program that replaces -R, which OE-core up to 6.0 uses, by --prefix, which does the same without chroot.

    Debian's pseudo does not intercept all calls by which Debian's program opens files in a chroot.
    """
    file.write_text(f'#!/bin/bash\nif [[ $1 == -R ]]; then set -- --prefix "${{@:2}}"; fi\nexec {program} "$@"\n')
    file.chmod(0o755)


def write_pkgdata(target: Path) -> None:
    """PKGDATA_DIR as it would be if the packages of packages.sh had been built."""
    script = Path(__file__).with_name("packages.sh")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory, "root")
            root.mkdir()
            subprocess.run(["pseudo", script, package], cwd=root, env=pseudo_environment(directory), check=True)
            files = {
                f"/{path.relative_to(root)}": path.lstat().st_size for path in root.rglob("*") if not path.is_dir()
            }
        (target / package).write_text(
            f"PN: {package}\nPV: 1.0\nPKGV: 1.0\nPKGR: r0\nPKG:{package}: {package}\n"
            f"FILES_INFO:{package}: {json.dumps(files)}\n"
        )
        (target / f"{package}.packaged").touch()


def pseudo_environment(directory: str) -> dict[str, str]:
    """Where the host's pseudo has its parts, and may keep its files."""
    own = {
        "PSEUDO_PREFIX": "/usr",
        "PSEUDO_BINDIR": "/usr/bin",
        "PSEUDO_LIBDIR": str(pseudo_libraries()),
        "PSEUDO_LOCALSTATEDIR": f"{directory}/pseudo",
        "PSEUDO_PASSWD": "/",
    }
    return {**os.environ, **own}


def pseudo_libraries() -> Path:
    """The directory of libpseudo.so."""
    (libraries,) = Path("/usr/lib").glob("*/pseudo")
    return libraries


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
