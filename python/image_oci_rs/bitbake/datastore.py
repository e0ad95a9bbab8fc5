"""BitBake's datastore, and the values of its variables in the forms in which people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..errors import SpecError
from ..spec import parse_key_value, split_words
from .separator import arguments_of, blanks_for_separators


class Datastore(Protocol):
    """What this module needs of BitBake's `d`."""

    def getVar(self, name: str, expand: bool = True) -> Any:
        """The value of a variable, expanded or as it was written, or None."""

    def getVarFlag(self, name: str, flag: str) -> Any:
        """The expanded value of a varflag, or None."""

    def getVarFlags(self, name: str) -> Any:
        """All varflags of a variable, or None."""


@dataclass(frozen=True)
class Answered:
    """A datastore in which some variables have other values.

    Attributes:
        d: What all else is asked of.
        answers: The values; None for a variable that is unset.
    """

    d: Datastore
    answers: Mapping[str, str | None]

    def getVar(self, name: str, expand: bool = True) -> Any:
        """The other value, or that of the datastore."""
        return self.answers[name] if name in self.answers else self.d.getVar(name, expand)

    def getVarFlag(self, name: str, flag: str) -> Any:
        """The datastore's."""
        return self.d.getVarFlag(name, flag)

    def getVarFlags(self, name: str) -> Any:
        """The datastore's."""
        return self.d.getVarFlags(name)


@dataclass(frozen=True)
class Reader:
    """Values of variables, in the forms in which people write them."""

    d: Datastore

    def text(self, variable: str) -> str:
        """The value without blanks around it; empty where nobody set it."""
        return (self.d.getVar(variable) or "").strip()

    def optional(self, variable: str) -> str | None:
        """The text of a variable that has no default: None where nobody set it."""
        return None if self.d.getVar(variable) is None else self.text(variable)

    def optional_words(self, variable: str) -> tuple[str, ...] | None:
        """The same as a list."""
        return None if self.d.getVar(variable) is None else self.words(variable)

    def words(self, variable: str) -> tuple[str, ...]:
        """The value as a list, split into words as a shell would, or at the separators of sloci-image."""
        text = self.text(variable)
        try:
            if variable == "OCI_IMAGE_ENTRYPOINT_ARGS":
                return arguments_of(text)
            return split_words(blanks_for_separators(text))
        except SpecError as error:
            raise SpecError(error.reason, variable, error.value) from None

    def entries(self, variable: str) -> Iterator[tuple[str, str]]:
        """KEY=VALUE words, then varflags in the order of their names, which hashes don't tell."""
        for word in self.words(variable):
            yield parse_key_value(word, variable)
        reserved = self.text("OCI_RESERVED_VARFLAGS").split()
        for flag in sorted(self.d.getVarFlags(variable) or ()):
            if flag not in reserved:
                yield flag, self.d.getVarFlag(variable, flag)

    def number(self, variable: str) -> int | None:
        """The value as a number; None where it is empty."""
        return number_in(self.text(variable), variable)

    def switch(self, variable: str) -> bool:
        """The value as yes or no."""
        try:
            return bool(bb.utils.to_boolean(self.text(variable), False))
        except ValueError:
            text = self.text(variable)
            raise SpecError("must be 1, yes or true, or 0, no or false", variable, text) from None


def number_in(text: str, variable: str) -> int | None:
    """The number that a text is; None for an empty one."""
    if text and re.fullmatch("[0-9]+", text) is None:
        raise SpecError("must be a whole number", variable, text)
    return int(text) if text else None
