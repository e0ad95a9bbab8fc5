"""Writes performance.md and its charts out of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from string import Template

import chart
import goals
import machine
from jobs import AGAIN, ALONE, AS_ROOT, SMALL, UNDER_PSEUDO
from measure import MIB, Measured, least_resident
from reference import Default, Point

TEMPLATE = Path(__file__).with_name("performance.md.in")
# The row to which the others of a section are compared.
YARDSTICKS = {
    AS_ROOT: "gzip-2",
    UNDER_PSEUDO: "pseudo-gzip-2",
    AGAIN: "cache-first",
    SMALL: "small-few",
    ALONE: "alone-gzip-2",
}
CHARTED = (AS_ROOT, UNDER_PSEUDO)


def write(
    directory: Path,
    results: Sequence[Measured],
    points: Sequence[Point],
    defaults: Mapping[str, Default],
    facts: Mapping[str, str],
) -> None:
    """Writes the page with its two charts into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    charted = [result for result in results if result.job.section in CHARTED]
    drawn = [point for point in points if point.member == defaults[point.algorithm].member]
    (directory / "performance.svg").write_text(chart.bars(charted))
    (directory / "performance-levels.svg").write_text(chart.curve(drawn))
    page = Template(TEMPLATE.read_text()).substitute(
        facts,
        machine=machine.describe(),
        versions=machine.versions(),
        floor=f"{least_resident() / MIB:.0f}",
        gzip_level=str(defaults["gzip"].level),
        zstd_level=str(defaults["zstd"].level),
        gzip_member=_member(defaults["gzip"].member),
        zstd_member=_member(defaults["zstd"].member),
        goals=_goals(results, defaults["gzip"].level),
        missed=_missed(results, defaults["gzip"].level),
        results=_results(results),
        gzip_curve=_curve([point for point in points if point.algorithm == "gzip"], defaults["gzip"]),
        zstd_curve=_curve([point for point in points if point.algorithm == "zstd"], defaults["zstd"]),
        sample=f"{points[0].plain / 1e6:.0f} MB",
    )
    (directory / "performance.md").write_text(page)


def _goals(results: Sequence[Measured], gzip_level: int) -> str:
    rows = [
        (verdict.goal, verdict.bound, verdict.measured, "yes" if verdict.met else "**no**")
        for verdict in goals.verdicts(results, gzip_level)
    ]
    return _table(("goal", "bound", "measured", "met"), rows)


def _missed(results: Sequence[Measured], gzip_level: int) -> str:
    rows = [
        (missed.goal, *(f"{seconds:.2f}" for seconds in (missed.needed, missed.least, missed.measured)))
        for missed in goals.missed(results, gzip_level)
    ]
    return _table(("goal", "asked for", "least", "measured"), rows, right=range(1, 4))


def _results(results: Sequence[Measured]) -> str:
    by_key = {result.job.key: result for result in results}
    titles = ("", "seconds", "fastest to slowest", "ratio", "memory", "result")
    parts = []
    for section, group in groupby(results, lambda result: result.job.section):
        yardstick = by_key.get(YARDSTICKS[section])
        rows = [_result(result, yardstick) for result in group]
        parts.append(f"### {section}\n\n{_table(titles, rows, right=range(1, 6))}")
    return "\n\n".join(parts)


def _result(result: Measured, yardstick: Measured | None) -> tuple[str, ...]:
    name = result.job.label.replace("image-oci-rs", "**image-oci-rs**")
    fastest, slowest = result.range
    ratio = f"{result.seconds / yardstick.seconds:.2f}" if yardstick else ""
    if result.job.clock:
        memory = ""
    elif result.resident <= least_resident():
        memory = f"≤ {least_resident() / MIB:.0f} MiB"
    else:
        memory = f"{result.resident / MIB:.0f} MiB"
    size = f"{result.size / 1e6:.1f} MB"
    return name, f"{result.seconds:.2f}", f"{fastest:.2f} to {slowest:.2f}", ratio, memory, size


def _curve(points: Sequence[Point], default: Default) -> str:
    members = sorted({point.member for point in points})
    titles = ("level", *map(_member, members))
    rows = []
    for level, group in groupby(points, lambda point: point.level):
        cells = [str(level)]
        for point in sorted(group, key=lambda one: one.member):
            figures = f"{point.share:.2%} at {point.speed:.0f}"
            cells.append(f"**{figures}**" if Default(level, point.member) == default else figures)
        rows.append(cells)
    return _table(titles, rows, right=range(1, len(titles)))


def _member(size: int) -> str:
    return f"{size >> 10} KiB" if size < MIB else f"{size // MIB} MiB"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    numbers = set(right)
    lines = [titles, ["--:" if column in numbers else "---" for column in range(len(titles))]]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
