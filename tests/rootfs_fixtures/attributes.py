"""What a file system tree, or a layer that packs one, says about each of its files.

An independent reader: Python's tarfile and libc, nothing of image_oci_rs. A snapshot maps the path
of every entry (bytes, without a leading `./`; the root is `.`) to its `Record`; `compare` names
every difference between two of them.
"""

from __future__ import annotations

import ctypes
import errno
import fnmatch
import hashlib
import io
import json
import math
import os
import stat
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import IO, Any

ROOT = b"."
CHUNK = 1 << 20
# XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux.
LARGEST_XATTR = 1 << 16
XATTR_RECORD = "SCHILY.xattr."

KINDS_OF_MODE = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
KINDS_OF_TYPEFLAG = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}


@dataclass(frozen=True)
class Record:
    """The attributes of one entry. Those that its kind does not have keep their defaults."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    sha256: str = ""
    target: bytes = b""
    device: tuple[int, int] | None = None
    hard_links: tuple[bytes, ...] = ()
    xattrs: tuple[tuple[str, bytes], ...] = ()


Snapshot = Mapping[bytes, Record]


@dataclass(frozen=True)
class Difference:
    """One attribute of one entry that two snapshots disagree about; `None` where one of them has nothing."""

    path: bytes
    attribute: str
    expected: object
    actual: object

    def __str__(self) -> str:
        """The difference in one line."""
        expected, actual = (_shown(self.attribute, value) for value in (self.expected, self.actual))
        return f"{self.path!r}: {self.attribute}: expected {expected}, is {actual}"


def compare(expected: Snapshot, actual: Snapshot) -> list[Difference]:
    """Every difference, sorted by path; empty if there is none."""
    differences = []
    for path in sorted(expected.keys() | actual.keys()):
        if path not in actual:
            differences.append(Difference(path, "entry", expected[path].kind, None))
        elif path not in expected:
            differences.append(Difference(path, "entry", None, actual[path].kind))
        else:
            differences += _compare_records(path, expected[path], actual[path])
    return differences


def packed(
    snapshot: Snapshot,
    *,
    exclude_xattrs: Iterable[str] = ("security.selinux", "trusted.*", "system.nfs4_acl"),
    latest: int | None = None,
) -> dict[bytes, Record]:
    """What an image of this tree must hold by the stated policy.

    That is all of it without sockets and without the excluded extended attributes, nothing later than `latest`.
    """
    patterns = tuple(exclude_xattrs)

    def pack(record: Record) -> Record:
        kept = tuple(
            (name, value)
            for name, value in record.xattrs
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        )
        mtime = record.mtime if latest is None else min(record.mtime, latest)
        return replace(record, xattrs=kept, mtime=mtime)

    return {path: pack(record) for path, record in snapshot.items() if record.kind != "socket"}


def of_directory(root: str | bytes | os.PathLike[str]) -> dict[bytes, Record]:
    """Reads a directory tree. Runs as root, or under pseudo."""
    root = os.fsencode(root)
    names_of_inode = defaultdict(list)
    records = {}
    pending = [ROOT]
    while pending:
        path = pending.pop()
        place = os.path.join(root, path)
        status = os.lstat(place)
        records[path] = _of_file(place, status)
        if records[path].kind == "directory":
            # Not scandir: the type that a directory lists for an entry is not the one that pseudo keeps.
            pending += (os.path.normpath(os.path.join(path, name)) for name in os.listdir(place))
        elif status.st_nlink > 1:
            names_of_inode[status.st_dev, status.st_ino].append(path)
    return _with_hard_links(records, names_of_inode.values())


def of_layer(stream: IO[bytes]) -> dict[bytes, Record]:
    """Reads an uncompressed layer.

    Raises:
        ValueError: It is no layer as we write them: an entry comes twice, has an unknown type, or is a
            link to what did not come before it or has other attributes.
    """
    records: dict[bytes, Record] = {}
    groups: dict[bytes, list[bytes]] = {}
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            path = os.path.normpath(os.fsencode(member.name))
            if path in records:
                raise ValueError(f"{path!r} is in the layer twice")
            if member.type == tarfile.LNKTYPE:
                first = os.path.normpath(os.fsencode(member.linkname))
                if first not in records:
                    raise ValueError(f"{path!r} is a link to {first!r}, which does not come before it")
                if _owned(member) != _owned(records[first]):
                    raise ValueError(f"{path!r} has not the mode, owner or time of {first!r}, its first name")
                records[path] = records[first]
                groups.setdefault(first, [first]).append(path)
            else:
                records[path] = _of_member(archive, member, path)
    return _with_hard_links(records, groups.values())


def to_json(snapshot: Snapshot) -> str:
    """One JSON object; bytes that are no UTF-8 become lone surrogates, written as escapes."""
    plain = {_text(path): asdict(record) for path, record in sorted(snapshot.items())}
    return json.dumps(plain, default=_text, indent=1)


def from_json(text: str) -> dict[bytes, Record]:
    """Reads what `to_json` has written."""

    def record(plain: dict[str, Any]) -> Record:
        device = plain["device"]
        plain["device"] = tuple(device) if device else None
        plain["target"] = _bytes(plain["target"])
        plain["hard_links"] = tuple(_bytes(name) for name in plain["hard_links"])
        plain["xattrs"] = tuple((name, _bytes(value)) for name, value in plain["xattrs"])
        return Record(**plain)

    return {_bytes(path): record(plain) for path, plain in json.loads(text).items()}


def _of_file(place: bytes, status: os.stat_result) -> Record:
    kind = KINDS_OF_MODE[stat.S_IFMT(status.st_mode)]
    record = Record(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns // 10**9,
        xattrs=_xattrs_of_file(place),
    )
    if kind == "file":
        with open(place, "rb") as content:
            return replace(record, size=status.st_size, sha256=_sha256(content))
    if kind == "symlink":
        return replace(record, target=os.readlink(place))
    if kind.endswith("device"):
        return replace(record, device=(os.major(status.st_rdev), os.minor(status.st_rdev)))
    return record


def _owned(entry: tarfile.TarInfo | Record) -> tuple[float, ...]:
    # Some runtimes apply these again for every name of a file.
    return (entry.mode, entry.uid, entry.gid, entry.mtime)


def _of_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: bytes) -> Record:
    if member.type not in KINDS_OF_TYPEFLAG:
        raise ValueError(f"{path!r} has the typeflag {member.type!r}")
    kind = KINDS_OF_TYPEFLAG[member.type]
    record = Record(
        kind=kind,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        mtime=math.floor(member.mtime),
        xattrs=tuple(
            sorted(
                (key[len(XATTR_RECORD) :], _bytes(value))
                for key, value in member.pax_headers.items()
                if key.startswith(XATTR_RECORD)
            )
        ),
    )
    if kind == "file":
        content = archive.extractfile(member)
        return replace(record, size=member.size, sha256=_sha256(content or io.BytesIO()))
    if kind == "symlink":
        return replace(record, target=_bytes(member.linkname))
    if kind.endswith("device"):
        return replace(record, device=(member.devmajor, member.devminor))
    return record


_libc = ctypes.CDLL(None, use_errno=True)


def _xattrs_of_file(place: bytes) -> tuple[tuple[str, bytes], ...]:
    # Not os.getxattr: it offers a small buffer first, and pseudo answers that with half a value and no error.
    buffer = ctypes.create_string_buffer(LARGEST_XATTR)
    length = _libc.llistxattr(place, buffer, LARGEST_XATTR)
    if length < 0:
        if ctypes.get_errno() == errno.EOPNOTSUPP:
            return ()
        raise OSError(ctypes.get_errno(), "llistxattr", place)
    names = buffer.raw[:length].split(b"\0")[:-1]
    return tuple(sorted((_text(name), _xattr_of_file(place, name)) for name in names))


def _xattr_of_file(place: bytes, name: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(LARGEST_XATTR)
    length = _libc.lgetxattr(place, name, buffer, LARGEST_XATTR)
    if length >= 0:
        return buffer.raw[:length]
    # What pseudo says of an empty value, which it does list.
    if ctypes.get_errno() == errno.ENODATA:
        return b""
    raise OSError(ctypes.get_errno(), f"lgetxattr {name!r}", place)


def _with_hard_links(records: dict[bytes, Record], groups: Iterable[list[bytes]]) -> dict[bytes, Record]:
    for group in groups:
        names = tuple(sorted(group))
        for name in names:
            records[name] = replace(records[name], hard_links=names if len(names) > 1 else ())
    return records


def _compare_records(path: bytes, expected: Record, actual: Record) -> list[Difference]:
    differences = []
    for name in (field.name for field in fields(Record) if field.name != "xattrs"):
        left, right = getattr(expected, name), getattr(actual, name)
        if left != right:
            differences.append(Difference(path, name.replace("_", " "), left, right))
    left, right = dict(expected.xattrs), dict(actual.xattrs)
    differences += (
        Difference(path, f"xattr {name}", left.get(name), right.get(name))
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    )
    return differences


def _shown(attribute: str, value: object) -> str:
    if value is None:
        return "nothing"
    return f"0{value:o}" if attribute == "mode" else repr(value)


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
