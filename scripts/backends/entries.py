"""Every file of a stack of tar archives with all its attributes, read with Python's own tarfile."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One file and all its attributes."""

    kind: str
    mode: str
    owner: int
    group: int
    mtime: int
    device: str
    target: str
    content: str
    xattrs: tuple[tuple[str, str], ...]
    hard_links: frozenset[str]

    def __str__(self) -> str:
        """In the order of `ls -l`."""
        words = [self.kind, self.mode, f"{self.owner}:{self.group}", self.device]
        words += [f"-> {self.target}"] if self.target else []
        words += [name for name, _ in self.xattrs]
        return " ".join(filter(None, words))


Entries = Mapping[str, Entry]

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}
XATTR = "SCHILY.xattr."
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
ZSTD = b"\x28\xb5\x2f\xfd"


def read(archives: Iterable[Path]) -> Entries:
    """Returns every file of the archives, which overlay one another as the layers of an image do."""
    found: dict[str, Entry] = {}
    for archive in archives:
        upper, removed = _layer(archive, found)
        for path, below in removed:
            for name in [name for name in found if name.startswith(f"{path}/") or (name == path and not below)]:
                del found[name]
        found |= upper
    return found


def _layer(archive: Path, lower: Entries) -> tuple[dict[str, Entry], list[tuple[str, bool]]]:
    """Returns the files of a layer, and the paths that its whiteouts remove: whole, or only what is below them."""
    found: dict[str, Entry] = {}
    groups: dict[str, set[str]] = {}
    removed: list[tuple[str, bool]] = []
    with _opened(archive) as tar:
        for member in tar:
            name = _name(member.name)
            directory, _, last = name.rpartition("/")
            if last.startswith(WHITEOUT):
                opaque = last == OPAQUE
                removed.append((directory if opaque else f"{directory}/{last[len(WHITEOUT) :]}".lstrip("/"), opaque))
            elif member.islnk():
                groups.setdefault(_name(member.linkname), set()).add(name)
            else:
                groups.setdefault(name, set()).add(name)
                found[name] = _entry(tar, member)
    entries = {
        # A hard link may name a file of a lower layer.
        name: replace(found.get(first) or lower[first], hard_links=frozenset(names))
        for first, names in groups.items()
        for name in names
    }
    return entries, removed


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """Opens an archive of any compression; not every Python knows zstd, and every build machine does."""
    with archive.open("rb") as file:
        is_zstd = file.read(4) == ZSTD
    if not is_zstd:
        with tarfile.open(archive) as tar:
            yield tar
        return
    with subprocess.Popen(["zstd", "-dcq", archive], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            yield tar


def newest(entries: Entries) -> int:
    """The latest time of all files."""
    return max(entry.mtime for entry in entries.values())


def differences(before: Entries, after: Entries) -> list[str]:
    """Returns one line for each file that is missing, new or not the same."""
    lines = [f"{name}: missing" for name in before.keys() - after.keys()]
    lines += [f"{name}: was not there before" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if str(old) != str(new):
            lines.append(f"{name}: {old} became {new}")
        elif old != new:
            changed = (field.name for field in fields(Entry) if getattr(old, field.name) != getattr(new, field.name))
            lines.append(f"{name}: not the same {', '.join(changed)}")
    return sorted(lines)


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    headers = member.pax_headers
    xattrs = {key[len(XATTR) :]: headers[key] for key in headers if key.startswith(XATTR)}
    content = tar.extractfile(member) if member.isreg() else None
    is_device = member.ischr() or member.isblk()
    return Entry(
        kind=KINDS[member.type],
        mode=f"{member.mode:04o}",
        owner=member.uid,
        group=member.gid,
        mtime=int(member.mtime),
        device=f"{member.devmajor},{member.devminor}" if is_device else "",
        target=member.linkname,
        content=hashlib.sha256(content.read()).hexdigest() if content else "",
        xattrs=tuple(sorted(xattrs.items())),
        hard_links=frozenset(),
    )


def _name(path: str) -> str:
    return path.removeprefix("./").rstrip("/") or "."
