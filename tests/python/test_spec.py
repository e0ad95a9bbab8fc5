from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from image_oci_rs import (
    Archive,
    Base,
    Cache,
    Compression,
    Config,
    ImageSpec,
    Layers,
    Output,
    Platform,
    Source,
    SpecError,
)

FULL: dict[str, Any] = {
    "sources": [{"path": "/r", "target": "/"}, {"path": "/extra.tar.zst", "target": "/opt/x"}],
    "name": "registry.example/team/app",
    "tag": "1.0",
    "extra_tags": ["1", "localhost/app:latest"],
    "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
    "config": {
        "user": "1000:users",
        "exposed_ports": ["80/tcp", "53/udp"],
        "env": ["K=V", "EMPTY=", "Q=a b\t\"'$\\ü\n="],
        "entrypoint": ["/bin/app"],
        "cmd": ["--flag", ""],
        "volumes": ["/data"],
        "working_dir": "/srv",
        "labels": {"k": "v", "e": ""},
        "stop_signal": "SIGINT",
    },
    "author": "A <a@example.com>",
    "created": 1704067200,
    "annotations": {"com.example.a": "ü"},
    "compression": {"algorithm": "zstd", "level": 19},
    "base": {"path": "/base", "tag": "1.0", "mode": "exact"},
    "layers": {
        "mode": "auto",
        "rules": [],
        "missing": "error",
        "max": 20,
        "lock": "/x.lock",
        "lock_output": "/out/x.lock",
        "packages": "pkgdata:/m",
        "installed": "/i",
    },
    "exclude_xattrs": ["security.ima", "user.*"],
    "output": {
        "layout": "/out/x.oci",
        "archives": [{"path": "/out/x.tar", "prefix": ""}, {"path": "/out/d.tar", "prefix": "x"}],
        "replace": True,
    },
    "threads": 4,
    "cache": {"directory": "/cache", "limit": 1 << 30},
}
LEAST: dict[str, Any] = {
    "sources": [{"path": "/r"}],
    "name": "app",
    "platform": {"architecture": "amd64"},
    "output": {"layout": "/x"},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """FULL with another value, at a path such as `config.env` or `sources.0.path`."""
    document = copy.deepcopy(FULL)
    *parents, last = path.split(".")
    inner: Any = document
    for key in parents:
        inner = inner[int(key) if key.isdigit() else key]
    inner[last] = value
    return document


def test_json_both_ways() -> None:
    spec = ImageSpec.from_json(FULL)
    assert spec.to_json() == FULL
    assert ImageSpec.loads(spec.dumps()) == spec
    assert json.loads(spec.dumps()) == FULL


def test_every_field_of_the_full_example_differs_from_its_default() -> None:
    least = ImageSpec.from_json(LEAST).to_json()
    assert {key for key in FULL if FULL[key] == least[key]} == set()


def test_defaults() -> None:
    assert ImageSpec.from_json(LEAST).to_json() == {
        "sources": [{"path": "/r", "target": "/"}],
        "name": "app",
        "tag": "latest",
        "extra_tags": [],
        "platform": {"architecture": "amd64", "os": "linux", "variant": None},
        "config": {
            "user": None,
            "exposed_ports": None,
            "env": [],
            "entrypoint": None,
            "cmd": None,
            "volumes": None,
            "working_dir": None,
            "labels": {},
            "stop_signal": None,
        },
        "author": None,
        "created": None,
        "annotations": {},
        "compression": {"algorithm": "gzip", "level": None},
        "base": None,
        "layers": {
            "mode": "single",
            "rules": [],
            "missing": "error",
            "max": 80,
            "lock": None,
            "lock_output": None,
            "packages": "auto",
            "installed": None,
        },
        "exclude_xattrs": ["security.selinux", "trusted.*", "system.nfs4_acl"],
        "output": {"layout": "/x", "archives": [], "replace": False},
        "threads": None,
        "cache": None,
    }


BAD_VALUES: list[tuple[str, object, str, str]] = [
    ("sources", [], "sources", "must name at least one root filesystem"),
    ("sources", "/r", "sources", "must be a JSON object"),
    ("sources.0.path", "", "sources.path", "must be a path"),
    ("sources.0.path", None, "sources.path", "must be text, not NoneType"),
    ("sources.0.target", "opt", "sources.target", "must be an absolute path without '..'"),
    ("sources.0.target", "/a/../b", "sources.target", "must be an absolute path without '..'"),
    ("name", "App", "name", "lower-case"),
    ("name", None, "name", "must be text"),
    ("tag", "a b", "tag", "must be 1 to 128 letters"),
    ("tag", None, "tag", "must be text"),
    ("platform", None, "platform", "must be a JSON object"),
    ("platform.architecture", "vax", "platform.architecture", "must be one of 386, "),
    ("platform.os", "", "platform.os", "must be one of aix, "),
    ("platform.variant", "v1", "platform.variant", "must be v5, v6, v7 or v8 for arm"),
    ("config", [], "config", "must be of the class Config"),
    ("config.user", "a b", "config.user", "must be USER or USER:GROUP"),
    ("config.exposed_ports", ["0"], "config.exposed_ports", "from 1 to 65535"),
    ("config.exposed_ports", "80", "config.exposed_ports", "must be a list"),
    ("config.exposed_ports", [80], "config.exposed_ports", "must be text, not int"),
    ("config.env", ["K"], "config.env", "must be KEY=VALUE"),
    ("config.env", ["=V"], "config.env", "must be KEY=VALUE"),
    ("config.env", {"K": "V"}, "config.env", "must be a list"),
    ("config.env", ["K=\0"], "config.env", "must not hold a NUL"),
    ("config.entrypoint", "sh", "config.entrypoint", "must be a list"),
    ("config.cmd", [None], "config.cmd", "must be text, not NoneType"),
    ("config.cmd", ["\udcff"], "config.cmd", "must be UTF-8"),
    ("config.volumes", ["data"], "config.volumes", "must be an absolute path"),
    ("config.working_dir", "srv", "config.working_dir", "must be an absolute path"),
    ("config.labels", ["k=v"], "config.labels", "must be a map from text to text"),
    ("config.labels", {"": "v"}, "config.labels", "must not hold an empty key"),
    ("config.labels", {"k": 1}, "config.labels", "must be text, not int"),
    ("config.stop_signal", "SIGTREM", "config.stop_signal", "must be the name of a Linux signal"),
    ("author", 1, "author", "must be text"),
    ("created", -1, "created", "must be a whole number from 0 to 253402300799"),
    ("created", 253402300800, "created", "must be a whole number from 0 to 253402300799"),
    ("created", 1.5, "created", "must be a whole number"),
    ("created", "2024-01-01T00:00:00Z", "created", "must be a whole number"),
    ("annotations", {"": ""}, "annotations", "must not hold an empty key"),
    (
        "annotations",
        {"org.opencontainers.image.ref.name": "x"},
        "annotations",
        "must not hold the key 'org.opencontainers.image.ref.name', which name and tag decide",
    ),
    (
        "annotations",
        {"io.containerd.image.name": "x"},
        "annotations",
        "must not hold the key 'io.containerd.image.name', which name and tag decide"
        " (got 'io.containerd.image.name=x')",
    ),
    ("extra_tags", "latest", "extra_tags", "must be a list"),
    ("extra_tags", ["-a"], "extra_tags", "must be TAG or NAME:TAG, but the tag must be 1 to 128"),
    ("extra_tags", ["team/app"], "extra_tags", "must be TAG or NAME:TAG, but the tag must be 1 to 128"),
    ("extra_tags", ["App:1"], "extra_tags", "must be TAG or NAME:TAG, but the name must be at most 255"),
    ("extra_tags", ["1", "1"], "extra_tags", "must not repeat registry.example/team/app:1, a name"),
    ("extra_tags", ["1.0"], "extra_tags", "must not repeat registry.example/team/app:1.0, a name"),
    ("extra_tags", ["a:1", "docker.io/library/a:1"], "extra_tags", "must not repeat docker.io/library/a:1, a name"),
    ("compression.algorithm", "lzma", "compression.algorithm", "must be gzip, zstd or none"),
    ("compression.level", 23, "compression.level", "must be a whole number from 1 to 22"),
    ("compression.level", True, "compression.level", "must be a whole number from 1 to 22"),
    ("compression", {"algorithm": "gzip", "level": 13}, "compression.level", "from 1 to 12"),
    ("compression", {"algorithm": "none", "level": 1}, "compression.level", "must be left out"),
    ("exclude_xattrs", ["a*b"], "exclude_xattrs", "with '*' at its end or nowhere"),
    ("exclude_xattrs", [""], "exclude_xattrs", "with '*' at its end or nowhere"),
    ("output", {}, "output", "must name a layout directory, an archive or both"),
    ("output.layout", "", "output.layout", "must be a path"),
    ("output.layout", "/out/x.tar", "output", "must not be written twice"),
    ("output.layout", "/out/../out//x.tar/", "output", "must not be written twice"),
    ("output.layout", "/out", "output", "must not lie inside '/out', which is written too"),
    ("output.layout", "/r/out", "output", "must not lie inside the root filesystem '/r'"),
    ("output.layout", "/r", "output", "must not lie inside the root filesystem '/r'"),
    ("output.archives.0.prefix", "/x", "output.archives.prefix", "must be a relative path"),
    ("output.archives.0.prefix", "a/../b", "output.archives.prefix", "must be a relative path"),
    ("output.replace", 1, "output.replace", "must be true or false"),
    ("threads", 0, "threads", "must be a whole number from 1 to 1024"),
    ("threads", "4", "threads", "must be a whole number from 1 to 1024"),
    ("threads", True, "threads", "must be a whole number from 1 to 1024"),
    ("cache", "/cache", "cache", "must be a JSON object"),
    ("cache", {}, "cache.directory", "must be given"),
    ("cache.directory", "", "cache.directory", "must be a path"),
    ("cache.directory", "/r/cache", "cache.directory", "must not lie inside the root filesystem '/r'"),
    ("cache.directory", "/r", "cache.directory", "must be a directory for nothing else, but holds '/r'"),
    ("cache.directory", "/out", "cache.directory", "must be a directory for nothing else, but holds '/out/x.oci'"),
    ("cache.limit", 0, "cache.limit", "must be a whole number from 1 to 9223372036854775807"),
    ("cache.limit", None, "cache.limit", "must be a whole number from 1"),
    ("cache.limit", "4G", "cache.limit", "must be a whole number from 1"),
]


@pytest.mark.parametrize(("path", "value", "field", "words"), BAD_VALUES)
def test_bad_values_are_named(path: str, value: object, field: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        ImageSpec.from_json(changed(path, value))
    assert caught.value.field == field
    assert words in str(caught.value)
    assert f"(got {caught.value.value!r})" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("sorces", "there is no such key; did you mean 'sources'? (got 'sorces')"),
        ("config.exposed_port",
         "config: there is no such key; did you mean 'exposed_ports'? (got 'exposed_port')"),
        ("output.archives.1.name",
         "output.archives: must have no key but path, prefix (got 'name')"),
        ("platform.Variant",
         "platform: there is no such key; did you mean 'variant'? (got 'Variant')"),
    ],
)  # fmt: skip
def test_unknown_keys_are_named(path: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        ImageSpec.from_json(changed(path, 1))
    assert str(caught.value) == message


@pytest.mark.parametrize("key", ["sources", "name", "platform", "output"])
def test_missing_keys_are_named(key: str) -> None:
    document = {name: value for name, value in FULL.items() if name != key}
    with pytest.raises(SpecError) as caught:
        ImageSpec.from_json(document)
    assert str(caught.value) == f"{key}: must be given (got None)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be JSON, but line 1: Expecting value"),
        ('{"a":\n }', "must be JSON, but line 2: Expecting value"),
        ("[]", "must be a JSON object (got [])"),
        ("[" + "1," * 99 + "x" + ",1" * 99, "Expecting value (got '" + "1," * 15 + "x" + ",1" * 14),
        ('{"tag": "a", "tag": "b"}', "must not be there twice in one object (got 'tag')"),
    ],
)
def test_text_that_is_no_specification(text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        ImageSpec.loads(text)
    assert words in str(caught.value)


def test_lists_are_kept_as_tuples_and_maps_can_not_be_changed() -> None:
    words = ["a"]
    labels = {"k": "v"}
    config = Config(cmd=words, labels=labels)  # type: ignore[arg-type]
    words.append("b")
    labels["k"] = "w"
    assert config.cmd == ("a",)
    assert config.labels == {"k": "v"}
    with pytest.raises(TypeError):
        config.labels["k"] = "w"  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.cmd = ()  # type: ignore[misc]


def test_specifications_can_be_copied_hashed_and_changed() -> None:
    spec = ImageSpec.from_json(FULL)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) == spec
    assert hash(ImageSpec.from_json(FULL)) == hash(spec)
    other = dataclasses.replace(spec, tag="2.0")
    assert (other.tag, spec.tag) == ("2.0", "1.0")
    with pytest.raises(SpecError):
        dataclasses.replace(spec, tag="a b")


