"""The version of the package, and a digest of its files.

The layer, the installed package and the compiled core all have this version. Parts of different versions are an error:
the core compares itself with `VERSION` when it is imported, and the class compares the layer with the package.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .errors import VersionError

# Cargo.toml's.
VERSION = "0.1.0"


def check_core(version: str) -> None:
    """Compares the package with its compiled core, which calls this function when it is imported.

    Raises:
        VersionError: The core has another version.
    """
    if version != VERSION:
        raise VersionError(
            f"The Python package {str(Path(__file__).parent)!r} is version {VERSION}, and its compiled core is"
            f" {version}: they were not installed together. Install the package again"
        )


def files_digest() -> str:
    """Returns a digest of the package's Python files, which differs where two copies of one version differ."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.stem == "_core":
            # Not part of the sources: what takes the place of the compiled core, which has its own check.
            continue
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
