"""A root filesystem with all kinds of entries and attributes there are, which runs in a container."""

from __future__ import annotations

import shutil
import struct

from rootfs_fixtures.tree import (
    SECOND,
    Directory,
    File,
    HardLink,
    Node,
    SparseFile,
    Symlink,
    Table,
    acl,
    capabilities,
)

# Beyond the 2097151 that seven octal digits hold, and the largest id that there is.
LARGE_ID = 2_097_152
LARGEST_ID = 4_294_967_294

EPOCH = 0
BEFORE_1970 = -86_400 * SECOND - 1
AFTER_2038 = 2**31 * SECOND
AFTER_2106 = 2**32 * SECOND + 999_999_999
# Beyond the eleven octal digits of a tar header, which end in 2242; ext4 goes on to 2446.
YEAR_2300 = 10_413_792_000 * SECOND

CAP_NET_BIND_SERVICE, CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE = 1 << 10, 1 << 21, 1 << 40

BINARY = b"\0\xff=\n value of 18 bytes\n30 mtime=1\n"
EVERY_BYTE = bytes(range(256)) * 8

LONG_NAMES = [b"n" * length for length in (98, 99, 100, 101, 154, 155, 156, 254, 255)]
DEEP = [letter * 200 for letter in (b"p", b"q", b"r", b"s", b"t", b"u")]

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nkeeper:x:4242:4343:The Keeper:/home/keeper:/bin/sh\n"
GROUP = b"root:x:0:\nkeeper:x:4343:\n"

SYSTEM: Table = (
    Directory(b".", mode=0o1755, gid=4343, mtime_ns=AFTER_2038, xattrs={"user.of-the-root": b"yes"}),
    Directory(b"bin"),
    Symlink(b"bin/sh", target=b"busybox"),
    Directory(b"dev"),
    Directory(b"etc"),
    File(b"etc/group", content=GROUP),
    File(b"etc/passwd", content=PASSWD),
    Directory(b"home"),
    Directory(b"home/keeper", mode=0o2750, uid=4242, gid=4343),
    Directory(b"proc", mode=0o555),
    Directory(b"root", mode=0o700),
    Directory(b"sys", mode=0o555),
    Directory(b"tmp", mode=0o1777),
    Directory(b"usr"),
    Directory(b"usr/bin"),
    Directory(b"usr/share"),
    Directory(b"var"),
)

MODES: Table = (
    Directory(b"modes"),
    Directory(b"modes/nothing.d", mode=0o000),
    File(b"modes/nothing.d/inside", mode=0o600, content=b"kept in\n"),
    File(b"modes/nothing", mode=0o000, content=b"for nobody's eyes\n"),
    File(b"modes/everything", mode=0o7777),
    File(b"modes/setuid", mode=0o4755, uid=4242, content=b"#!/bin/sh\n"),
    File(b"modes/setgid", mode=0o2755, gid=4343, content=b"#!/bin/sh\n"),
    File(b"modes/setgid-no-execute", mode=0o2644, gid=4343),
    File(b"modes/sticky", mode=0o1644),
    Directory(b"modes/setgid.d", mode=0o2775, gid=4343),
    File(b"modes/setgid.d/other-group", gid=4242),
    Directory(b"modes/all.d", mode=0o7777),
)

OWNERS: Table = (
    Directory(b"owners"),
    File(b"owners/last-octal", uid=LARGE_ID - 1, gid=LARGE_ID - 1),
    File(b"owners/large", uid=LARGE_ID, gid=LARGE_ID),
    File(b"owners/largest", uid=LARGEST_ID, gid=LARGEST_ID, mode=0o4711),
    Directory(b"owners/large.d", uid=LARGE_ID, gid=LARGEST_ID),
    Symlink(b"owners/link", target=b"large", uid=LARGEST_ID, gid=LARGE_ID),
)

KINDS: Table = (
    Directory(b"kinds"),
    File(b"kinds/empty"),
    Directory(b"kinds/empty.d"),
    File(b"kinds/block", content=b"x" * 512),
    File(b"kinds/block-and-a-byte", content=b"x" * 513),
    File(b"kinds/three-megabytes", content=(EVERY_BYTE + b"\n") * 1500),
    Node(b"kinds/fifo", mode=0o620, uid=4242, kind="fifo"),
    Node(b"kinds/null", mode=0o666, kind="character device", device=(1, 3)),
    Node(b"kinds/disk", mode=0o660, gid=6, kind="block device", device=(8, 0)),
    # Beyond minor number 524287 pseudo loses the sign of its 32 bits.
    Node(b"kinds/largest-numbers", mode=0o600, kind="character device", device=(4095, 524_287)),
    Node(b"kinds/zero-device", mode=0o600, uid=LARGE_ID, kind="character device", device=(0, 0)),
    Node(b"kinds/socket", mode=0o755, kind="socket"),
)

