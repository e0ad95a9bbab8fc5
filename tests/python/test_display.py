"""What an image says of itself, shown to people: text, and never orders to their terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_core import RESULT, FakeCore

from image_oci_rs import ImageSpec, LayoutError, Output, Platform, Source, build, cli
from image_oci_rs.api import BuildResult, Inspection, Report
from image_oci_rs.compare import Difference, Explanation
from image_oci_rs.display import (
    build_text,
    difference_text,
    explanation_text,
    findings_text,
    index_text,
    inspection_text,
    printable,
    report_text,
)
from image_oci_rs.multiplatform import IndexResult

FOREIGN = "a\x1b[31mb\n  added    /fake\r\x7f\x9b\u202eü"
SHOWN = r"a\x1b[31mb\n  added    /fake\r\x7f\x9b\u202eü"
BLOB = {"media_type": FOREIGN, "digest": FOREIGN, "size": 1}
IMAGE: dict[str, Any] = {
    "name": FOREIGN,
    "tag": FOREIGN,
    "manifest": BLOB,
    "config_descriptor": BLOB,
    "layers": [{**BLOB, "diff_id": FOREIGN}],
    "platform": {"os": FOREIGN, "architecture": FOREIGN, "variant": FOREIGN},
    "created": FOREIGN,
    "author": FOREIGN,
    "config": {FOREIGN: FOREIGN, "Cmd": ["sh", "a\x9bb"]},
    "annotations": {FOREIGN: FOREIGN},
    "history": [{"created_by": FOREIGN}],
}
LAYER = {"digest": FOREIGN, "size": 1, "name": FOREIGN, "stays": True}
PACKAGE = {"name": FOREIGN, "old": FOREIGN, "new": FOREIGN, "files": 1, "bytes": 1}
FILE = {"path": FOREIGN, "change": "added", "attributes": [FOREIGN]}
DIFFERENCE = {
    "old": "sha256:aa",
    "new": "sha256:bb",
    "layers": [LAYER],
    "pulled": 1,
    "total": 1,
    "packages": [PACKAGE],
    "files": [FILE],
}
EXPLANATION = {
    "path": FOREIGN,
    "layer": 1,
    "layers": 1,
    "digest": FOREIGN,
    "size": 1,
    "name": FOREIGN,
    "why": FOREIGN,
    "contains": [FOREIGN],
    "owner": {"name": FOREIGN, "version": FOREIGN, "recipe": FOREIGN, "depends": []},
}
INDEX = {
    "name": FOREIGN,
    "index": BLOB,
    "images": [{"path": FOREIGN, "platform": FOREIGN, "digest": FOREIGN}],
    "layout": FOREIGN,
    "archives": [],
    "notes": [FOREIGN],
}
FINDINGS = [{"code": "stray-file", "subject": FOREIGN, "message": FOREIGN}]
REPORT = {"path": FOREIGN, "images": 1, "blobs": 1, "bytes": 1, "findings": FINDINGS}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            build_text(BuildResult.from_json({**RESULT, "notes": [FOREIGN], "warnings": [FOREIGN], "layout": FOREIGN})),
            11,
        ),
        (index_text(IndexResult.from_json(INDEX)), 5),
        (difference_text(Difference.from_json(DIFFERENCE)), 4),
        (explanation_text(Explanation.from_json(EXPLANATION)), 5),
        (inspection_text(Inspection.from_json({"path": "/x", "images": [IMAGE]})), 13),
        (inspection_text(Inspection.from_json({"path": FOREIGN, "images": []})), 1),
        (findings_text(Report.from_json(REPORT)), 1),
        (report_text(Report.from_json(REPORT)), 1),
        (report_text(Report.from_json({**REPORT, "findings": []})), 1),
    ],
    ids=["build", "index", "diff", "explain", "inspect", "no image", "findings", "not valid", "valid"],
)
def test_control_characters_are_escapes(text: str, lines: int) -> None:
    assert SHOWN in text
    assert [line for line in text.split("\n") if not line.isprintable()] == []
    assert len(text.split("\n")) == lines


def test_every_control_character_is_an_escape() -> None:
    everything = "".join(map(chr, range(0x100)))
    shown = printable(everything)
    assert [character for character in shown if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0] == []
    assert shown.startswith(r"\x00\x01") and r"\t\n\x0b\x0c\r" in shown and r"~\x7f\x80" in shown
    # Nor do blanks and hyphens hide that are others than they seem.
    assert shown.endswith(r"\xa0" + everything[0xA1:0xAD] + r"\xad" + everything[0xAE:])


def test_an_error_quotes_an_image_in_one_line(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.failure = LayoutError(f"it has 2: {FOREIGN}", "/x")
    assert cli.run(["inspect", "x"]) == 1
    assert capsys.readouterr().err == f"image-oci-rs: error: it has 2: {SHOWN}\n"


def test_json_says_it_all(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.answer = {"path": "/x", "images": [IMAGE]}
    assert cli.run(["inspect", "x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == [IMAGE]


def test_names_of_real_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rootfs").mkdir()
    for name in ("old", "new"):
        output = Output(str(tmp_path / name))
        build(
            ImageSpec((Source(str(tmp_path / "rootfs")),), "app", Platform("amd64"), output, author=FOREIGN, created=1)
        )
        (tmp_path / "rootfs" / "a\x1b[31mb\n  added    fake").write_text("")
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    assert cli.run(["diff", old, new, "--packages", "none"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == r"  added    /a\x1b[31mb\n  added    fake"
    assert cli.run(["inspect", new]) == 0
    assert f"  author       {SHOWN}\n" in capsys.readouterr().out
