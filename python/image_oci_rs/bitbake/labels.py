"""Labels that say where an image comes from: commit, version, time, and the recipe and layers of Yocto."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from subprocess import DEVNULL, run

from ..errors import SpecError
from ..spec import parse_created
from .datastore import Reader

# What BitBake gives a recipe that says nothing of its version.
_DEFAULT_VERSION = "1.0"


def labels_of_origin(read: Reader, created: int | None) -> dict[str, str]:
    """The labels that OCI_IMAGE_AUTO_LABELS and OCI_IMAGE_YOCTO_LABELS ask for.

    Args:
        read: The recipe's variables.
        created: The time of the image, in seconds since 1970, if it has one.

    Raises:
        SpecError: A variable has a value that it can't have.
    """
    # Both are asked for before either counts, so that a mistake in one is seen.
    automatic, yocto = read.switch("OCI_IMAGE_AUTO_LABELS"), read.switch("OCI_IMAGE_YOCTO_LABELS")
    labels = (_automatic(read, created) if automatic else {}) | (_yocto(read) if yocto else {})
    return {key: value for key, value in labels.items() if value not in ("", "none")}


def _automatic(read: Reader, created: int | None) -> dict[str, str]:
    """Under the names of image-oci.bbclass, which are those of the image-spec, annotations.md."""
    date = read.text("OCI_IMAGE_BUILD_DATE")
    if date != "none":
        try:
            created = parse_created(date) if date else created
        except SpecError as error:
            raise SpecError(error.reason, "OCI_IMAGE_BUILD_DATE", date) from None
    version = read.text("PV")
    top = read.text("TOPDIR")
    prefix = "org.opencontainers.image"
    return {
        f"{prefix}.revision": read.text("OCI_IMAGE_REVISION") or _git(top, "rev-parse", "--verify", "HEAD"),
        f"{prefix}.ref.name": read.text("OCI_IMAGE_BRANCH") or _git(top, "symbolic-ref", "--short", "HEAD"),
        f"{prefix}.created": "none" if date == "none" or created is None else _rfc_3339(created),
        f"{prefix}.version": "" if version == _DEFAULT_VERSION else version,
    }


def _yocto(read: Reader) -> dict[str, str]:
    prefix = "io.github.image-oci-rs.yocto"
    layers = (os.path.normpath(path) for path in read.text("BBLAYERS").split())
    return {
        f"{prefix}.recipe": read.text("PF"),
        f"{prefix}.machine": read.text("MACHINE"),
        f"{prefix}.distro": " ".join(filter(None, (read.text("DISTRO"), read.text("DISTRO_VERSION")))),
        # Sorted, because the order of BBLAYERS is a matter of taste.
        f"{prefix}.layers": " ".join(sorted(f"{os.path.basename(path)}={_commit(path)}" for path in layers)),
    }


def _commit(directory: str) -> str:
    """The commit that is checked out, marked if a file that git knows was changed."""
    commit = _git(directory, "rev-parse", "--verify", "HEAD")
    # `describe --dirty` would say both, and write into .git all the same.
    modified = commit and _git(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-modified" if modified else commit or "unknown"


def _rfc_3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _git(directory: str, *arguments: str) -> str:
    """What git says of a directory; nothing where there is no git, repository, commit or branch."""
    # pseudo makes this process look like root, to whom git refuses other users' repositories. And a question must not
    # write: git would bring its index up to date, and hold its lock when somebody commits.
    environment = {**os.environ, "PSEUDO_UNLOAD": "1", "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", directory, *arguments]
    try:
        done = run(command, stdin=DEVNULL, capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
