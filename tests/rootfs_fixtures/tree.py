"""Makes a file system tree out of a table of entries, and says what the tree must then be."""

from __future__ import annotations

import enum
import hashlib
import os
import random
import stat
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rootfs_fixtures.attributes import CHUNK, ROOT, Record, compare, of_directory

SECOND = 10**9
# 2023-11-14T22:13:20.123456789Z: a time with nanoseconds, which an image does not keep.
USUAL_TIME = 1_700_000_000 * SECOND + 123_456_789


class Limit(enum.Enum):
    """What a platform may be unable to hold. A tree is made without it only where the caller says so."""

    DEVICES = "devices"
    USER_XATTRS = "user-xattrs"


@dataclass(frozen=True)
class Entry(ABC):
    """One line of the table: an entry's path from the root, and its attributes."""

    path: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = USUAL_TIME
    xattrs: Mapping[str, bytes] = field(default_factory=dict)

    kind = ""

    @abstractmethod
    def create(self, place: bytes) -> None:
        """Makes the entry with its content; attributes follow when everything is there."""

    def apply_attributes(self, place: bytes) -> None:
        """Sets owner, extended attributes, mode and time, in this order: a step may undo a later one."""
        os.chown(place, self.uid, self.gid, follow_symlinks=False)
        for name, value in self.xattrs.items():
            os.setxattr(place, name, value, follow_symlinks=False)
        if self.kind != "symlink":
            os.chmod(place, self.mode)
        os.utime(place, ns=(self.mtime_ns, self.mtime_ns), follow_symlinks=False)

    def record(self) -> Record:
        """What a snapshot must say about the entry."""
        return Record(
            kind=self.kind,
            mode=self.mode,
            uid=self.uid,
            gid=self.gid,
            mtime=self.mtime_ns // SECOND,
            xattrs=tuple(sorted(self.xattrs.items())),
        )


@dataclass(frozen=True)
class Directory(Entry):
    """A directory. Each one of a tree must be in the table, the root `.` too."""

    mode: int = 0o755
    kind = "directory"

    def create(self, place: bytes) -> None:
        """Makes it open to its owner, for what comes into it. The root may be there."""
        os.makedirs(place, 0o700, exist_ok=self.path == ROOT)


@dataclass(frozen=True)
class File(Entry):
    """A regular file."""

    mode: int = 0o644
    content: bytes = b""
    kind = "file"

    def create(self, place: bytes) -> None:
        """Writes the content."""
        with open(place, "xb") as out:
            out.write(self.content)

    def record(self) -> Record:
        """Adds size and digest."""
        digest = hashlib.sha256(self.content).hexdigest()
        return replace(super().record(), size=len(self.content), sha256=digest)


@dataclass(frozen=True)
class SparseFile(Entry):
    """A regular file that ends with `end` and is otherwise a hole."""

    mode: int = 0o644
    size: int = 0
    end: bytes = b""
    kind = "file"

    def create(self, place: bytes) -> None:
        """Writes the end alone."""
        with open(place, "xb") as out:
            out.seek(self.size - len(self.end))
            out.write(self.end)

    def record(self) -> Record:
        """Adds size and digest."""
        digest = hashlib.sha256()
        hole, zeros = self.size - len(self.end), bytes(CHUNK)
        for start in range(0, hole, CHUNK):
            digest.update(zeros[: hole - start])
        digest.update(self.end)
        return replace(super().record(), size=self.size, sha256=digest.hexdigest())


@dataclass(frozen=True)
class Symlink(Entry):
    """A symbolic link."""

    mode: int = 0o777
    target: bytes = b""
    kind = "symlink"

    def create(self, place: bytes) -> None:
        """Makes it; where it points to need not be."""
        os.symlink(self.target, place)

    def record(self) -> Record:
        """Adds the target."""
        return replace(super().record(), target=self.target)


@dataclass(frozen=True)
class Node(Entry):
    """What mknod makes: a device, a fifo, or a socket that nobody listens to."""

    kind: str = "fifo"
    device: tuple[int, int] | None = None

    def create(self, place: bytes) -> None:
        """Makes it."""
        types = {
            "character device": stat.S_IFCHR,
            "block device": stat.S_IFBLK,
            "fifo": stat.S_IFIFO,
            "socket": stat.S_IFSOCK,
        }
        os.mknod(place, types[self.kind] | 0o600, os.makedev(*self.device) if self.device else 0)

    def record(self) -> Record:
        """Adds the device's numbers."""
        return replace(super().record(), device=self.device)


