"""Runs meta-virtualization's own tests, and knows which of them fail and why: see ../upstream-tests.py."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from oe.host import become
from oe.release import Release, fail

SCRIPTS = Path(__file__).resolve().parents[1]
FLAT = "looks for platforms in index.json itself; oci-multiarch.bbclass and this engine put the index into a blob"
REST = "expects the three layers of OCI_LAYERS; files that no layer names make one more here, and are lost there"
CACHE = "looks for the directory of OCI_LAYER_CACHE; OCI_CACHE_DIR keeps compressed chunks instead"
# The tests that fail, by file, and why.
REMAINDER: Mapping[str, Mapping[str, str]] = {
    "test_multiarch_oci.py": {"test_mock_deploy_structure": FLAT, "test_discover_oci_in_multiple_machines": FLAT},
    "test_multilayer_oci.py": {
        "test_multilayer_produces_correct_layers": REST,
        "test_cache_directory_created": CACHE,
    },
}
# The result and the reason of each test, by its name.
Results = Mapping[str, tuple[str, str]]


def run(file: str, layer: Path, work: Path, release: Release | None, verbose: bool) -> int:
    """Runs one file of tests and prints its table; returns the number of unexpected results."""
    lay_out(work, layer, release)
    report = work / f"{file}.xml"
    report.unlink(missing_ok=True)
    command: list[str | Path] = [
        sys.executable, "-m", "pytest", layer / "tests" / file,
        "-p", "oe.swapped_outputs", "-p", "no:cacheprovider", "--noconftest", "-o", "addopts=", "-o", "log_file=",
        "-q", f"--junitxml={report}", f"--poky-dir={work}",
    ]  # fmt: skip
    command += [f"--build-dir={release.build}"] if release else []
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=not verbose, text=True, check=False)
    if not report.exists():
        fail(f"pytest failed:\n{done.stdout}{done.stderr}")
    found = results(report)
    print(table(found, REMAINDER[file]), flush=True)
    return len(list(unexpected(found, REMAINDER[file])))


def lay_out(work: Path, layer: Path, release: Release | None) -> None:
    """Makes what the tests take for a directory of poky: the layer, and oe-init-build-env."""
    link = work / "meta-virtualization"
    link.unlink(missing_ok=True)
    link.symlink_to(layer)
    if release is None:
        return
    program = work / "bin/bitbake"
    program.parent.mkdir(exist_ok=True)
    words = [*become(), "env", "-i", *(f"{name}={value}" for name, value in release.environment.items())]
    program.write_text(f'#!/bin/sh\nexec {" ".join(words)} {release.checkout}/bitbake/bin/bitbake "$@"\n')
    program.chmod(0o755)
    (work / "oe-init-build-env").write_text(f'cd "$1" && PATH={program.parent}:$PATH\n')


def results(report: Path) -> Results:
    """Reads the report that pytest writes for other programs."""
    found = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        result, reason = "passed", ""
        for part in case:
            if part.tag in ("failure", "error"):
                result, reason = "failed", str(part.get("message")).partition("\n")[0]
            elif part.tag == "skipped":
                result, reason = "skipped", str(part.get("message"))
        found[str(case.get("name"))] = (result, reason)
    return found


def unexpected(found: Results, known: Mapping[str, str]) -> Iterator[str]:
    """Names the tests that fail and are not known to, and those that pass although they are known to fail."""
    for name, (result, _) in found.items():
        if (result == "failed" and name not in known) or (result == "passed" and name in known):
            yield name


def table(found: Results, known: Mapping[str, str]) -> str:
    """The numbers of results, and a line for each test that failed and for each reason to skip tests."""
    named = {wanted: [name for name in found if found[name][0] == wanted] for wanted in ("passed", "failed", "skipped")}
    lines = [", ".join(f"{len(names)} {result}" for result, names in named.items())]
    surprises = set(unexpected(found, known))
    for name in named["failed"]:
        lines.append(f"  failed {name}: {'NOT EXPECTED: ' + found[name][1] if name in surprises else known[name]}")
    for name in named["passed"]:
        if name in surprises:
            lines.append(f"  passed {name}: NOT EXPECTED: it {known[name]}")
    reasons = [found[name][1] for name in named["skipped"]]
    lines += [f"  skipped {reasons.count(reason)}: {reason}" for reason in sorted(set(reasons))]
    return "\n".join(lines)
