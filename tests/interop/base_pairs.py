"""Two root filesystems, where one becomes the other by every kind of change that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rootfs_fixtures import nasty
from rootfs_fixtures.attributes import ROOT, Record, Snapshot
from rootfs_fixtures.tree import (
    SECOND,
    USUAL_TIME,
    Directory,
    Entry,
    File,
    HardLink,
    Node,
    Symlink,
    Table,
    capabilities,
)

LATER = USUAL_TIME + 1000 * SECOND
NET_RAW, NET_ADMIN = capabilities(1 << 13), capabilities(1 << 12)
ONE, TWO = b"one\n", b"two\n"

# What stands below `pairs/NAME/` before, and what afterwards.
PAIRS: dict[str, tuple[Table, Table]] = {
    "same": ((File(b"x", content=ONE),), (File(b"x", content=ONE),)),
    "same-but-later": ((File(b"x", content=ONE),), (File(b"x", content=ONE, mtime_ns=LATER),)),
    "added": ((), (File(b"x", content=ONE), Directory(b"d", mode=0o700), File(b"d/x", content=TWO))),
    "content-of-the-same-size": ((File(b"x", content=ONE),), (File(b"x", content=TWO),)),
    "content": ((File(b"x", content=ONE),), (File(b"x", content=ONE + TWO),)),
    "emptied": ((File(b"x", content=ONE),), (File(b"x"),)),
    "mode": ((File(b"x", mode=0o755, content=ONE),), (File(b"x", mode=0o4755, content=ONE),)),
    "owner": ((File(b"x", content=ONE),), (File(b"x", uid=4242, content=ONE),)),
    "group": ((File(b"x", content=ONE),), (File(b"x", gid=4343, content=ONE),)),
    "owner-of-a-link": ((Symlink(b"x", target=b"y"),), (Symlink(b"x", target=b"y", uid=4242),)),
    "capability": (
        (File(b"x", mode=0o755, content=ONE, xattrs={"security.capability": NET_RAW}),),
        (File(b"x", mode=0o755, content=ONE, xattrs={"security.capability": NET_ADMIN}),),
    ),
    "capability-gone": (
        (File(b"x", mode=0o755, content=ONE, xattrs={"security.capability": NET_RAW}),),
        (File(b"x", mode=0o755, content=ONE),),
    ),
    "xattr": ((File(b"x", content=ONE),), (File(b"x", content=ONE, xattrs={"user.x": b"1"}),)),
    "link": ((Symlink(b"x", target=b"y"),), (Symlink(b"x", target=b"z"),)),
    "device-number": (
        (Node(b"x", mode=0o600, kind="character device", device=(1, 3)),),
        (Node(b"x", mode=0o600, kind="character device", device=(1, 5)),),
    ),
    "device-kind": (
        (Node(b"x", mode=0o600, kind="character device", device=(8, 1)),),
        (Node(b"x", mode=0o600, kind="block device", device=(8, 1)),),
    ),
    "directory-mode": (
        (Directory(b"d", mode=0o755), File(b"d/x", content=ONE)),
        (Directory(b"d", mode=0o1770, gid=4343), File(b"d/x", content=ONE)),
    ),
    "directory-xattr": (
        (Directory(b"d", xattrs={"user.d": b"1"}), File(b"d/x", content=ONE)),
        (Directory(b"d", xattrs={"user.d": b"2"}), File(b"d/x", content=ONE)),
    ),
    "removed": ((File(b"x", content=ONE), File(b"y")), (File(b"y"),)),
    "removed-beside": (
        # `.wh.` sorts between these, and must come before all of them.
        (File(b"+", content=ONE), File(b"-x", content=ONE), File(b"x", content=ONE), File(b"~", content=ONE)),
        (File(b"+", content=TWO), File(b"~", content=TWO)),
    ),
    "removed-directory": (
        (Directory(b"d", mode=0o700), File(b"d/x", content=ONE), Directory(b"d/e"), File(b"d/e/y")),
        (),
    ),
    "emptied-directory": (
        (Directory(b"d"), File(b"d/x", content=ONE), Directory(b"d/e"), File(b"d/e/y"), Symlink(b"d/z", target=b"x")),
        (Directory(b"d"),),
    ),
    "all-others-in-a-directory": (
        (Directory(b"d"), File(b"d/x", content=ONE), Directory(b"d/e"), File(b"d/e/y")),
        (Directory(b"d"), File(b"d/new", content=TWO)),
    ),
    "removed-neighbours-of-a-directory": (
        (Directory(b"d"), File(b"d/x", content=ONE), File(b"d-", content=ONE), File(b"d0", content=ONE)),
        (Directory(b"d"), File(b"d/x", content=ONE)),
    ),
    "removed-odd-names": (
        (File(b"caf\xe9"), File(b"new\nline"), File(b"n" * 255, content=ONE), File(b".hidden"), File(b" ")),
        (),
    ),
    "removed-socket-and-others": (
        (Node(b"p", mode=0o600, kind="fifo"), Node(b"c", mode=0o600, kind="character device", device=(1, 3))),
        (),
    ),
    "file-becomes-socket": ((File(b"x", content=ONE),), (Node(b"x", mode=0o600, kind="socket"),)),
    "directory-becomes-file": (
        (Directory(b"x"), File(b"x/y", content=ONE), Directory(b"x/d"), File(b"x/d/z")),
        (File(b"x", content=TWO),),
    ),
    "directory-becomes-link": (
        (Directory(b"x"), File(b"x/y", content=ONE), Directory(b"real")),
        (Symlink(b"x", target=b"real"), Directory(b"real")),
    ),
    "directory-becomes-fifo": ((Directory(b"x"), File(b"x/y")), (Node(b"x", mode=0o600, kind="fifo"),)),
    "file-becomes-directory": (
        (File(b"x", content=ONE),),
        (Directory(b"x", mode=0o750), File(b"x/y", content=TWO)),
    ),
    "fifo-becomes-file": ((Node(b"x", mode=0o600, kind="fifo"),), (File(b"x", content=ONE),)),
    "file-becomes-link": ((File(b"x", content=ONE),), (Symlink(b"x", target=b"y"),)),
    "link-becomes-file": ((Symlink(b"x", target=b"y"),), (File(b"x", content=ONE),)),
    "dangling-link-becomes-directory": (
        (Symlink(b"x", target=b"nowhere"),),
        (Directory(b"x"), File(b"x/y", content=ONE)),
    ),
    "names-of-a-file": (
        (File(b"a", content=ONE), HardLink(b"b", b"a"), HardLink(b"c", b"a")),
        (File(b"a", content=TWO), HardLink(b"b", b"a"), HardLink(b"c", b"a")),
    ),
    "names-mode": (
        (File(b"a", content=ONE), HardLink(b"b", b"a")),
        (File(b"a", mode=0o600, content=ONE), HardLink(b"b", b"a")),
    ),
    "names-part": (
        (File(b"a", content=ONE), HardLink(b"b", b"a"), HardLink(b"c", b"a")),
        (File(b"a", content=ONE), HardLink(b"b", b"a"), File(b"c", content=ONE)),
    ),
    "names-join": (
        (File(b"a", content=ONE), File(b"b", content=ONE)),
        (File(b"a", content=ONE), HardLink(b"b", b"a")),
    ),
    "names-join-others": (
        (File(b"a", content=ONE), HardLink(b"b", b"a"), File(b"c", content=ONE), HardLink(b"d", b"c")),
        (File(b"a", content=ONE), HardLink(b"c", b"a"), File(b"b", content=ONE), HardLink(b"d", b"b")),
    ),
    "name-added": (
        (File(b"m", content=ONE), HardLink(b"n", b"m")),
        (File(b"m", content=ONE), HardLink(b"a", b"m"), HardLink(b"n", b"m")),
    ),
    "name-removed": (
        (File(b"a", content=ONE), HardLink(b"m", b"a"), HardLink(b"n", b"a")),
        (File(b"m", content=ONE), HardLink(b"n", b"m")),
    ),
    "names-of-others": (
        (Node(b"p", mode=0o600, kind="fifo"), HardLink(b"q", b"p"), Symlink(b"s", target=b"p"), HardLink(b"t", b"s")),
        (Node(b"p", mode=0o640, kind="fifo"), HardLink(b"q", b"p"), Symlink(b"s", target=b"q"), HardLink(b"t", b"s")),
    ),
}

# What no layer is sure to keep: overlayfs has such a device where something was removed.
NEVER = (b"kinds/zero-device",)
# Of the nasty tree, what only the base has: whole directories, and some files of others.
GONE = (b"owners", b"kinds/null", b"links/z", b"names/order", b"names/" + b"n" * 255)


def before() -> Table:
    """The root filesystem of the base."""
    return (*_without(nasty.table(), NEVER), *_below_pairs(0))


def after() -> Table:
    """The root filesystem of the image upon it. Its root has other attributes, too."""
    kept = _without(nasty.table(), NEVER + GONE)
    root = Directory(ROOT, mode=0o755, xattrs={"user.of-the-root": b"another"})
    return (root, *(entry for entry in kept if entry.path != ROOT), *_below_pairs(1))


def laid_over(base: Snapshot, rootfs: Snapshot) -> Snapshot:
    """What there is when everything in `rootfs` was put upon `base`, and nothing was taken away."""
    merged: dict[bytes, Record] = {}
    for path, record in base.items():
        above = [rootfs.get(path[:end]) for end, byte in enumerate(path) if byte == ord("/")]
        if any(parent is not None and parent.kind != "directory" for parent in above):
            continue
        names = tuple(name for name in record.hard_links if name not in rootfs)
        merged[path] = replace(record, hard_links=names if len(names) > 1 else ())
    for path, record in rootfs.items():
        below = base.get(path)
        if below is not None and replace(record, hard_links=below.hard_links) == below:
            others = set(below.hard_links) - set(record.hard_links) - {path}
            if others and not others & rootfs.keys():
                # The base's file, some names of which are in the base alone and stay names of it.
                record = below
                merged.update({name: base[name] for name in others})
        merged[path] = record
    return merged


def _below_pairs(which: int) -> Sequence[Entry | HardLink]:
    entries: list[Entry | HardLink] = [Directory(b"pairs")]
    for name, pair in PAIRS.items():
        top = b"pairs/" + name.encode()
        entries.append(Directory(top))
        for entry in pair[which]:
            if isinstance(entry, HardLink):
                entries.append(HardLink(top + b"/" + entry.path, top + b"/" + entry.other))
            else:
                entries.append(replace(entry, path=top + b"/" + entry.path))
    return entries


def _without(table: Table, gone: tuple[bytes, ...]) -> Table:
    def is_gone(path: bytes) -> bool:
        return any(path == place or path.startswith(place + b"/") for place in gone)

    return [
        entry
        for entry in table
        if not is_gone(entry.path) and not (isinstance(entry, HardLink) and is_gone(entry.other))
    ]
