"""What a container runs: the entrypoint and the command.

The defaults of meta-virtualization's image-oci.bbclass have changed. Up to whinlatter a container runs the entrypoint
`sh`; since then it has no entrypoint, and the command `/bin/sh`. OCI_IMAGE_DEFAULTS says which of them a recipe means.
Where that class itself is inherited, its variables have its defaults.
"""

from __future__ import annotations

import os
from typing import Optional

from ..errors import SpecError
from ..spec import ImageSpec
from .backend import is_backend
from .datastore import Reader

Words = Optional[tuple[str, ...]]

_SHELL = ("/bin/sh",)
# The value that the class gives OCI_IMAGE_ENTRYPOINT, which tells it from one that the recipe has emptied.
_DEFAULT_ENTRYPOINT = "${@oci_rs_default_entrypoint(d)}"


def entrypoint_and_command(read: Reader) -> tuple[Words, Words]:
    """Returns Entrypoint and Cmd. None inherits from the base image; an empty one clears it.

    Raises:
        SpecError: A variable has no valid value.
    """
    defaults = read.text("OCI_IMAGE_DEFAULTS")
    if defaults not in ("scarthgap", "wrynose"):
        raise SpecError(
            'must be scarthgap (the entrypoint is "sh") or wrynose (the command is "/bin/sh")',
            "OCI_IMAGE_DEFAULTS",
            defaults,
        )
    if is_backend(read.d):
        entrypoint, command = _of_image_oci(read)
    else:
        entrypoint, command = _entrypoint(read), _command(read, defaults)
    if not (entrypoint or command or read.text("OCI_BASE_IMAGE")):
        # An image that says nothing at all can't even run `docker run IMAGE` with a shell.
        command = _SHELL
    return entrypoint, command


def missing_shell(spec: ImageSpec) -> str | None:
    """Returns a sentence if a container would start a shell that is not in the root filesystem."""
    start = (spec.config.entrypoint or spec.config.cmd or ("",))[0]
    rootfs = spec.sources[0].path
    if start not in ("sh", "/bin/sh") or spec.base or _has_shell(rootfs):
        return None
    return (
        f"a container of this image starts {start}, and the root filesystem has none: set OCI_IMAGE_ENTRYPOINT or"
        f" OCI_IMAGE_CMD to a program that it has"
    )


def _of_image_oci(read: Reader) -> tuple[Words, Words]:
    """As image-oci.bbclass: what is empty is left as the base image has it, and arguments replace the command."""
    entrypoint = read.words("OCI_IMAGE_ENTRYPOINT")
    command = read.words("OCI_IMAGE_ENTRYPOINT_ARGS") or read.words("OCI_IMAGE_CMD")
    return entrypoint or None, command or None


def _entrypoint(read: Reader) -> Words:
    words = read.words("OCI_IMAGE_ENTRYPOINT")
    unset = read.d.getVar("OCI_IMAGE_ENTRYPOINT", False) in (None, _DEFAULT_ENTRYPOINT)
    return None if unset and not words else words


def _command(read: Reader, defaults: str) -> Words:
    """The command, or the entrypoint's arguments. The releases differ in which of the two replaces the other."""
    command, arguments = read.optional_words("OCI_IMAGE_CMD"), read.words("OCI_IMAGE_ENTRYPOINT_ARGS")
    if defaults == "scarthgap":
        return command or arguments or command
    if command is None and not read.text("OCI_BASE_IMAGE"):
        command = _SHELL
    return arguments or command


def _has_shell(rootfs: str) -> bool:
    directory = os.path.join(rootfs, "bin")
    if os.path.islink(directory):
        # Of a merged /usr; an absolute target would be looked up on the build machine.
        directory = os.path.join(rootfs, os.readlink(directory).lstrip("/"))
    return any(os.path.lexists(os.path.join(place, "sh")) for place in (directory, os.path.join(rootfs, "usr/bin")))
