"""The program benches/in_memory.rs: the compressors and the digest alone, and the curve of size and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from measure import run


@dataclass(frozen=True)
class Point:
    """One level with one size of a member."""

    algorithm: str
    level: int
    member: int
    seconds: float
    size: int
    plain: int

    @property
    def share(self) -> float:
        """Compressed bytes for a plain byte."""
        return self.size / self.plain

    @property
    def speed(self) -> float:
        """Plain megabytes in a second."""
        return self.plain / self.seconds / 1e6


@dataclass(frozen=True)
class Default:
    """What a build has which asks for no level: that, and the size of its members."""

    level: int
    member: int


@dataclass(frozen=True)
class Reference:
    """The program."""

    program: Path

    def defaults(self) -> dict[str, Default]:
        """The defaults of each algorithm."""
        lines = [line.split("\t") for line in run([str(self.program), "defaults"]).splitlines()]
        return {algorithm: Default(int(level), int(member)) for algorithm, level, member in lines}

    def once(self, algorithm: str, level: int, threads: int, file: Path) -> list[str]:
        """The command that prints seconds and bytes."""
        return [str(self.program), "once", algorithm, str(level), str(threads), str(file)]

    def digest(self, file: Path) -> list[str]:
        """The command that prints seconds and bytes of SHA-256."""
        return [str(self.program), "digest", str(file)]

    def curve(self, threads: int, file: Path) -> list[Point]:
        """All levels with all sizes of members."""
        lines = run([str(self.program), "curve", str(threads), str(file)]).splitlines()
        return list(_points(lines))


def _points(lines: Iterable[str]) -> Iterable[Point]:
    for line in lines:
        algorithm, level, member, seconds, size, plain = line.split("\t")
        yield Point(algorithm, int(level), int(member), float(seconds), int(size), int(plain))
