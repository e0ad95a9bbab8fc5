"""Builds that keep what they compress, through the compiled core."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from image_oci_rs import BuildResult, Cache, CacheCounts, Compression, ImageSpec, Output, build, cli

MakeSpec = Callable[..., ImageSpec]
LARGE = 12 << 20


@pytest.fixture
def words(rootfs: Path) -> Path:
    """A file that makes several members, no two of them the same."""
    path = rootfs / "data/words"
    path.write_bytes(random.Random(1).randbytes(LARGE // 2).hex().encode())
    return path


@pytest.fixture
def build_with(make_spec: MakeSpec, tmp_path: Path) -> Callable[..., BuildResult]:
    output = Output(layout=str(tmp_path / "out"), replace=True)

    def build_with(cache: Cache | None, algorithm: str = "gzip") -> BuildResult:
        return build(make_spec(output=output, cache=cache, compression=Compression(algorithm)))

    return build_with


def entries(cache: Cache) -> list[Path]:
    return sorted(path for path in Path(cache.directory).rglob("*") if path.is_file())


@pytest.mark.parametrize("algorithm", ["gzip", "zstd"])
def test_the_second_build_compresses_nothing_and_no_byte_is_another(
    algorithm: str, words: Path, build_with: Callable[..., BuildResult], tmp_path: Path
) -> None:
    cache = Cache(str(tmp_path / "made/for/it"))
    without = build_with(None, algorithm)
    first = build_with(cache, algorithm).cache
    assert without.cache is None
    assert first is not None
    assert first.misses > 2
    assert first == CacheCounts(hits=0, misses=first.misses, failures=0)
    assert len(entries(cache)) == first.misses

    second = build_with(cache, algorithm)
    assert second.cache == CacheCounts(hits=first.misses, misses=0, failures=0)
    assert second.manifest == without.manifest
    assert BuildResult.loads(second.dumps()) == second


def test_only_what_changed_is_compressed_again(
    words: Path, build_with: Callable[..., BuildResult], tmp_path: Path
) -> None:
    cache = Cache(str(tmp_path / "cache"))
    build_with(cache)
    content = bytearray(words.read_bytes())
    content[LARGE // 2] ^= 1
    words.write_bytes(content)
    counts = build_with(cache).cache
    assert counts is not None
    # The modification time of the file stands in front of its first bytes.
    assert counts.misses <= 2 < counts.hits


def test_a_corrupt_entry_is_made_again_and_told_of(
    words: Path, build_with: Callable[..., BuildResult], tmp_path: Path
) -> None:
    cache = Cache(str(tmp_path / "cache"))
    first = build_with(cache)
    flipped, truncated, emptied, *intact = entries(cache)
    whole = flipped.read_bytes()
    flipped.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    truncated.write_bytes(truncated.read_bytes()[:-1])
    emptied.write_bytes(b"")

    second = build_with(cache)
    assert second.cache == CacheCounts(hits=len(intact), misses=3, failures=3)
    assert second.manifest == first.manifest
    assert flipped.read_bytes() == whole
    third = build_with(cache).cache
    assert third == CacheCounts(hits=len(intact) + 3, misses=0, failures=0)


def test_the_cache_stays_within_its_limit(words: Path, build_with: Callable[..., BuildResult], tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "cache"), limit=3 << 20)
    expected = build_with(None).manifest
    for _ in range(2):
        assert build_with(cache).manifest == expected
        assert 0 < sum(path.stat().st_size for path in entries(cache)) <= cache.limit


def test_the_program_tells_of_hits_and_failures(
    rootfs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = Cache(str(tmp_path / "cache"))
    command = [
        "build",
        "--replace",
        "--cache",
        cache.directory,
        "--cache-limit",
        "1M",
        str(rootfs),
        str(tmp_path / "app"),
    ]
    said = []
    for _ in range(3):
        assert cli.run(command) == 0
        said.append(capsys.readouterr().err)
        if len(said) == 2:
            entries(cache)[0].write_bytes(b"corrupt")
    assert "  cache     0 of 1 members\n" in said[0]
    assert "  cache     1 of 1 members\n" in said[1]
    assert "  cache     0 of 1 members\n" in said[2]
    assert ["  note " in text for text in said] == [False, False, True]
    assert "  note      failures of the cache: 1; " in said[2]
