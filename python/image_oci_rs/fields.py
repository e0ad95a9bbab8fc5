"""The stored form of the values of a record's fields, checked; a wrong one is a `SpecError` that names the field."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from .errors import SpecError
from .parsing import check_text
from .records import FrozenMap, Record


def set_fields(record: Record, **values: object) -> None:
    """Gives a frozen record the stored form of its values, before anybody has seen it."""
    for name, value in values.items():
        object.__setattr__(record, name, value)


def file_path(path: object, field: str) -> str:
    """A path of this machine, made absolute."""
    text = check_text(os.fspath(path) if isinstance(path, os.PathLike) else path, field)
    if not text:
        raise SpecError("must be a path", field, text)
    return text if text.startswith("/") else check_text(os.path.join(os.getcwd(), text), field)


def sequence(values: object, field: str) -> Sequence[object]:
    """A list as a tuple."""
    # A text is a sequence of letters, which nobody means.
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise SpecError("must be a list", field, values)
    return tuple(values)


def texts(values: object, field: str) -> tuple[str, ...]:
    """A list of text as a tuple."""
    return tuple(check_text(value, field) for value in sequence(values, field))


def records(values: object, kind: type[Record]) -> tuple[Record, ...]:
    """A list of records of one class as a tuple."""
    found = []
    for value in sequence(values, kind.json_path):
        if not isinstance(value, kind):
            raise SpecError(f"must hold only the class {kind.__name__}", kind.json_path, value)
        found.append(value)
    return tuple(found)


def text_map(values: object, field: str) -> FrozenMap:
    """A map from text to text, which no longer changes."""
    if not isinstance(values, Mapping):
        raise SpecError("must be a map from text to text", field, values)
    for key, value in values.items():
        if not check_text(key, field):
            raise SpecError("must not hold an empty key", field, f"={value}")
        check_text(value, field)
    return FrozenMap(values)
