"""Packs a real root filesystem with the BitBake class, checks the image and runs it. Needs root."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rootfs
from bitbake_harness.build_directory import Outcome
from bitbake_harness.kit import Kit

from backends import entries as attributes
from image_oci_rs import inspect

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache/demo"
RECIPE = HERE / "recipes/demo-image.bb"
COMMAND = Path(sys.executable).with_name("image-oci-rs")
# Files whose attributes are lost by programs that go round pseudo.
TELLING = ("dev/null", "tmp", "usr/bin/su", "usr/bin/ping", "var/mail", "bin/busybox")


def main() -> int:
    """Exits with 0 if every check agrees."""
    started = time.monotonic()
    step("root filesystem")
    archive = rootfs.archive(CACHE)
    source = attributes.read([archive])
    print(f"{archive}: {len(source)} files")

    step(f"image: bb runs {RECIPE.name} under pseudo as an ordinary user")
    image = build(archive, attributes.newest(source))

    step("validate: everything recomputed from the bytes")
    subprocess.run([COMMAND, "validate", image], check=True)

    step("inspect")
    subprocess.run([COMMAND, "inspect", image], check=True)

    step("compare: the image's layers with the archive of the root filesystem")
    same = compare(source, attributes.read(layers(image)))

    step("run: unpacked by umoci, started by runc")
    run(image)

    verdict = "done" if same else "FAILED: the image is not the root filesystem"
    step(f"{verdict}; {time.monotonic() - started:.1f} s; the image stays in {image.parent}")
    return 0 if same else 1


def step(text: str) -> None:
    """Says what comes next."""
    print(f"==> {text}", flush=True)


def build(archive: Path, newest: int) -> Path:
    """Runs the recipe's tasks and returns the layout directory, in the cache."""
    deployed = CACHE / "deploy"
    shutil.rmtree(deployed, ignore_errors=True)
    with Kit.make() as kit:
        conf = configuration(kit, archive, newest)
        outcome = kit.build_directory(RECIPE.read_text(), RECIPE.stem, conf).run()
        print(summary(outcome))
        if not outcome.succeeded:
            sys.exit("error: the tasks failed")
        shutil.copytree(outcome.deployed, deployed, symlinks=True)
    return deployed / f"{RECIPE.stem}-1.0-oci"


def configuration(kit: Kit, archive: Path, newest: int) -> str:
    """What a build of OE-core would say or do around the recipe, out of a copy of the archive."""
    readable = kit.directory / archive.name
    shutil.copyfile(archive, readable)
    return (
        f'TARGET_ARCH = "{platform.machine()}"\n'
        # Packages fill it there.
        f'ROOTFS_COMMAND = "tar --xattrs --xattrs-include=* -xpf {readable}"\n'
        # All files get one time there. Here they keep theirs, which the image's own must not clamp.
        'REPRODUCIBLE_TIMESTAMP_ROOTFS = ""\n'
        f'REPRODUCIBLE_TIMESTAMP_ROOTFS:task-image-oci = "{newest}"\n'
    )


def summary(outcome: Outcome) -> str:
    """What the class wrote into the log of its task, or where that failed, all output."""
    if not outcome.succeeded:
        return outcome.output
    log = outcome.log("do_image_oci").replace(f"{outcome.build.work}/", "")
    return "\n".join(line for line in log.splitlines() if line.startswith("NOTE: "))


def layers(image: Path) -> list[Path]:
    """The blobs of the image's layers."""
    (summary,) = inspect(str(image)).images
    return [image / "blobs" / layer.digest.replace(":", "/") for layer in summary.layers]


def compare(source: attributes.Entries, packed: attributes.Entries) -> bool:
    """Whether they are the same; says what is not, and shows some of what is."""
    lost = attributes.differences(source, packed)
    print(*lost, sep="\n", end="\n" if lost else "")
    for name in TELLING:
        if name in packed:
            print(f"{name:13} {packed[name]}")
    print(f"{len(source)} files compared, {len(lost)} differ")
    return not lost


def run(image: Path) -> None:
    """Starts a container as the image says, where containers can be started."""
    if not shutil.which("umoci") or not shutil.which("runc"):
        print("there is no umoci or no runc here")
        return
    with tempfile.TemporaryDirectory(prefix="demo-container-") as directory:
        bundle = Path(directory) / "bundle"
        subprocess.run(["umoci", "unpack", "--image", f"{image}:1.0", bundle], check=True)
        config = bundle / "config.json"
        document = json.loads(config.read_text())
        document["process"]["terminal"] = False
        config.write_text(json.dumps(document))
        runc = ["runc", "--root", f"{directory}/state", "run", "--bundle", str(bundle), "demo"]
        done = subprocess.run(runc, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        print(done.stderr, end="", file=sys.stderr)
        if "runc run failed" in done.stderr:
            print("runc cannot start a container here: is this a container without privileges?")
        elif done.returncode:
            sys.exit(f"error: the container's command failed: exit status {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
