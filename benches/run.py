"""Measures image-oci-rs beside its peers, and writes docs/performance.md. Needs root."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import debian
import machine
import report
from jobs import all_jobs
from measure import CommandFailed, Measured, in_turns
from reference import Reference
from workspace import Workspace

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / ".cache/bench"
COMMAND = "make bench"


def main() -> int:
    """Exits with 0 if everything was measured, whatever the figures say."""
    options = _options()
    if os.getuid() != 0:
        sys.exit("error: owners and devices can only be unpacked by root")
    started = time.monotonic()
    # As much as the programs that are measured have, and seen by them before they start.
    machine.use_two_processors()
    try:
        with ExitStack() as stack:
            _measure(options, stack)
    except CommandFailed as error:
        sys.exit(f"error: {error}")
    print(f"==> {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


def _measure(options: argparse.Namespace, stack: ExitStack) -> None:
    archive = debian.archive(CACHE)
    directory = options.directory
    if directory is None:
        # Not in the checkout, where the build user may not be able to look.
        place = os.environ.get("TMPDIR", "/var/tmp")
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="image-oci-rs-bench-", dir=place)))
    workspace = stack.enter_context(Workspace.at(directory.resolve(), options.quick))
    reference = Reference(options.reference.resolve())
    jobs = [job for job in all_jobs(workspace, reference) if re.search(options.only, job.key)]
    workspace.fill(archive, options.quick)
    # Now, for what can't be told is better known before everything is measured.
    facts = _facts(options, workspace)
    workspace.warm_up()
    results = in_turns(jobs, options.rounds)
    points = reference.curve(2, workspace.tar)
    is_full = not options.quick and not options.only
    target = REPOSITORY / "docs" if is_full else CACHE / "trial"
    report.write(target, results, points, reference.defaults(), facts)
    _print(results, target)


def _facts(options: argparse.Namespace, workspace: Workspace) -> dict[str, str]:
    rounds = "one round" if options.rounds == 1 else f"{options.rounds} rounds"
    return {
        "command": COMMAND,
        "date": machine.date(REPOSITORY),
        "packages": debian.PACKAGES.replace(",", ", "),
        "plain": f"{workspace.tar.stat().st_size / 1e6:.0f} MB",
        "rounds": rounds,
        "updated": debian.UPDATED,
        "prefix": "performance",
    }


def _print(results: list[Measured], target: Path) -> None:
    for result in results:
        print(f"{result.job.key:16} {result.seconds:8.2f} s  {result.size / 1e6:8.1f} MB")
    print(f"{target}/performance.md")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, required=True, metavar="FILE", help="the program of in_memory.rs")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: 3)")
    parser.add_argument("--only", default="", metavar="REGEX", help="only jobs whose key has this")
    parser.add_argument("--quick", action="store_true", help="a small part of everything; for trying out")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="unpack here, and leave it for another run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
