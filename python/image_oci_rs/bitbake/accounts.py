"""Users and groups of a root filesystem, as its /etc/passwd and /etc/group list them."""

from __future__ import annotations

from pathlib import Path


def read_ids(file: Path) -> list[tuple[str, int]]:
    """Returns name and number in each line; nothing if the file is missing."""
    if not file.exists():
        return []
    lines = file.read_bytes().decode(errors="surrogateescape").splitlines()
    fields = [line.split(":") for line in lines]
    return [(field[0], int(field[2])) for field in fields if len(field) > 2 and field[2].isdigit()]
