"""What has come out of a build."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from oe.release import IMAGE, Release, fail
from rootfs_fixtures import attributes, nasty
from rootfs_fixtures.attributes import Snapshot
from rootfs_fixtures.tree import expected


def engine_is_staged(release: Release) -> str:
    """Compares the file that the task had loaded with the one that the recipe made."""
    (loaded,) = re.findall("^NOTE: engine (.*)$", release.log("do_image_oci"), re.MULTILINE)
    (staged,) = (release.staged / "image_oci_rs").glob("_core*.so")
    if f"{IMAGE}/" not in loaded or "recipe-sysroot-native" not in loaded:
        fail(f"the task loaded {loaded}")
    return same(sha256(staged), sha256(Path(loaded)))


def outputs(release: Release) -> str:
    """Files and links beside the image, archives that hold the same, and the manifest of images."""
    base = f"{IMAGE}-qemux86-64.rootfs"
    names = ["oci", "oci.tar.gz", "oci.tar.zst", "tar.bz2"]
    wanted = {f"{base}.{name}" for name in names}
    wanted |= {f"{IMAGE}-latest-oci", f"{IMAGE}-latest-oci.tar", f"{IMAGE}-latest-oci-dir.tar"}
    links = {path.name for path in release.deployed.iterdir() if path.is_symlink() and path.exists()}
    if not wanted <= links:
        fail(f"{release.deployed} has no {sorted(wanted - links)}")
    files = {str(path.relative_to(release.layout())) for path in release.layout().rglob("*") if path.is_file()}
    for name in f"{base}.oci.tar.gz", f"{IMAGE}-latest-oci.tar":
        with tarfile.open(release.deployed / name) as archive:
            held = {member.name.removeprefix("./") for member in archive if member.isfile()}
        if held != files:
            fail(f"{name} does not hold what the layout does: {sorted(held ^ files)}")
    (document,) = release.build.glob(f"tmp/work/*/{IMAGE}/*/image-task-manifest/do_image_oci.json")
    (task,) = json.loads(document.read_text())
    listed = sorted(image["filename"].rpartition(".rootfs")[2].partition(".")[2] for image in task["images"])
    if listed != ["oci", "oci.tar.gz", "oci.tar.zst"]:
        fail(f"{document.name} lists {listed}")
    return f"{len(wanted)} links, {len(files)} files in each archive, {len(listed)} images listed"


def appended_code(release: Release) -> str:
    """Directory and shell variables that code appended by a recipe has seen."""
    found = re.findall("^appended to (.*): (.*) (.*) (.*)$", release.log("do_image_oci"), re.MULTILINE)
    if [place for place, *_ in found] != ["IMAGE_CMD", "do_image_oci"]:
        fail(f"appended code that ran: {found}")
    for _, directory, name, tag in found:
        if not directory.endswith("-image-complete") or tag != "latest":
            fail(f"appended code was in {directory}, with the tag {tag}")
        links = [name, f"{name}.tar", f"{name}-dir.tar"]
        missing = [link for link in links if not (release.deployed / link).exists()]
        if missing or not name.endswith(".rootfs-oci"):
            fail(f"{release.deployed} has no {missing}")
    return str(found[0][2])


def validate(release: Release, image: str) -> str:
    """Runs the staged package's own command."""
    command: list[str | Path] = ["/usr/bin/python3", "-m", "image_oci_rs", "validate", release.layout(image)]
    environment = {"PYTHONPATH": str(release.staged), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        fail(done.stdout + done.stderr)
    return image_digest(release, image)


def compare_files(release: Release) -> str:
    """Compares the layer with what do_rootfs has made, but for the times, which image.bbclass makes one."""
    manifest, config = documents(release, IMAGE)
    (layer,) = manifest["layers"]
    found = entries(release, IMAGE, layer)
    times = {record.mtime for record in found.values()}
    if len(times) != 1:
        fail(f"the files have {len(times)} times")
    (mtime,) = times
    wanted = {name: replace(record, mtime=mtime) for name, record in attributes.packed(expected(nasty.table())).items()}
    differences = attributes.compare(wanted, found)
    if differences:
        fail("\n".join(map(str, differences)))
    if config["config"]["Labels"]["org.opencontainers.image.title"] != 'Bob\'s "best" app':
        fail(f"the title is {config['config']['Labels']}")
    return f"{len(found)} entries, as {pwd.getpwuid(release.build.stat().st_uid).pw_name} under pseudo"


def documents(release: Release, image: str) -> tuple[Any, Any]:
    """Manifest and configuration of an image."""
    manifest = document(release, image, image_digest(release, image))
    return manifest, document(release, image, manifest["config"]["digest"])


def document(release: Release, image: str, digest: str) -> Any:
    """What a blob says that is JSON."""
    return json.loads(blob(release, image, digest).read_text())


def entries(release: Release, image: str, layer: dict[str, Any]) -> Snapshot:
    """What is in a layer."""
    path = blob(release, image, layer["digest"])
    gzip = subprocess.Popen(["gzip", "-dc", path], stdout=subprocess.PIPE)
    assert gzip.stdout is not None
    found = attributes.of_layer(gzip.stdout)
    if gzip.wait():
        fail(f"{path} is no gzip file")
    return found


def blob(release: Release, image: str, digest: str) -> Path:
    """A blob of an image."""
    return release.layout(image) / "blobs" / digest.replace(":", "/")


def image_digest(release: Release, image: str = IMAGE) -> str:
    """The digest of the manifest."""
    return str(json.loads((release.layout(image) / "index.json").read_text())["manifests"][0]["digest"])


def same(before: str, after: str) -> str:
    """Both, which must be equal."""
    if before != after:
        fail(f"{before} became {after}")
    return after


def sha256(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
