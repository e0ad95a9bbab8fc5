"""Describes the differences between the images of two backends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from backends.entries import Entry
from backends.image import Image
from image_oci_rs.display import printable

# The time of the build, which BitBake puts into IMAGE_NAME.
TIME = re.compile(r"\d{14}")
# Of each kind of difference so many files are named; --all names every one.
NAMED_FILES = 20


@dataclass(frozen=True)
class Built:
    """The result of one backend.

    Attributes:
        backend: Its name, as OCI_IMAGE_BACKEND has it.
        image: The image.
        names: The names of the files in DEPLOY_DIR_IMAGE.
    """

    backend: str
    image: Image
    names: Sequence[str]


def compare(old: Built, new: Built, limit: int | None = NAMED_FILES) -> tuple[str, bool]:
    """Returns a text about two images of one recipe, and whether anything differs.

    Args:
        old: The image that the text names first.
        new: The other one.
        limit: How many files of each kind of difference are named; None for all.
    """
    pair = (old.backend, new.backend)
    parts = {
        "Configuration": list(_documents(old.image.fields, new.image.fields, pair)),
        "Layers": list(_layers(old, new)),
        "Files": list(_files(old.image.entries, new.image.entries, pair, limit)),
        "Names in DEPLOY_DIR_IMAGE": list(_names(old, new)),
    }
    counted = len(old.image.entries.keys() | new.image.entries.keys())
    lines = []
    for title, found in parts.items():
        of = f" ({counted} compared)" if title == "Files" else ""
        lines += [
            f"{title}{of}: {'the same' if not found else ''}".rstrip(),
            *(f"  {printable(line)}" for line in found),
        ]
    return "\n".join(lines), any(parts.values())


def _documents(old: Mapping[str, str], new: Mapping[str, str], pair: tuple[str, str]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: {_both(old.get(name, 'unset'), new.get(name, 'unset'), pair)}"


def _layers(old: Built, new: Built) -> Iterator[str]:
    if old.image.layers != new.image.layers:
        yield _both(str(old.image.layers), str(new.image.layers), (old.backend, new.backend))


def _files(
    old: Mapping[str, Entry], new: Mapping[str, Entry], pair: tuple[str, str], limit: int | None
) -> Iterator[str]:
    kinds: dict[str, list[str]] = {}
    for path in sorted(old.keys() | new.keys()):
        for kind, text in _file(old.get(path), new.get(path), pair):
            kinds.setdefault(kind, []).append(f"{path}{': ' if text else ''}{text}")
    for kind, paths in sorted(kinds.items()):
        yield f"{kind}: {len(paths)}"
        yield from (f"  {path}" for path in paths[:limit])
        if limit is not None and len(paths) > limit:
            yield f"  and {len(paths) - limit} more; --all names every one"


def _file(old: Entry | None, new: Entry | None, pair: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """The differences of one file: what kind each is, and both values."""
    if old is None or new is None:
        yield f"only in the image of {pair[0] if new is None else pair[1]}", ""
        return
    if old.kind != new.kind:
        yield "different kind", _both(str(old), str(new), pair)
        return
    for field in fields(Entry):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            yield (
                f"different {field.name.replace('_', ' ')}",
                "" if field.name == "content" else _both(_shown(before), _shown(after), pair),
            )


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return " ".join(sorted(value)) or "none"
    if isinstance(value, tuple):
        return " ".join(f"{name}={text!r}" for name, text in value) or "none"
    return str(value) or "none"


def _names(old: Built, new: Built) -> Iterator[str]:
    before, after = Counter(_timeless(old.names)), Counter(_timeless(new.names))
    for built, only in (old, before - after), (new, after - before):
        yield from (f"only {built.backend}: {name}" for name in sorted(only))


def _timeless(names: Iterable[str]) -> Iterator[str]:
    return (TIME.sub("<time>", name) for name in names)


def _both(old: str, new: str, pair: tuple[str, str]) -> str:
    return f"{old} ({pair[0]}), {new} ({pair[1]})"
