"""Frozen dataclasses that are JSON objects too."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, ClassVar, TypeVar

from .errors import SpecError

_R = TypeVar("_R", bound="Record")
_CONTEXT = 30  # How many characters an error shows on each side of broken JSON.


class FrozenMap(Mapping[str, str]):
    """A map that can't be changed, and so can be hashed; its order is that in which it was made."""

    def __init__(self, items: Mapping[str, str]) -> None:
        """Copies `items`."""
        self._items = dict(items)

    def __getitem__(self, key: str) -> str:
        """The value of `key`."""
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._items)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._items)

    def __hash__(self) -> int:
        """The same for equal maps, whatever their order."""
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        """The map as Python writes it."""
        return f"FrozenMap({self._items!r})"


@dataclass(frozen=True)
class Record:
    """A frozen dataclass whose fields are the keys of a JSON object.

    `json_path` is where the object stands in its document, for errors; `json_parts` names the
    fields that hold other records, one or a list of them.
    """

    json_path: ClassVar[str] = ""
    json_parts: ClassVar[Mapping[str, type[Record]]] = {}

    def to_json(self) -> dict[str, Any]:
        """This as a JSON object: dictionaries, lists, text, numbers and None."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls: type[_R], document: object) -> _R:
        """The opposite of `to_json`.

        Args:
            document: A JSON object; keys that have a default may be missing.

        Returns:
            The record.

        Raises:
            SpecError: It is no object, a key is unknown or missing, or a value is wrong.
        """
        if not isinstance(document, dict):
            raise SpecError("must be a JSON object", cls.json_path, document)
        known = {field.name: field for field in fields(cls)}
        for key in document:
            if key not in known:
                raise SpecError(_unknown_key(key, known), cls.json_path, key)
        for name, field in known.items():
            if name not in document and field.default is MISSING and field.default_factory is MISSING:
                at = f"{cls.json_path}.{name}" if cls.json_path else name
                raise SpecError("must be given", at)
        return cls(**{key: cls._value(known[key], value) for key, value in document.items()})

    @classmethod
    def _value(cls, field: Field[Any], value: object) -> object:
        part = cls.json_parts.get(field.name)
        if part is None or (value is None and field.default is None):
            return tuple(value) if isinstance(value, list) else value
        return tuple(map(part.from_json, value)) if isinstance(value, list) else part.from_json(value)

    def dumps(self) -> str:
        """`to_json` as one line of ASCII, which passes through any locale's streams."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    @classmethod
    def loads(cls: type[_R], text: str) -> _R:
        """The opposite of `dumps`.

        Raises:
            SpecError: The text is no JSON, or not that of such a record.
        """
        try:
            document = json.loads(text, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            near = text[max(0, error.pos - _CONTEXT) : error.pos + _CONTEXT]
            raise SpecError(f"must be JSON, but line {error.lineno}: {error.msg}", cls.json_path, near) from None
        except (ValueError, RecursionError) as error:
            # Thousands of digits or of brackets, for which Python has limits.
            raise SpecError(f"must be JSON that can be read: {error}", cls.json_path, text[: 2 * _CONTEXT]) from None
        return cls.from_json(document)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that is there twice would otherwise silently lose its first value."""
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SpecError("must not be there twice in one object", "", twice)
    return document


def _unknown_key(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"there is no such key; did you mean {near[0]!r}?" if near else f"must have no key but {', '.join(known)}"
