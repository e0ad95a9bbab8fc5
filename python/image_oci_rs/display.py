"""What people read: progress on a terminal, and results in words."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from .api import BuildResult, CacheCounts, ImageSummary, Inspection, PackageCounts, Progress, Report
from .compare import Difference, Explanation
from .errors import ImageError
from .multiplatform import IndexResult

_UNITS = ("KiB", "MiB", "GiB", "TiB")
_COMPRESSIONS = {"tar": "not compressed", "tar+gzip": "gzip", "tar+zstd": "zstd"}


@contextmanager
def progress_on(stream: TextIO) -> Iterator[Callable[[Progress], None] | None]:
    """Shows progress on `stream` for as long as the context lasts, if it is a terminal.

    Yields:
        What to call with the progress; None where there is no terminal.
    """
    if not stream.isatty():
        yield None
        return
    try:
        display: _Bar | _Line = _Bar(importlib.import_module("tqdm").tqdm, stream)
    except ImportError:
        display = _Line(stream)
    try:
        yield display.update
    finally:
        display.close()


class _Bar:
    """A bar of the optional package tqdm."""

    def __init__(self, tqdm: Any, stream: TextIO) -> None:
        self._bar = tqdm(file=stream, unit="B", unit_scale=True, unit_divisor=1024, leave=False)

    def update(self, progress: Progress) -> None:
        self._bar.total = progress.total_bytes
        self._bar.set_postfix_str(f"{progress.entries} entries", refresh=False)
        self._bar.update(progress.bytes - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Line:
    """One line that is written over and over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._length = 0

    def update(self, progress: Progress) -> None:
        done = f"{progress.entries} entries, {size(progress.bytes)}"
        fraction = progress.fraction
        self._write(f"packing: {done}" if fraction is None else f"{fraction:4.0%}  {done}")

    def close(self) -> None:
        self._write("")
        self._stream.write("\r")
        self._stream.flush()

    def _write(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + text.ljust(self._length))
        self._stream.flush()
        self._length = len(text)


def printable(line: str) -> str:
    """A line in which what is no letter, sign or blank is written as an escape: controls, and turns of direction.

    Names and texts of an image are those of whoever made it: they could begin lines that look like
    ours, tell a terminal what to do, and show a name backwards.
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


def error_text(error: Exception) -> str:
    """What an error says."""
    # What another Python has said may be several lines, printable ones. It comes as no class of its own.
    return str(error) if type(error) is ImageError else printable(str(error))


def _text(lines: Iterable[str]) -> str:
    return "\n".join(map(printable, lines))


def size(count: int) -> str:
    """A number of bytes, in the largest binary unit that leaves it above 1."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, len(_UNITS))
    return f"{count / 1024**power:.1f} {_UNITS[power - 1]}"


def build_text(result: BuildResult) -> str:
    """What a build has made."""
    lines = [
        result.name,
        f"  manifest  {result.manifest.digest}",
        f"  config    {result.config.digest}",
    ]
    for layer in result.layers:
        lines.append(
            f"  layer     {layer.digest}  {_compression(layer.media_type)}, {size(layer.size)} of "
            f"{size(layer.uncompressed_size)}, {layer.entries} entries" + (f", {layer.name}" if layer.name else "")
        )
    notes = list(result.notes)
    if result.cache is not None:
        lines.append(f"  cache     {cache_text(result.cache)}")
        notes += cache_notes(result.cache)
    if result.packages is not None:
        lines.append(f"  packages  {packages_text(result.packages)}")
    lines += [f"  wrote     {path}" for path in (result.layout, *result.archives, result.lock) if path]
    lines += [f"  warning   {warning}" for warning in result.warnings]
    lines += [f"  note      {note}" for note in notes]
    lines.append(f"  took      {result.seconds:.2f} s")
    return _text(lines)


def index_text(result: IndexResult) -> str:
    """What an index has been made of."""
    lines = [result.name, f"  index     {result.index.digest}"]
    lines += [f"  image     {image.digest}  {image.platform}, {image.path}" for image in result.images]
    lines += [f"  wrote     {path}" for path in (result.layout, *result.archives) if path]
    lines += [f"  note      {note}" for note in result.notes]
    return _text(lines)


