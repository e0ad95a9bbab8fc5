"""What was compressed before is kept beside the builds, and out of sight of hashes and of pseudo."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from bitbake_harness.build_directory import BuildDirectory, Outcome
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE, layout_json

SmallImage = Callable[..., BuildDirectory]
# Some members, no two of them the same.
WORDS = 'ROOTFS_COMMAND:append = "; seq 1000000 > words"'


@pytest.fixture
def cache(kit: Kit) -> Path:
    """A directory of the build user's, outside of build directories."""
    directory = Path(tempfile.mkdtemp(dir=kit.directory))
    os.chown(directory, kit.user.uid, kit.user.gid)
    return directory


def packed(build: BuildDirectory) -> Outcome:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return outcome


def digest(outcome: Outcome) -> str:
    index, _, _ = layout_json(outcome.deployed / "app-latest-oci")
    return str(index["manifests"][0]["digest"])


def hits_and_misses(outcome: Outcome, cache: Path) -> tuple[int, int]:
    (found,) = re.findall(rf"NOTE: cache {cache}: (\d+) hits, (\d+) misses\n", outcome.log("do_image_oci"))
    return int(found[0]), int(found[1])


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def warnings(outcome: Outcome) -> list[str]:
    return [event["message"] for event in outcome.events if event.get("level") == "WARNING"]


def default_cache(build: BuildDirectory) -> Path:
    return build.top / "tmp/oci-member-cache"


@pytest.mark.parametrize("kit_name", ["kit", "broken_kit"])
def test_second_run_compresses_nothing(kit_name: str, request: pytest.FixtureRequest) -> None:
    kit: Kit = request.getfixturevalue(kit_name)
    build = kit.build_directory(SMALL_IMAGE + WORDS)
    cache = default_cache(build)
    first = packed(build)
    hits, misses = hits_and_misses(first, cache)
    assert hits == 0
    assert misses == len(entries(cache)) > 2
    digest_of_first = digest(first)

    second = packed(build)
    assert hits_and_misses(second, cache) == (misses, 0)
    assert digest(second) == digest_of_first
    assert warnings(first) == warnings(second) == []
    assert ("nativepython3" in second.log("do_image_oci")) == (kit_name == "broken_kit")


def test_builds_share_a_directory_and_none_is_the_same_image(small_image: SmallImage, cache: Path) -> None:
    shared = f'OCI_CACHE_DIR = "{cache}"'
    first, second = packed(small_image(WORDS, shared)), packed(small_image(WORDS, shared))
    without = packed(small_image(WORDS, 'OCI_CACHE_DIR = ""'))

    members = len(entries(cache))
    assert hits_and_misses(first, cache) == (0, members)
    assert hits_and_misses(second, cache) == (members, 0)
    assert digest(first) == digest(second) == digest(without)
    assert "NOTE: cache " not in without.log("do_image_oci")
    assert not default_cache(without.build).exists()


def test_pseudo_knows_the_root_filesystem_and_nothing_of_the_cache(small_image: SmallImage) -> None:
    build = small_image(WORDS)
    packed(build)
    assert entries(default_cache(build))
    with closing(sqlite3.connect(f"file:{build.work}/pseudo/files.db?mode=ro", uri=True)) as database:
        known = {path for (path,) in database.execute("SELECT path FROM files")}
    assert f"{build.work}/rootfs/words" in known
    assert [path for path in known if "oci-member-cache" in path] == []


@pytest.mark.parametrize(
    ("value", "item"),
    [
        ("/cache", ",/cache"),
        (" ${TOPDIR}/cache ", ",{top}/cache"),
        # An empty prefix, and one of the root filesystem, would end its being tracked.
        ("", ""),
        ("${TMPDIR}", ""),
        ("${WORKDIR}/root", ""),
        ("${IMAGE_ROOTFS}/cache", ",{top}/tmp/work/app/rootfs/cache"),
        ("/a, b", ""),
    ],
)
def test_what_pseudo_is_told_to_ignore(small_image: SmallImage, value: str, item: str) -> None:
    ignored = []
    for line in (f'OCI_CACHE_DIR = "{value}"', 'OCI_CACHE_DIR = ""'):
        build = small_image(line)
        ignored.append(build.parse().getVar("PSEUDO_IGNORE_PATHS").replace(str(build.top), "{top}"))
    assert ignored[0] == ignored[1] + item
    assert not ignored[1].endswith(",")


def test_corrupt_entry_is_a_warning_and_no_other_image(small_image: SmallImage) -> None:
    build = small_image(WORDS)
    cache = default_cache(build)
    digest_of_first = digest(packed(build))
    kept = entries(cache)
    with open(kept[0], "r+b") as entry:
        entry.write(b"corrupt")

    outcome = packed(build)
    assert hits_and_misses(outcome, cache) == (len(kept) - 1, 1)
    assert digest(outcome) == digest_of_first
    (warning,) = warnings(outcome)
    assert warning.startswith(f"{cache}: failures of the cache: 1; ")


def test_directory_that_cannot_be_written_stops_the_task(small_image: SmallImage, cache: Path) -> None:
    cache.chmod(0o555)
    build = small_image(f'OCI_CACHE_DIR = "{cache}/below"')
    outcome = build.run()

    assert not outcome.succeeded
    (error,) = [line for line in outcome.log("do_image_oci").splitlines() if line.startswith("ERROR: ")]
    assert error == f"ERROR: can't create the cache '{cache}/below': Permission denied"
    assert list(build.images.iterdir()) == []
