"""The user without rights that oci-nonroot-rs.bbclass gives a container, and the directories that belong to it.

OE-core's extrausers.bbclass makes the user. Here the variables are checked, before and after it is made, and the
directories get their owner in the finished root filesystem, so that every layer has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..display import error_text
from ..errors import ImageError, SpecError
from .accounts import read_ids
from .datastore import Datastore, Reader
from .rootfs_path import OwnedDirectory, make_directory

# What shadow's useradd takes, without the capitals and the dollar sign that not every release does.
_NAME = re.compile("[a-z_][a-z0-9_-]{0,31}")
# A word for useradd, a shell and a line of /etc/passwd; each would read other characters in its own way.
_PATH = re.compile("/[A-Za-z0-9._+@%/-]*")
# The largest that runc and docker take.
_MAX_ID = 2**31 - 1


@dataclass(frozen=True)
class Account:
    """A user, and the group that it has.

    Attributes:
        user: Its name.
        uid: Its number.
        group: The name of its group.
        gid: The number of its group.
        home: Its home directory.
    """

    user: str
    uid: int
    group: str
    gid: int
    home: str

    @classmethod
    def of(cls, d: Datastore) -> Account:
        """Returns the account that the variables describe.

        Raises:
            SpecError: A value is wrong; `field` is the variable.
        """
        read = Reader(d)
        return cls(
            user=_name(read, "OCI_NONROOT_USER"),
            uid=_number(read, "OCI_NONROOT_UID", smallest=1),
            group=_name(read, "OCI_NONROOT_GROUP"),
            # Group 0 is what platforms give that choose a user themselves.
            gid=_number(read, "OCI_NONROOT_GID", smallest=0),
            home=_path(read.text("OCI_NONROOT_HOME"), "OCI_NONROOT_HOME"),
        )


def problem(d: Datastore) -> str | None:
    """Returns what is wrong with the variables; None if nothing."""
    try:
        account = Account.of(d)
        if account.user == "root":
            raise SpecError("must be another user than root", "OCI_NONROOT_USER", account.user)
        if (account.group == "root") != (account.gid == 0):
            raise SpecError("must be 0 for the group root, and only for it", "OCI_NONROOT_GID", str(account.gid))
        list(_directories(d, account))
    except SpecError as error:
        return f"{error.field}: {error.detail}"
    return None


def check_accounts(d: Datastore) -> None:
    """Checks the root filesystem before extrausers.bbclass makes the user, which reports that it cannot, but not why.

    Raises:
        bb.BBHandledException: A package has made a user or group that differs from the variables, or has the same
            number; the log names it and the variable.
    """
    try:
        account = Account.of(d)
        etc = Path(d.getVar("IMAGE_ROOTFS"), "etc")
        _check_ids(etc / "passwd", account.user, account.uid, ("OCI_NONROOT_USER", "OCI_NONROOT_UID"))
        _check_ids(etc / "group", account.group, account.gid, ("OCI_NONROOT_GROUP", "OCI_NONROOT_GID"))
    except (ImageError, OSError) as error:
        bb.fatal(error_text(error))


def make_directories(d: Datastore) -> None:
    """Makes the home directory and those of OCI_NONROOT_DIRS, after extrausers.bbclass has made the user.

    Raises:
        bb.BBHandledException: The user is missing, or something else than a directory is in the way.
    """
    try:
        account = Account.of(d)
        root = Path(d.getVar("IMAGE_ROOTFS"))
        if (account.user, account.uid) not in read_ids(root / "etc/passwd"):
            raise SpecError(
                f"/etc/passwd has no user with this name and the number {account.uid}; EXTRA_USERS_PARAMS, of which"
                f' extrausers.bbclass makes it, is "{(d.getVar("EXTRA_USERS_PARAMS") or "").strip()}"',
                "OCI_NONROOT_USER",
                account.user,
            )
        for directory in _directories(d, account):
            place = make_directory(root, directory)
            bb.note(f"oci-nonroot-rs: {place} belongs to {account.user} ({directory.uid}:{directory.gid})")
    except (ImageError, OSError) as error:
        bb.fatal(error_text(error))


def _check_ids(file: Path, name: str, number: int, variables: tuple[str, str]) -> None:
    """Fails where a file lists the name with another number, or the number with another name."""
    for other_name, other_number in read_ids(file):
        if other_number == number and other_name != name:
            raise SpecError(f"{other_name} has this number in /etc/{file.name}; choose another", variables[1], number)
        if other_name == name and other_number != number:
            raise SpecError(
                f"has the number {other_number} in /etc/{file.name}, and {variables[1]} is {number};"
                " choose another name or that number",
                variables[0],
                name,
            )


def _directories(d: Datastore, account: Account) -> Iterator[OwnedDirectory]:
    yield OwnedDirectory(account.home, account.uid, account.gid, 0o700)
    for word in Reader(d).words("OCI_NONROOT_DIRS"):
        path, colon, mode = word.partition(":")
        if colon and re.fullmatch("[0-7]{3,4}", mode) is None:
            raise SpecError("must be PATH or PATH:MODE with an octal MODE like 0750", "OCI_NONROOT_DIRS", word)
        yield OwnedDirectory(_path(path, "OCI_NONROOT_DIRS"), account.uid, account.gid, int(mode, 8) if colon else None)


def _name(read: Reader, variable: str) -> str:
    name = read.text(variable)
    if _NAME.fullmatch(name) is None:
        raise SpecError(
            "must be at most 32 lower-case letters, digits, - and _, and begin with a letter or _", variable, name
        )
    return name


def _number(read: Reader, variable: str, smallest: int) -> int:
    text = read.text(variable)
    number = read.number(variable)
    if number is None or not smallest <= number <= _MAX_ID:
        raise SpecError(f"must be a number from {smallest} to {_MAX_ID}", variable, text)
    return number


def _path(path: str, variable: str) -> str:
    if _PATH.fullmatch(path) is None or ".." in path.split("/"):
        raise SpecError("must be an absolute path of letters, digits and ._+@%-, without ..", variable, path)
    if path.strip("/") == "":
        raise SpecError("must be another directory than /", variable, path)
    return path