def test_what_is_there_twice() -> None:
    config = Config(
        exposed_ports=("80", "80/tcp", "53/udp"),
        env=("A=1", "B=2", "A=3"),
        volumes=("/b", "/a", "/b"),
        cmd=("x", "x"),
    )
    assert config.exposed_ports == ("80/tcp", "53/udp")
    assert config.env == ("A=3", "B=2")
    assert config.volumes == ("/b", "/a")
    assert config.cmd == ("x", "x")


def test_relative_paths_count_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Source("r").path == f"{tmp_path}/r"
    assert Archive("../x.tar").path == f"{tmp_path}/../x.tar"
    assert Output(layout="x").layout == f"{tmp_path}/x"
    assert Cache("x").directory == f"{tmp_path}/x"


def test_paths_may_be_path_objects() -> None:
    assert Source(Path("/r")).path == "/r"  # type: ignore[arg-type]
    assert Output(layout=Path("/x")).paths == ("/x",)  # type: ignore[arg-type]


def test_paths_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        Source(os.fsdecode(b"/r\xff"))
    assert str(caught.value) == (
        "sources.path: must be UTF-8, which is all that an image's JSON can hold (got '/r\\udcff')"
    )


@pytest.mark.parametrize(
    ("layout", "inside"),
    [("/r/../x", False), ("/rr", False), ("/r/./a", True), ("//r/a", True), ("/R/a", False)],
)
def test_outputs_inside_the_root_filesystem(layout: str, inside: bool, make_spec: Callable[..., ImageSpec]) -> None:
    def make() -> ImageSpec:
        return make_spec(sources=(Source("/r"),), output=Output(layout=layout))

    if inside:
        with pytest.raises(SpecError, match="must not lie inside"):
            make()
    else:
        assert make().output.layout == layout