@dataclass(frozen=True)
class HardLink:
    """A further name of the file at `other`."""

    path: bytes
    other: bytes


Table = Sequence["Entry | HardLink"]
_Line = TypeVar("_Line", bound="Entry | HardLink")


def build(root: str | bytes | os.PathLike[str], table: Table, shuffle: int | None = None) -> None:
    """Makes the tree at `root`, which is empty or not there yet, and reads it back.

    Args:
        root: Where.
        table: What.
        shuffle: Seed for another order of creation, which is another order of readdir on many file systems.

    Raises:
        OSError: This platform or this user can't make an entry.
        ValueError: The file system holds other than what was asked for.
    """
    root = os.fsencode(root)
    entries = [entry for entry in table if isinstance(entry, Entry)]
    links = [entry for entry in table if isinstance(entry, HardLink)]
    for entry in _order(entries, shuffle):
        entry.create(os.path.join(root, entry.path))
    for link in _order(links, shuffle):
        os.link(os.path.join(root, link.other), os.path.join(root, link.path), follow_symlinks=False)
    # What is deeper comes first: a directory's time changes with what is put into it.
    for entry in sorted(entries, key=_depth, reverse=True):
        entry.apply_attributes(os.path.join(root, entry.path))
    differences = compare(expected(table), of_directory(root))
    if differences:
        raise ValueError(f"{os.fsdecode(root)} is not what was asked for:\n" + "\n".join(map(str, differences)))


def expected(table: Table) -> dict[bytes, Record]:
    """The snapshot of the tree that `build` makes."""
    records = {entry.path: entry.record() for entry in table if isinstance(entry, Entry)}
    groups: dict[bytes, list[bytes]] = {}
    for link in table:
        if isinstance(link, HardLink):
            groups.setdefault(link.other, [link.other]).append(link.path)
    for first, names in groups.items():
        for name in names:
            records[name] = replace(records[first], hard_links=tuple(sorted(names)))
    return records


def without(table: Table, limits: Iterable[Limit]) -> Table:
    """The table without what the platform is declared to be unable to hold."""
    limits = set(limits)
    if Limit.DEVICES in limits:
        devices = {entry.path for entry in table if isinstance(entry, Node) and entry.device}
        table = [
            entry
            for entry in table
            if entry.path not in devices and not (isinstance(entry, HardLink) and entry.other in devices)
        ]
    if Limit.USER_XATTRS in limits:
        table = [_without_user_xattrs(entry) if isinstance(entry, Entry) else entry for entry in table]
    return table


def acl(*rules: str) -> bytes:
    """A POSIX ACL as the kernel keeps it, out of getfacl's words: `u::rw-`, `u:1000:r--`, `m::r--`."""
    tags = {"u:": 0x01, "u:id": 0x02, "g:": 0x04, "g:id": 0x08, "m:": 0x10, "o:": 0x20}
    out = struct.pack("<I", 2)
    for rule in rules:
        who, identity, permissions = rule.split(":")
        bits = sum(bit for bit, letter in zip((4, 2, 1), permissions) if letter != "-")
        out += struct.pack("<HHI", tags[f"{who}:{'id' if identity else ''}"], bits, int(identity or 0xFFFFFFFF))
    return out


def capabilities(permitted: int, inheritable: int = 0, *, effective: bool = True, rootid: int | None = None) -> bytes:
    """security.capability as the kernel keeps it: revision 2, or 3 for the namespace whose root is `rootid`."""
    revision = 0x02000000 if rootid is None else 0x03000000
    low, high = 0xFFFFFFFF, 32
    words = [revision | effective, permitted & low, inheritable & low, permitted >> high, inheritable >> high]
    if rootid is not None:
        words.append(rootid)
    return struct.pack(f"<{len(words)}I", *words)


def _order(table: Sequence[_Line], shuffle: int | None) -> Iterator[_Line]:
    """The entries, parents before children."""
    if shuffle is None:
        yield from table
        return
    remaining = list(table)
    random.Random(shuffle).shuffle(remaining)
    yield from sorted(remaining, key=_depth)


def _depth(entry: Entry | HardLink) -> int:
    return 0 if entry.path == ROOT else 1 + entry.path.count(b"/")


def _without_user_xattrs(entry: Entry) -> Entry:
    return replace(entry, xattrs={name: value for name, value in entry.xattrs.items() if not name.startswith("user.")})
