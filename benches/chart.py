"""Charts as SVG, drawn by hand: bars of seconds, and the curve of size and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby

from measure import Measured
from reference import Point

WIDTH = 860
OURS, PEERS, WORDS, LINES = "#c2410c", "#94a3b8", "#1e293b", "#e2e8f0"
ALGORITHMS = {"gzip": "#c2410c", "zstd": "#0369a1"}


def bars(results: Sequence[Measured]) -> str:
    """A bar for each job, as long as its median, in groups."""
    left, right, row = 300, 150, 24
    longest = max((result.seconds for result in results), default=1.0)
    parts: list[str] = []
    y = 20
    for section, group in groupby(results, lambda result: result.job.section):
        parts.append(_text(20, y + 16, section, weight="bold", size=14))
        y += 30
        for result in group:
            length = max(result.seconds / longest * (WIDTH - left - right), 1)
            colour = OURS if result.job.label.startswith("image-oci-rs") else PEERS
            parts.append(_text(left - 8, y + 15, result.job.label, anchor="end"))
            place = f'x="{left}" y="{y + 3}" width="{length:.1f}" height="{row - 7}"'
            parts.append(f'<rect {place} rx="2" fill="{colour}"/>')
            figures = f"{result.seconds:.2f} s, {result.size / 1e6:.0f} MB"
            parts.append(_text(left + length + 6, y + 15, figures))
            y += row
        y += 14
    return _document("Seconds, shorter is better", y, parts)


def curve(points: Sequence[Point]) -> str:
    """Size against speed for every level."""
    left, top, width, height = 70, 50, WIDTH - 110, 360
    speeds = [math.log10(point.speed) for point in points]
    shares = [point.share * 100 for point in points]
    least_speed, most_speed = min(speeds), max(speeds)
    least_share, most_share = math.floor(min(shares)), math.ceil(max(shares))

    def x(speed: float) -> float:
        return left + 20 + (math.log10(speed) - least_speed) / max(most_speed - least_speed, 0.01) * (width - 40)

    def y(share: float) -> float:
        return top + (most_share - share) / max(most_share - least_share, 1) * height

    parts = [_text(20, 30, "Compressed size in % of the tar, against speed", weight="bold", size=14)]
    for share in range(least_share, most_share + 1):
        parts.append(_line(left, y(share), left + width, y(share)))
        parts.append(_text(left - 8, y(share) + 4, f"{share} %", anchor="end"))
    for speed in (20, 50, 100, 200, 500, 1000, 2000):
        if least_speed <= math.log10(speed) <= most_speed:
            parts.append(_line(x(speed), top, x(speed), top + height))
            parts.append(_text(x(speed), top + height + 18, f"{speed} MB/s", anchor="middle"))
    for algorithm, group in groupby(points, lambda point: point.algorithm):
        line = list(group)
        colour = ALGORITHMS[algorithm]
        path = " ".join(f"{x(point.speed):.1f},{y(point.share * 100):.1f}" for point in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for number, point in enumerate(line):
            at_x, at_y = x(point.speed), y(point.share * 100)
            parts.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4" fill="{colour}"/>')
            parts.append(
                _text(at_x + 6, at_y - 6, str(point.level) if number else f"{algorithm} {point.level}", colour=colour)
            )
    return _document("Levels", top + height + 36, parts)


def _document(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="12" role="img">'
    )
    # A ground of its own: the page around it may be dark.
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>", ""])


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 12, colour: str = WORDS
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-weight="{weight}" font-size="{size}" fill="{colour}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{LINES}"/>'
