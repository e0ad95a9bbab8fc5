"""A real root filesystem in a tar archive: Debian or Ubuntu by mmdebstrap, else one busybox."""

from __future__ import annotations

import io
import platform
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGES = "iputils-ping,libcap2-bin"
# Not every release gives it to ping itself.
CAPABILITY = 'setcap cap_net_raw+ep "$1/usr/bin/ping"'
APT_SOURCES = ("sources.list.d/debian.sources", "sources.list.d/ubuntu.sources", "sources.list")
BUSYBOX = Path("/bin/busybox")


def archive(cache: Path) -> Path:
    """The archive, made now unless an earlier run left it in `cache`."""
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    kept = cache / f"rootfs-{suite}.tar"
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        made = Path(directory) / kept.name
        try:
            _mmdebstrap(suite, made)
        except (OSError, subprocess.CalledProcessError) as error:
            # Not kept: the next run tries again.
            print(f"mmdebstrap makes no {suite} here ({error}), so this time it is a small one with busybox")
            kept = cache / "busybox.tar"
            _busybox(made)
        return made.rename(kept)


def _mmdebstrap(suite: str, target: Path) -> None:
    """Installs a system out of the archives that this machine itself installs from."""
    candidates = [Path("/etc/apt") / name for name in APT_SOURCES]
    sources = [str(path) for path in candidates if path.is_file() and path.stat().st_size]
    command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={PACKAGES}"]
    command += [f"--customize-hook={CAPABILITY}", *_proxies(), suite, str(target), *sources]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)


def _proxies() -> list[str]:
    """The machine's proxies, which are not in the configuration of a system that is being made."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    proxies = re.findall(r"^Acquire::https?::Proxy .*;$", dump, re.MULTILINE)
    return [f"--aptopt={line}" for line in proxies]


def _busybox(target: Path) -> None:
    """Writes a system of one program, with entries of most kinds."""
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:

        def add(name: str, kind: bytes, mode: int, content: bytes = b"", link: str = "") -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.linkname = kind, mode, link
            entry.size = len(content)
            if kind == tarfile.CHRTYPE:
                entry.devmajor, entry.devminor = 1, 3
            if name == "home":
                entry.uid = 1000
            tar.addfile(entry, io.BytesIO(content))

        for name, mode in {".": 0o755, "bin": 0o755, "dev": 0o755, "etc": 0o755}.items():
            add(name, tarfile.DIRTYPE, mode)
        add("home", tarfile.DIRTYPE, 0o750)
        add("srv", tarfile.DIRTYPE, 0o755)
        add("tmp", tarfile.DIRTYPE, 0o1777)
        add("dev/null", tarfile.CHRTYPE, 0o666)
        add("etc/os-release", tarfile.REGTYPE, 0o644, b"PRETTY_NAME=busybox\n")
        add("bin/busybox", tarfile.REGTYPE, 0o4755, BUSYBOX.read_bytes())
        add("bin/also-busybox", tarfile.LNKTYPE, 0o4755, link="bin/busybox")
        for name in names.split():
            if name != "busybox":
                add(f"bin/{name}", tarfile.SYMTYPE, 0o777, link="busybox")
