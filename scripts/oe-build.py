#!/usr/bin/env python3
"""Builds the layer's recipe and images with real releases of OE-core, and checks what comes out.

    scripts/oe-build.py CHECKOUT...

A CHECKOUT is a directory that holds `bitbake` and `openembedded-core`, of releases that belong together. Nothing of
OE-core is built but what the layer needs of it: the host's compilers, Rust, Python and pseudo are used (oe/host.conf
says how). So it takes a minute or two for each release. Root becomes `nobody` for it, because bitbake refuses root;
`nobody` must be able to read the checkouts.

What the machine needs is Debian's or Ubuntu's build-essential busybox-static chrpath cpio diffstat file gawk git
locales lz4 pseudo python3-venv zstd and attr; and Rust. Crates are fetched by cargo, Python's tools by pip.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from oe import examples, tunes  # noqa: E402
from oe.checks import appended_code, compare_files, engine_is_staged, image_digest, outputs, same, validate  # noqa: E402
from oe.directory import work_directory  # noqa: E402
from oe.host import Host  # noqa: E402
from oe.release import IMAGE, NATIVE, Release, fail, say  # noqa: E402


def main() -> int:
    """Exits with 0 if every check of every release agrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT")
    parser.add_argument("--work", type=Path, metavar="DIR", help="build there, and leave it for inspection")
    parser.add_argument(
        "--wheel", type=Path, metavar="FILE", help="then build the image with the engine of this wheel too"
    )
    parser.add_argument("--verbose", action="store_true", help="show what bitbake says")
    arguments = parser.parse_args()
    with work_directory(arguments.work) as work:
        host = Host.prepare(work)
        for checkout in arguments.checkouts:
            release = Release.lay_out(host, checkout.resolve(), arguments.verbose)
            print(f"==> {release.title}", flush=True)
            check_release(release, arguments.wheel)
    return 0


def check_release(release: Release, wheel: Path | None) -> None:
    """Builds, looks, builds again."""
    say("the variant of every ARM tune", tunes.check(release))
    release.parse("bitbake -p without a warning")
    release.bitbake("the recipe: fetch, unpack, compile, install, stage", NATIVE)
    release.bitbake("the image", IMAGE)
    say("the engine in the task is the one that was staged", engine_is_staged(release))
    say("conversions, links, manifest", outputs(release))
    say("appended shell code", appended_code(release))
    say("the image is valid", validate(release, IMAGE))
    say("every attribute of every file", compare_files(release))
    release.bitbake("the examples", *examples.NAMES)
    for name in examples.NAMES:
        say(name, examples.check(release, name))
    release.bitbake("an image on a base of another kind of recipe", examples.ON_NO_IMAGE)
    say(examples.ON_NO_IMAGE, examples.check_base(release))
    release.bitbake("an index, with the image of another machine", examples.INDEX)
    say(examples.INDEX, examples.check_index(release))
    before = image_digest(release)
    release.bitbake("the image task once more", "-f", "-c", "image_oci", IMAGE)
    release.bitbake("and what follows", IMAGE)
    say("the same digest", same(before, image_digest(release)))
    shutil.rmtree(release.build / "tmp")
    # image.bbclass keeps images themselves out of shared state.
    release.bitbake("the image in an empty TMPDIR, the engine out of shared state", IMAGE)
    if any(release.build.glob(f"tmp/work/*/{NATIVE}/*/temp/log.do_compile")):
        fail(f"{NATIVE} was compiled again")
    say("the same digest", same(before, image_digest(release)))
    release.selftest("oe-selftest", "image_oci_rs")
    if wheel is not None:
        installed = release.with_wheel(wheel)
        installed.bitbake(f"the image with {wheel.name}", IMAGE)
        say("the engine in the task is the one of the wheel", engine_is_staged(installed))
        say("the same digest", same(before, image_digest(installed)))


if __name__ == "__main__":
    sys.exit(main())
