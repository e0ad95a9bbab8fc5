#!/usr/bin/env python3
"""Runs meta-virtualization's own tests and demo recipes, unchanged, with images of this engine.

    .venv/bin/python scripts/upstream-tests.py META_VIRTUALIZATION [--oe CHECKOUT]

META_VIRTUALIZATION is a directory with that layer. Its test_multiarch_oci.py gets layouts and indexes that this engine
writes in place of those that it makes by hand.

With --oe, bitbake builds the demo recipes with upstream's class, OCI_IMAGE_BACKEND and prepared root filesystems, and
test_multilayer_oci.py runs in that build directory. CHECKOUT has BitBake and OE-core as oe-build.py takes them, of a
series that the layer supports. Without --oe, the tests that build are skipped.

The exit code is 0 if exactly those tests and recipes fail that are known to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from oe import upstream, virtualization  # noqa: E402
from oe.directory import work_directory  # noqa: E402
from oe.host import Host  # noqa: E402
from oe.release import Release, say  # noqa: E402
from oe.swapped_outputs import single_platform  # noqa: E402


def main() -> int:
    """Exits with 0 if nothing is new."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layer", type=Path, metavar="META_VIRTUALIZATION")
    parser.add_argument("--oe", type=Path, metavar="CHECKOUT", help="also build with this BitBake and OE-core")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="take the engine from this wheel, compile nothing")
    parser.add_argument("--backend", default=virtualization.BACKEND, help="value of OCI_IMAGE_BACKEND (%(default)s)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="build there, and leave it for inspection")
    parser.add_argument("--verbose", action="store_true", help="show what bitbake and pytest say")
    arguments = parser.parse_args()
    layer = arguments.layer.resolve()
    with work_directory(arguments.work) as work:
        surprises = 0
        build = None
        if arguments.oe:
            release = Release.lay_out(Host.prepare(work), arguments.oe.resolve(), arguments.verbose)
            build = release.with_wheel(arguments.wheel.resolve()) if arguments.wheel else release
            print(f"==> {release.title}", flush=True)
            surprises += build_demos(build, layer, arguments.backend)
        for file in upstream.REMAINDER:
            print(f"==> {file}", flush=True)
            surprises += upstream.run(file, layer, work, build, arguments.verbose)
    return 1 if surprises else 0


def build_demos(release: Release, layer: Path, backend: str) -> int:
    """Builds every demo; the number of results that were not expected."""
    virtualization.add_layer(release, layer, backend)
    with tempfile.TemporaryDirectory() as directory:
        virtualization.copy_fetched_base(release, single_platform(Path(directory)))
    say("dependencies", virtualization.graph(release))
    surprises = 0
    for demo in virtualization.DEMOS:
        try:
            result, failed = virtualization.check(release, demo), ""
        except virtualization.Wrong as error:
            result = failed = str(error)
        expected = demo.fails in failed if demo.fails else not failed
        surprises += not expected
        say(demo.name, f"{'' if not failed else 'fails, ' + ('as known: ' if expected else 'NOT EXPECTED: ')}{result}")
    return surprises


if __name__ == "__main__":
    sys.exit(main())