def cache_text(cache: CacheCounts) -> str:
    """How much of the layers came out of the cache."""
    return f"{cache.hits} of {cache.hits + cache.misses} members"


def packages_text(packages: PackageCounts) -> str:
    """How packages and paths fit together, in one line."""
    return (
        f"{packages.packages} by {packages.source}, {packages.without_files} of them without files; "
        f"{packages.owned} files owned, {packages.unowned} not, {packages.claimed_twice} claimed twice, "
        f"{packages.missing} missing"
    )


def cache_notes(cache: CacheCounts) -> list[str]:
    """What a user should know of the cache, one sentence each."""
    if not cache.failures:
        return []
    return [f"failures of the cache: {cache.failures}; entries corrupt, not readable or not writable cost time only"]


def difference_text(difference: Difference) -> str:
    """What an update costs, and what it changes."""
    lines = [f"{size(difference.pulled)} of {size(difference.total)} are new for whoever has the old image"]
    for layer in difference.layers:
        state = "stays" if layer.stays else "new  "
        lines.append(f"  layer {state}  {layer.digest}  {size(layer.size)}" + (f"  {layer.name}" if layer.name else ""))
    for package in difference.packages:
        versions = " -> ".join(version or "-" for version in (package.old, package.new))
        name = package.name or "(no package)"
        lines.append(f"  package {name} {versions}: {package.files} files, {size(package.bytes)}")
    for file in difference.files:
        lines.append(f"  {file.change:<8} {file.path}" + (f"  {', '.join(file.attributes)}" if file.attributes else ""))
    return _text(lines)


def explanation_text(explanation: Explanation) -> str:
    """Where a file is."""
    name = f" {explanation.name}" if explanation.name else ""
    lines = [f"{explanation.path} is in layer {explanation.layer} of {explanation.layers}:{name}"]
    lines.append(f"  digest    {explanation.digest}, {size(explanation.size)}")
    if explanation.why:
        lines.append(f"  why       {explanation.why}")
    if explanation.owner:
        owner = explanation.owner
        lines.append(f"  owner     {owner.name} {owner.version} of recipe {owner.recipe}")
    lines += [f"  contains  {package}" for package in explanation.contains]
    return _text(lines)


def report_text(report: Report) -> str:
    """What checking an image has found, in one line."""
    if report.valid:
        return printable(f"{report.path}: valid; images: {report.images}, blobs: {report.blobs}, {size(report.bytes)}")
    return printable(f"{report.path}: not valid; findings: {len(report.findings)}")


def findings_text(report: Report) -> str:
    """What is wrong with an image, a line for each finding."""
    return _text(f"{finding.code}: {finding.subject}: {finding.message}" for finding in report.findings)


def inspection_text(inspection: Inspection) -> str:
    """What an image says about itself."""
    return "\n\n".join(map(_image_text, inspection.images)) or printable(f"{inspection.path}: no image")


def _image_text(image: ImageSummary) -> str:
    facts: list[tuple[str, object]] = [
        ("tag", image.tag),
        ("manifest", image.manifest.digest),
        ("config", image.config_descriptor.digest),
        ("platform", _platform(image.platform)),
        ("created", image.created),
        ("author", image.author),
    ]
    for layer in image.layers:
        about = f"{_compression(layer.media_type)}, {size(layer.size)}"
        facts += [("layer", f"{layer.digest}  {about}"), ("diff_id", layer.diff_id)]
    facts += [(key, _value(value)) for key, value in image.config.items()]
    facts += [("annotation", f"{key}={value}") for key, value in image.annotations.items()]
    facts += [("history", entry.get("created_by", "")) for entry in image.history]
    lines = [f"  {label:<12} {value}" for label, value in facts if value not in (None, "", [], {})]
    return _text([image.name or "(no name)", *lines])


def _platform(platform: Mapping[str, Any]) -> str:
    parts = (platform.get(key) for key in ("os", "architecture", "variant"))
    return "/".join(part for part in parts if part)


def _value(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _compression(media_type: str) -> str:
    return _COMPRESSIONS.get(media_type.rpartition(".")[2], media_type)
