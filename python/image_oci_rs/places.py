"""Where a build reads and where it writes: what is written must not lose what else is written, or what is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import basename, dirname, join, realpath

from .errors import SpecError


@dataclass(frozen=True)
class Place:
    """A path, and the field of the description that names it.

    Attributes:
        field: The field as JSON calls it.
        path: The absolute path as it was given.
    """

    field: str
    path: str

    def lies_in(self, other: Place) -> bool:
        """Whether it is the other or something below it; links on the way are followed.

        A link at the end counts for itself and for what it leads to: it can be read through, and it
        can be replaced.
        """
        return any(inner == outer or inner.startswith(outer + "/") for inner in self._names for outer in other._names)

    def is_same(self, other: Place) -> bool:
        """Whether both are one file or directory."""
        return self.lies_in(other) and other.lies_in(self)

    @cached_property
    def _names(self) -> frozenset[str]:
        path = self.path.rstrip("/")
        name = basename(path)
        entry = path if name in ("", ".", "..") else join(realpath(dirname(path)), name)
        # Without the slash at the end, the root holds everything like any other directory.
        return frozenset(found.rstrip("/") for found in (entry, realpath(self.path)))


def check_apart(written: Sequence[Place], read: Sequence[Place]) -> None:
    """Checks that nothing is written twice, into what else is written, or over a directory that is read from.

    Args:
        written: What gets its name when it is complete, in place of what had it.
        read: What the build reads; one of these may itself be written anew.

    Raises:
        SpecError: One is; it names the field.
    """
    for index, place in enumerate(written):
        for other in written[:index]:
            if place.is_same(other):
                raise SpecError("must not be written twice", place.field, place.path)
    for place in written:
        for other in written:
            if other is not place and place.lies_in(other):
                raise SpecError(f"must not lie inside {other.path!r}, which is written too", place.field, place.path)
        for other in read:
            if other.lies_in(place) and not other.is_same(place):
                raise SpecError(f"must not hold {other.path!r}, which is read", place.field, place.path)
