"""What tar archives say about every file, read with Python's own tarfile, to be compared."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Mapping
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


def read(archives: Iterable[Path]) -> Entries:
    """Every file of the archives, later ones over earlier ones."""
    found: dict[str, Entry] = {}
    groups: dict[str, set[str]] = {}
    for archive in archives:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = _name(member.name)
                if member.islnk():
                    groups.setdefault(_name(member.linkname), set()).add(name)
                else:
                    groups.setdefault(name, set()).add(name)
                    found[name] = _entry(tar, member)
    return {
        name: replace(found[first], hard_links=frozenset(names)) for first, names in groups.items() for name in names
    }


def newest(entries: Entries) -> int:
    """The latest time of all files."""
    return max(entry.mtime for entry in entries.values())


def differences(before: Entries, after: Entries) -> list[str]:
    """One line for each file that is missing, new or not the same."""
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