def test_links_do_not_hide_that_an_output_is_inside_the_root_filesystem(
    tmp_path: Path, make_spec: Callable[..., ImageSpec]
) -> None:
    (tmp_path / "v3").mkdir()
    (tmp_path / "current").symlink_to("v3")
    for source, output in [("current", "v3/app"), ("v3", "current/app"), ("current", "current"), ("v3", "v3")]:
        with pytest.raises(SpecError, match="output: must not lie inside the root filesystem"):
            make_spec(sources=(Source(f"{tmp_path}/{source}"),), output=Output(f"{tmp_path}/{output}"))
    make_spec(sources=(Source(f"{tmp_path}/current"),), output=Output(f"{tmp_path}/current.oci"))


LAYERS = Layers(mode="auto", lock="/w/layers.lock")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": Output("/w")}, "output: must not hold '/w/layers.lock', which is read (got '/w')"),
        (
            {"output": Output("/w"), "layers": replace(LAYERS, lock="/in/lock", lock_output="/w/lock")},
            "layers.lock_output: must not lie inside '/w', which is written too (got '/w/lock')",
        ),
        (
            {"output": Output(archives=(Archive("/w/layers.lock"),))},
            "layers.lock_output: must not be written twice (got '/w/layers.lock')",
        ),
        (
            {"output": Output("/x"), "cache": Cache("/x/cache")},
            "cache.directory: must not lie inside '/x', which is written too (got '/x/cache')",
        ),
        (
            {"output": Output("/x"), "cache": Cache("/w")},
            "cache.directory: must be a directory for nothing else, but holds '/w/layers.lock' (got '/w')",
        ),
        (
            {"output": Output("/x"), "base": Base("/x/base")},
            "output: must not hold '/x/base', which is read (got '/x')",
        ),
        (
            {"output": Output("/x"), "sources": (Source("/x/r"),)},
            "output: must not hold '/x/r', which is read (got '/x')",
        ),
    ],
)
def test_what_is_written_holds_nothing_that_is_needed(
    changes: dict[str, Any], message: str, make_spec: Callable[..., ImageSpec]
) -> None:
    with pytest.raises(SpecError) as caught:
        make_spec(**{"sources": (Source("/r"),), "layers": LAYERS, **changes})
    assert str(caught.value) == message


