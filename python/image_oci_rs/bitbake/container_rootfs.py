"""What OCI_CONTAINER_ROOTFS stands for: a root filesystem that is not booted.

`apply_defaults` runs before the anonymous functions of a recipe, so that image.bbclass sees what it sets; `prepare`
runs at the end of do_rootfs. docs/rootfs.md has the same as a table.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..display import error_text
from ..errors import ImageError
from .rootfs_path import OwnedDirectory, make_directory, resolve

if TYPE_CHECKING:
    from .datastore import Datastore

# A variable, what OE-core says of it, and the value for a container. Any other value is the user's and stays.
_DEFAULTS: tuple[tuple[str, tuple[str | None, ...], str], ...] = (
    ("KERNELDEPMODDEPEND", ("virtual/kernel:do_packagedata",), ""),
    ("KERNEL_DEPLOY_DEPEND", ("virtual/kernel:do_deploy",), ""),
    ("IMAGE_CONTAINER_NO_DUMMY", (None,), "1"),
    ("IMAGE_LINGUAS", ("${DEFAULT_IMAGE_LINGUAS}",), ""),
    ("IMAGE_FEATURES", ("${EXTRA_IMAGE_FEATURES}",), ""),
    ("NO_RECOMMENDATIONS", (None, ""), "1"),
)
# What qemuboot.bbclass adds, which is inherited after every line of the recipe.
_OF_QEMUBOOT = ("qemu-system-native", "qemu-helper-native:do_addto_recipe_sysroot")
# Links of base-files to what scripts make when a machine boots, and the modes that those scripts give.
_VOLATILE = {"tmp": 0o1777, "var/tmp": 0o1777, "var/log": 0o755, "var/lock": 0o1777, "var/run": 0o755}
_RESOLV_CONF = "etc/resolv.conf"


def is_enabled(d: Datastore) -> bool:
    """Returns whether the switch is on; an invalid value is reported with the others of the recipe."""
    try:
        return bool(bb.utils.to_boolean((d.getVar("OCI_CONTAINER_ROOTFS") or "").strip(), False))
    except ValueError:
        return False


def apply_defaults(d: Any) -> None:
    """Sets what the switch stands for, wherever the recipe and the configuration leave OE-core's default."""
    for variable, defaults, value in _DEFAULTS:
        text = _base_value(d, variable)
        if (text if text is None else text.strip()) in defaults:
            _set_base_value(d, variable, value)
    # Bootloaders and emulators. The class has noted what the configuration says.
    superfluous = {*(d.getVar("OCI_CONFIGURED_IMAGEDEPENDS") or "").split(), *_OF_QEMUBOOT}
    wanted = [word for word in (d.getVar("EXTRA_IMAGEDEPENDS") or "").split() if word not in superfluous]
    d.setVar("EXTRA_IMAGEDEPENDS", " ".join(wanted))
    # scarthgap's image.bbclass has QEMU for every image; later releases leave it to the packages that need it.
    depends = _base_value(d, "DEPENDS")
    if depends:
        _set_base_value(d, "DEPENDS", re.sub(r"(?<!\S)qemuwrapper-cross(?!\S)", "", depends, count=1))


def schedule(d: Any, function: str) -> None:
    """Adds a function to the end of do_rootfs: after those of image.bbclass, before those that make users (:append)."""
    commands = _base_value(d, "ROOTFS_POSTPROCESS_COMMAND") or ""
    _set_base_value(d, "ROOTFS_POSTPROCESS_COMMAND", f"{commands} {function}")


def _base_value(d: Any, variable: str) -> str | None:
    """The value that `=` and `+=` gave: :append, :remove and overrides of the recipe are applied to it later."""
    text: str | None = d.getVar(variable, False, parsing=True)
    return text


def _set_base_value(d: Any, variable: str, value: str) -> None:
    d.setVar(variable, value, parsing=True)


def prepare(d: Datastore) -> None:
    """Makes IMAGE_ROOTFS usable by programs that no init has started.

    Raises:
        bb.BBHandledException: Something else than a directory is in the way.
    """
    root = Path(d.getVar("IMAGE_ROOTFS"))
    try:
        for name, mode in _VOLATILE.items():
            if (root / name).is_symlink() and not os.path.lexists(resolve(root, name)):
                made = make_directory(root, OwnedDirectory(f"/{name}", 0, 0, mode))
                bb.note(f"OCI_CONTAINER_ROOTFS: made {made}, where /{name} leads")
        _prepare_resolv_conf(root)
    except (ImageError, OSError) as error:
        bb.fatal(error_text(error))


def _prepare_resolv_conf(root: Path) -> None:
    """Leaves a file that runtimes can mount theirs over, also where the root filesystem is read-only."""
    path = root / _RESOLV_CONF
    if resolve(root, _RESOLV_CONF).exists():
        return
    if path.is_symlink():
        bb.note(
            f"OCI_CONTAINER_ROOTFS: /{_RESOLV_CONF} led to {os.readlink(path)}, which is missing; it is an empty file"
        )
        path.unlink()
    else:
        bb.note(f"OCI_CONTAINER_ROOTFS: made an empty /{_RESOLV_CONF}")
    make_directory(root, OwnedDirectory("/etc", 0, 0))
    path.touch()
    path.chmod(0o644)
