"""The real root filesystem: a Debian or Ubuntu with the programs of a developer's machine."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import run

PACKAGES = "python3,git,vim,perl,gcc,nginx"
APT_SOURCES = ("sources.list.d/debian.sources", "sources.list.d/ubuntu.sources", "sources.list")

# What an update of one package changes besides the package's own files.
UPDATED = "nginx"
UPDATED_TOO = ("var/lib/dpkg/status", f"var/lib/dpkg/info/{UPDATED}.md5sums")


def archive(cache: Path) -> Path:
    """The tar archive, made now unless an earlier run left it in `cache`."""
    kept = cache / "rootfs.tar"
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    candidates = [Path("/etc/apt") / name for name in APT_SOURCES]
    sources = [str(path) for path in candidates if path.is_file() and path.stat().st_size]
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        made = Path(directory) / "rootfs.tar"
        options = ["--quiet", "--variant=standard", f"--include={PACKAGES}", *_proxies()]
        run(["mmdebstrap", *options, suite, str(made), *sources])
        made.rename(kept)
    return kept


def unpack_command(source: Path, target: Path, quick: bool) -> list[str]:
    """Unpacks the archive with every attribute; `quick`: about an eighth of it."""
    attributes = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "--same-permissions", "--same-owner"]
    parts = ["./dev", "./etc", "./usr/bin", "./usr/sbin", "./var"] if quick else []
    return ["tar", "-C", str(target), *attributes, "-xf", str(source), *parts]


@contextmanager
def updated_package(rootfs: Path) -> Iterator[None]:
    """The root filesystem as it is after an update of one package, for the time of a `with`."""
    listed = (rootfs / f"var/lib/dpkg/info/{UPDATED}.list").read_text().splitlines()
    candidates = [rootfs / name.lstrip("/") for name in [*listed, *UPDATED_TOO]]
    files = [path for path in candidates if path.is_file() and not path.is_symlink()]
    before = [(path, path.read_bytes(), path.stat()) for path in files]
    try:
        for path, content, _ in before:
            # Another length too: the files behind it move inside the archive.
            path.write_bytes(b"#" + content)
        yield
    finally:
        for path, content, status in before:
            path.write_bytes(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _proxies() -> list[str]:
    """The machine's proxies, which are not in the configuration of a system that is being made."""
    dump = run(["apt-config", "dump"])
    return [f"--aptopt={line}" for line in re.findall(r"^Acquire::https?::Proxy .*;$", dump, re.MULTILINE)]
