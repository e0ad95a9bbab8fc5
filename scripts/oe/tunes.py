"""The variant that the class gives to every ARM tune of a checkout, compared with the flags that the compiler gets.

Run as a program, by an interpreter of its own, because it loads the checkout's BitBake.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oe.release import Release

# The lines of bitbake.conf that are about tunes, and a machine whose name looks like no tune.
BITBAKE_CONF = {
    "MACHINEOVERRIDES": "machine",
    "OVERRIDES": "${MACHINEOVERRIDES}:forcevariable",
    "TARGET_ARCH": "${TUNE_ARCH}",
    "TUNE_FEATURES": "${TUNE_FEATURES:tune-${DEFAULTTUNE}}",
    "PACKAGE_EXTRA_ARCHS": "${PACKAGE_EXTRA_ARCHS:tune-${DEFAULTTUNE}}",
    "TUNE_CCARGS": "",
    "TUNE_CCARGS_MARCH": "",
}
# The version of the ARM architecture for each -mcpu that tunes use without -march; LLVM 14 agrees on all.
CORES = {
    4: "arm920t arm9tdmi ep9312 strongarm1100",
    5: "arm926ej-s iwmmxt xscale",
    6: "arm1136jf-s arm1176jz-s",
    7: "cortex-a15 cortex-a17 cortex-a5 cortex-a7 cortex-a8 cortex-a9",
    8: "cortex-m23 cortex-m33 cortex-m35p cortex-m55",
}


def check(release: Release) -> str:
    """Compares every tune of the release; fails on the first disagreement."""
    from oe.host import become
    from oe.release import fail

    layer = release.host.directory / "image-oci-rs"
    command: list[str | Path] = [*become(), "/usr/bin/python3", layer / "scripts/oe/tunes.py", release.checkout]
    path = f"{release.checkout / 'bitbake/lib'}:{layer / 'python'}"
    environment = {**release.environment, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=release.build, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        fail(done.stdout + done.stderr)
    return done.stdout.strip()


def main() -> int:
    """Prints how many tunes were compared, or those that are wrong."""
    from image_oci_rs.bitbake.platform import arm_variant

    meta = Path(sys.argv[1]) / "openembedded-core/meta"
    compared, wrong = 0, []
    for tune, d in tunes(meta):
        expected, found = expected_variant(d), arm_variant(d)
        compared += 1
        if found != expected:
            wrong.append(f"{tune}: {found or 'no variant'}, and {expected or 'none'} by {d.getVar('TUNE_CCARGS')}")
    print("\n".join(wrong) or f"{compared} tunes")
    return 1 if wrong or not compared else 0


def tunes(meta: Path) -> Iterator[tuple[str, Any]]:
    """Yields every value that DEFAULTTUNE may have, with a datastore in which it has it."""
    import bb.data  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import bb.parse  # type: ignore[import-not-found,import-untyped,unused-ignore]

    seen: set[str] = set()
    for file in sorted(meta.glob("conf/machine/include/arm/**/*.inc")):
        d = bb.data.init()
        d.setVar("BBPATH", str(meta))
        for name, value in BITBAKE_CONF.items():
            d.setVar(name, value)
        d = bb.parse.handle(str(file), d, True)
        if not d.getVar("DEFAULTTUNE"):
            # It has no tunes, only what tunes are made of.
            continue
        # Files include each other, so most tunes are in many of them.
        new = [tune for tune in d.getVar("AVAILTUNES").split() if tune not in seen]
        for tune in [d.getVar("DEFAULTTUNE"), *new]:
            d.setVar("DEFAULTTUNE", tune)
            yield f"{file.name}, {tune}", d
        seen.update(new)


def expected_variant(d: Any) -> str:
    """Returns the variant by the compiler's flags, which the library does not read."""
    if d.getVar("TARGET_ARCH") != "arm":
        return ""
    flags = d.getVar("TUNE_CCARGS")
    architecture = re.search("-march=armv([0-9]+)", flags)
    if architecture:
        version = int(architecture[1])
    else:
        core = re.search("-mcpu=([^ +]+)", flags)
        # A core that is not in the table ends the check, so that it gets there.
        (version,) = [number for number, cores in CORES.items() if core and core[1] in cores.split()] or [0]
    return f"v{version}" if version > 4 else "" if version else f"unknown to {Path(__file__).name}"


if __name__ == "__main__":
    sys.exit(main())