def test_an_image_may_take_the_place_of_its_base_and_a_lock_file_that_of_the_old_one(
    make_spec: Callable[..., ImageSpec],
) -> None:
    changes = {"base": Base("/x"), "output": Output("/x", replace=True)}
    make_spec(sources=(Source("/r"),), layers=replace(LAYERS, lock_output="/w/../w/layers.lock"), **changes)


def test_parts_must_be_of_their_class(make_spec: Callable[..., ImageSpec]) -> None:
    for field, value in [
        ("sources", ("/r",)),
        ("platform", "amd64"),
        ("output", "/x"),
        ("config", None),
        ("compression", "gzip"),
        ("cache", "/cache"),
    ]:
        with pytest.raises(SpecError) as caught:
            make_spec(**{field: value})
        assert caught.value.field == field
        assert "class" in str(caught.value)


def test_a_cache_holds_4_gib_unless_another_limit_is_given() -> None:
    assert Cache("/cache").to_json() == {"directory": "/cache", "limit": 4294967296}
    assert Cache("/cache", 1).limit == 1


def test_compression_levels() -> None:
    for algorithm, highest in (("gzip", 12), ("zstd", 22)):
        assert Compression(algorithm, 1).level == 1
        assert Compression(algorithm, highest).level == highest
    assert Compression("none").level is None
    assert Platform("arm").to_json() == {"architecture": "arm", "os": "linux", "variant": None}
