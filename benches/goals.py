"""What the measurements should show, and whether they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from measure import MIB, Measured


@dataclass(frozen=True)
class Verdict:
    """A goal with what was measured.

    Attributes:
        ours: The job that is judged, if it is about its time.
        needed: The seconds that it may take.
    """

    goal: str
    bound: str
    measured: str
    met: bool
    ours: str = ""
    needed: float = 0


@dataclass(frozen=True)
class Faster:
    """Ours should be so many times as fast as a peer, with a result that is no larger."""

    goal: str
    peer: str
    ours: str
    times: float
    no_larger: bool = True

    def judge(self, results: Mapping[str, Measured]) -> Verdict:
        """What the results say of this goal."""
        peer, ours = results[self.peer], results[self.ours]
        times = peer.seconds / ours.seconds
        met = times >= self.times
        text = f"{times:.2f}x"
        if self.no_larger:
            met = met and ours.size <= peer.size
            text += f"; {ours.size / 1e6:.1f} MB against {peer.size / 1e6:.1f} MB"
        return Verdict(self.goal, f"≥ {self.times:g}x", text, met, self.ours, peer.seconds / self.times)

    @property
    def keys(self) -> tuple[str, ...]:
        """The jobs whose results `judge` takes."""
        return self.peer, self.ours


@dataclass(frozen=True)
class Within:
    """Ours should take at most so many times as long as something else."""

    goal: str
    other: str
    ours: str
    times: float

    def judge(self, results: Mapping[str, Measured]) -> Verdict:
        """What the results say of this goal."""
        other = results[self.other].seconds
        times = results[self.ours].seconds / other
        met = times <= self.times
        return Verdict(self.goal, f"≤ {self.times:g}x", f"{times:.2f}x", met, self.ours, other * self.times)

    @property
    def keys(self) -> tuple[str, ...]:
        """The jobs whose results `judge` takes."""
        return self.other, self.ours


@dataclass(frozen=True)
class Resident:
    """No build of ours should have more memory than this."""

    goal: str
    most: int
    ours: tuple[str, ...]

    def judge(self, results: Mapping[str, Measured]) -> Verdict:
        """What the results say of this goal."""
        most = max((results[key] for key in self.ours), key=lambda result: result.resident)
        text = f"{most.resident / MIB:.0f} MiB ({most.job.key})"
        return Verdict(self.goal, f"≤ {self.most / MIB:.0f} MiB", text, most.resident <= self.most)

    @property
    def keys(self) -> tuple[str, ...]:
        """The jobs whose results `judge` takes."""
        return self.ours


_BUILDS = ("gzip-2", "zstd-2", "none-2", "pseudo-gzip-2", "pseudo-zstd-2", "cache-first", "cache-again", "small-many")


# Our jobs with two threads, and the compressor that does the same alone in one; a warm cache leaves it nearly nothing.
_COMPRESSORS = {
    "gzip-2": "alone-gzip-1",
    "gzip6-2": "alone-gzip6-1",
    "zstd-2": "alone-zstd-1",
    "cache-again": None,
}


@dataclass(frozen=True)
class Missed:
    """A goal that is about time and not met, in seconds.

    Attributes:
        needed: What it asks for.
        least: What compressing and digests take, shared by two processors without a gap.
        measured: What the build takes.
    """

    goal: str
    needed: float
    least: float
    measured: float


def missed(results: Iterable[Measured], gzip_level: int) -> list[Missed]:
    """How near the missed goals could be come to, for those where that was measured."""
    results = list(results)
    by_key = {result.job.key: result for result in results}
    found = []
    for verdict in verdicts(results, gzip_level):
        if verdict.met or verdict.ours not in _COMPRESSORS or "alone-sha256" not in by_key:
            continue
        ours, digest = by_key[verdict.ours], by_key["alone-sha256"]
        compressor = _COMPRESSORS[verdict.ours]
        # The plain layer has its digest, the diff_id, and what it becomes has one too.
        processor_time = digest.seconds * (1 + ours.size / digest.size)
        if compressor in by_key:
            processor_time += by_key[compressor].seconds
        found.append(Missed(verdict.goal, verdict.needed, processor_time / 2, ours.seconds))
    return found


def verdicts(results: Iterable[Measured], gzip_level: int) -> list[Verdict]:
    """The goals for which everything was measured."""
    by_key = {result.job.key: result for result in results}
    level_6 = "gzip-2" if gzip_level == 6 else "gzip6-2"
    goals: list[Faster | Within | Resident] = [
        Faster("gzip, against umoci as in image-oci.bbclass; no larger", "umoci", "gzip-2", 5),
        Faster("gzip, against umoci insert; no larger", "umoci-insert", "gzip-2", 2.2),
        Faster("gzip at level 6, against tar | pigz -6; no larger", "tar-pigz", level_6, 3.5),
        Faster("zstd, against tar | zstd -3 -T2; no larger", "tar-zstd", "zstd-2", 1.8),
    ]
    for algorithm in ("gzip", "zstd"):
        for threads in (2, 1):
            text = f"{algorithm}, {threads} thread{'s' if threads > 1 else ''}, against the compressor alone in memory"
            goals.append(Within(text, f"alone-{algorithm}-{threads}", f"{algorithm}-{threads}", 1.15))
    goals += [
        Resident("peak resident memory, 2 threads", 64 * MIB, _BUILDS),
        Faster("under pseudo, gzip, against umoci", "pseudo-umoci", "pseudo-gzip-2", 6, no_larger=False),
        Within("under pseudo, zstd, against tar | zstd -3 -T2", "pseudo-tar-zstd", "pseudo-zstd-2", 0.7),
        Within("one package updated, warm cache, against a first build without cache", "gzip-2", "cache-again", 0.25),
        Within("ten times as many files of the same mean size", "small-few", "small-many", 11),
    ]
    return [goal.judge(by_key) for goal in goals if set(goal.keys) <= by_key.keys()]