LINKS: Table = (
    Directory(b"links"),
    Directory(b"links/a"),
    Directory(b"links/z"),
    Symlink(b"links/absolute", target=b"/etc/passwd"),
    Symlink(b"links/dangling", target=b"../no/such/file"),
    Symlink(b"links/itself", target=b"itself"),
    Symlink(b"links/to-directory", target=b"a/"),
    Symlink(b"links/out", target=b"../../../../../../etc/shadow"),
    Symlink(b"links/target-of-100", target=b"t" * 100),
    Symlink(b"links/target-of-101", target=b"t" * 101),
    Symlink(b"links/target-of-4000", target=b"/".join([b"t" * 99] * 40)),
    Symlink(b"links/target-not-utf-8", target=b"caf\xe9/\xff\n\\ '\""),
    # The name that comes first in the archive is not the one that comes first here.
    File(b"links/m", mode=0o4750, uid=4242, content=b"one file, four names\n", xattrs={"user.shared": b"1"}),
    HardLink(b"links/z/other-directory", b"links/m"),
    HardLink(b"links/a/" + b"hard" * 50, b"links/m"),
    HardLink(b"links/a/caf\xe9", b"links/m"),
    Symlink(b"links/symlink-with-two-names", target=b"m", uid=4242),
    HardLink(b"links/a/symlink-with-two-names", b"links/symlink-with-two-names"),
    Node(b"links/device-with-two-names", mode=0o640, gid=4343, kind="character device", device=(5, 1)),
    HardLink(b"links/a/device-with-two-names", b"links/device-with-two-names"),
    Node(b"links/fifo-with-two-names", mode=0o600, gid=4343, kind="fifo"),
    HardLink(b"links/z/fifo-with-two-names", b"links/fifo-with-two-names"),
)

XATTRS: Table = (
    Directory(b"xattrs"),
    File(
        b"xattrs/user",
        xattrs={
            "user.binary": BINARY,
            "user.empty": b"",
            "user.every-byte": EVERY_BYTE,
            "user.name with space, \N{SNOWMAN}\n and newline": b"\xe9",
            "user.ending-in-zeros": b"\0\0",
        },
    ),
    Directory(b"xattrs/directory", xattrs={"user.on-a-directory": BINARY}),
    File(b"xattrs/mode-0", mode=0o000, xattrs={"user.hidden": b"1"}),
    File(
        b"xattrs/capability-v2",
        mode=0o755,
        xattrs={"security.capability": capabilities(CAP_NET_BIND_SERVICE | CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN)},
    ),
    File(
        b"xattrs/capability-v2-setuid",
        mode=0o4755,
        uid=4242,
        xattrs={"security.capability": capabilities(CAP_NET_BIND_SERVICE, effective=False)},
    ),
    File(
        b"xattrs/capability-v3",
        mode=0o755,
        xattrs={"security.capability": capabilities(CAP_NET_BIND_SERVICE, rootid=100_000)},
    ),
    File(
        b"xattrs/acl",
        mode=0o660,
        xattrs={
            "system.posix_acl_access": acl("u::rw-", f"u:{LARGE_ID}:r--", "g::r--", "g:4343:rw-", "m::rw-", "o::---")
        },
    ),
    Directory(
        b"xattrs/default-acl",
        mode=0o2775,
        xattrs={
            "system.posix_acl_access": acl("u::rwx", "u:4242:rwx", "g::r-x", "m::rwx", "o::r-x"),
            "system.posix_acl_default": acl("u::rwx", "u:4242:rwx", "g::r-x", "g:4343:---", "m::rwx", "o::---"),
        },
    ),
    # Made in a directory with a default ACL, and without one of its own.
    File(b"xattrs/default-acl/file", mode=0o644),
    Directory(b"xattrs/default-acl/directory", mode=0o755),
    # Signed files: type 4 (a digest with its algorithm), algorithm 4 (sha256).
    File(b"xattrs/ima", xattrs={"security.ima": b"\x04\x04" + bytes(range(32))}),
    # Left out of an image by the default policy.
    File(
        b"xattrs/of-the-machine",
        xattrs={
            "security.selinux": b"system_u:object_r:bin_t:s0\0",
            "trusted.overlay.opaque": b"y",
            "user.of-the-image": b"y",
        },
    ),
)

