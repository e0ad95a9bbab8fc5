"""scripts/oe/upstream: what is said of the results of another project's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from oe import upstream

REPORT = """<testsuites><testsuite>
<testcase name="test_good"/>
<testcase name="test_known"><failure message="AssertionError: 4 layers&#10;assert 4 == 3"/></testcase>
<testcase name="test_new"><error message="ValueError: no&#10;more"/></testcase>
<testcase name="test_mended"/>
<testcase name="test_left_out"><skipped message="no build directory"/></testcase>
<testcase name="test_left_out_too"><skipped message="no build directory"/></testcase>
</testsuite></testsuites>"""
KNOWN = {"test_known": "expects three layers", "test_mended": "expects the old name", "test_left_out": "is slow"}


@pytest.fixture
def found(tmp_path: Path) -> upstream.Results:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    return upstream.results(report)


def test_known_failures_are_told_from_new_ones(found: upstream.Results) -> None:
    assert list(upstream.unexpected(found, KNOWN)) == ["test_new", "test_mended"]


def test_table_gives_the_reason_of_each(found: upstream.Results) -> None:
    assert upstream.table(found, KNOWN) == (
        "2 passed, 2 failed, 2 skipped\n"
        "  failed test_known: expects three layers\n"
        "  failed test_new: NOT EXPECTED: ValueError: no\n"
        "  passed test_mended: NOT EXPECTED: it expects the old name\n"
        "  skipped 2: no build directory"
    )
