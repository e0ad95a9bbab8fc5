"""Paths and directories inside a root filesystem, whose links lead where they would in the container.

Called in do_rootfs under pseudo, which sees owners and modes through the functions of `os`.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ..errors import RootfsError

# As many links as Linux follows.
_MAX_LINKS = 40


@dataclass(frozen=True)
class OwnedDirectory:
    """A directory that the container needs.

    Attributes:
        path: Where it is in the container, absolute.
        uid: Its owner.
        gid: Its group.
        mode: Its mode; None for 0755, or the mode that it has already.
    """

    path: str
    uid: int
    gid: int
    mode: int | None = None


def resolve(root: Path, path: str) -> Path:
    """Returns where `path` is below `root`: a link starts again at `root`, and `..` does not leave it.

    Nothing needs to exist, so the target of a dangling link is found as well.

    Raises:
        RootfsError: Links lead in a circle.
    """
    found, links = Path(root), 0
    names = deque(path.split("/"))
    while names:
        name = names.popleft()
        if name == "..":
            found = found if found == root else found.parent
        elif name not in ("", "."):
            step = found / name
            if not step.is_symlink():
                found = step
                continue
            links += 1
            if links > _MAX_LINKS:
                raise RootfsError(f"{path}: too many levels of symbolic links in {root}", path)
            target = os.readlink(step)
            found = Path(root) if target.startswith("/") else found
            names.extendleft(reversed(target.split("/")))
    return found


def make_directory(root: Path, directory: OwnedDirectory) -> str:
    """Makes a directory and gives it its owner and mode; parents that are missing belong to root.

    What the directory contains keeps its owner.

    Returns:
        The path without links, as it is in the container.

    Raises:
        RootfsError: Something else than a directory is in the way.
    """
    place = resolve(root, directory.path)
    inside = Path("/") / place.relative_to(root)
    for parent in [*reversed(inside.parents), inside]:
        path = root / parent.relative_to("/")
        if not os.path.lexists(path):
            path.mkdir()
            # Whatever the umask is.
            path.chmod(0o755)
        elif not path.is_dir():
            message = f"{directory.path}: {parent} is not a directory in the root filesystem"
            raise RootfsError(message, str(parent))
    os.chown(place, directory.uid, directory.gid)
    if directory.mode is not None:
        place.chmod(directory.mode)
    return str(inside)