NAMES: Table = (
    Directory(b"names"),
    *(
        File(b"names/" + name, content=name)
        for name in (
            b"caf\xe9",
            b"caf\xc3\xa9",
            b"cafe\xcc\x81",
            b"\xff\xfe\x80",
            b"\xed\xa0\x80",
            b"new\nline",
            b"\n",
            b" ",
            b" leading and trailing ",
            b"tab\t, bell\a, escape\x1b[31m, delete\x7f",
            b"'",
            b'"',
            b"\\",
            b"\\n\\055",
            b"-rf",
            b"--help",
            b"...",
            b"..two-dots",
            b".hidden",
            b"$HOME `id` $(id) ${IFS}",
            b"*?[a]{b,c}!#;&|<>()~",
            b"30 mtime=1",
            b"key=value",
            b"C:\\file",
            b"@LongLink",
            b"UPPER",
            b"upper",
            # In an order where the bytes of paths and the names of directories sort unlike one another.
            b"order",
            b"order-",
            b"order0",
        )
    ),
    Directory(b"names/order.d"),
    File(b"names/order.d/inside"),
    File(b"names/order.d-"),
    Directory(b"names/d\xe9\n d"),
    Directory(b"names/d\xe9\n d/-e"),
    Symlink(b"names/d\xe9\n d/-e/\xe9", target=b"\xe9\n"),
    *(File(b"names/" + name, content=str(len(name)).encode()) for name in LONG_NAMES),
    *(File(b"names/\xe9" + name[2:], content=b"\xe9") for name in LONG_NAMES[3:]),
    Directory(b"names/" + b"l" * 93),
    Directory(b"names/" + b"l" * 94),
    File(b"names/" + "\N{SNOWMAN}".encode() * 85, uid=LARGE_ID, xattrs={"user.long": b"y" * 300}),
    *(Directory(b"names/" + b"/".join(DEEP[: depth + 1])) for depth in range(len(DEEP))),
    File(b"names/" + b"/".join(DEEP) + b"/bottom", content=b"more than 1,024 bytes down\n"),
    HardLink(b"names/" + b"/".join(DEEP[:2]) + b"/link", b"names/" + b"/".join(DEEP) + b"/bottom"),
    Symlink(b"names/" + b"/".join(DEEP) + b"/up", target=b"../" * 300, mtime_ns=BEFORE_1970),
)

TIMES: Table = (
    Directory(b"times", mtime_ns=BEFORE_1970),
    File(b"times/epoch", mtime_ns=EPOCH),
    File(b"times/last-nanosecond", mtime_ns=EPOCH + 999_999_999),
    File(b"times/before-1970", mtime_ns=BEFORE_1970),
    File(b"times/after-2038", mtime_ns=AFTER_2038),
    File(b"times/after-2106", mtime_ns=AFTER_2106),
    File(b"times/year-2300", mtime_ns=YEAR_2300),
    Symlink(b"times/link", target=b"epoch", mtime_ns=AFTER_2106),
    Node(b"times/fifo", mode=0o600, kind="fifo", mtime_ns=BEFORE_1970),
    Directory(b"times/epoch.d", mtime_ns=EPOCH),
    File(b"times/epoch.d/later"),
)

# More than the eleven octal digits of a tar header hold, nearly all of it a hole.
HUGE = (SparseFile(b"var/huge", size=8 * 2**30 + 513, end=b"the end\n"),)


def table(*, many: int = 0, huge: bool = False) -> Table:
    """The whole tree, with `many` small files more, and with one of more than 8 GiB if `huge`."""
    return (
        *SYSTEM,
        File(b"bin/busybox", mode=0o755, content=_static_busybox()),
        *MODES,
        *OWNERS,
        *KINDS,
        *LINKS,
        *XATTRS,
        *NAMES,
        *TIMES,
        *_many(many),
        *(HUGE if huge else ()),
    )


def _many(count: int) -> Table:
    directories = [b"usr/share/many%d" % number for number in range(-(-count // 1000))]
    return (
        *map(Directory, directories),
        *(File(directories[number // 1000] + b"/%d" % number, content=b"%d\n" % number) for number in range(count)),
    )


def _static_busybox() -> bytes:
    place = shutil.which("busybox")
    if place is None:
        raise FileNotFoundError("no busybox on PATH: install the package busybox-static")
    with open(place, "rb") as program:
        content = program.read()
    if _has_interpreter(content):
        raise ValueError(f"{place} needs shared libraries: install the package busybox-static")
    return content


def _has_interpreter(program: bytes) -> bool:
    """Whether a 64-bit ELF file has a PT_INTERP segment. Source: System V ABI, chapters 4 and 5."""
    pt_interp = 3
    order = "<" if program[5] == 1 else ">"
    (table_offset,) = struct.unpack_from(f"{order}Q", program, 32)
    size, count = struct.unpack_from(f"{order}HH", program, 54)
    kinds = (struct.unpack_from(f"{order}I", program, table_offset + index * size) for index in range(count))
    return (pt_interp,) in kinds
