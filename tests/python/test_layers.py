"""How a root filesystem is split: the rules, and what is wrong with others."""

from __future__ import annotations

from typing import Any

import pytest

from image_oci_rs import LayerRule, Layers, SpecError


@pytest.mark.parametrize(
    ("word", "content"),
    [
        ("a:packages:busybox", ("busybox",)),
        ("a:packages:base-files+base-passwd+netbase", ("base-files", "base-passwd", "netbase")),
        ("a:packages:base-files,netbase", ("base-files", "netbase")),
        # The old class took a plus sign for the end of a name wherever it stood.
        ("a:packages:libgcc+libstdc++", ("libgcc", "libstdc++")),
        ("a:packages:libstdc+++libgcc", ("libstdc++", "libgcc")),
        ("a:packages:libgcc+libstdc++6+g++", ("libgcc", "libstdc++6", "g++")),
        ("a:packages:libsigc++-2.0-0v5+acl", ("libsigc++-2.0-0v5", "acl")),
        ("a:packages:+acl+", ("acl+",)),
        ("a:directories:/opt/app+/srv", ("/opt/app", "/srv")),
        ("a:files:/usr/bin/g++,/etc/a:b", ("/usr/bin/g++", "/etc/a:b")),
        ("a:host:/etc/ssl/ca.pem:/etc/ca.pem+/b:/c", ("/etc/ssl/ca.pem:/etc/ca.pem", "/b:/c")),
        ("a:host:/b:1:/c/+/b:/", ("/b:1:/c/", "/b:/")),
        ("a:host:/b/.:/c/,/:/.", ("/b/.:/c/", "/:/.")),
    ],
)
def test_words_of_layers(word: str, content: tuple[str, ...]) -> None:
    name, kind, _ = word.split(":", 2)
    assert LayerRule.parse(word) == LayerRule(name, kind, content)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a", "layers.rules: must be NAME:TYPE:CONTENT (got 'a')"),
        ("a:packages", "layers.rules: must be NAME:TYPE:CONTENT (got 'a:packages')"),
        ("a:rpms:x", "layers.rules.type: must be packages, directories, files or host (got 'rpms')"),
        (":packages:x", "layers.rules.name: must be letters, digits and . _ + - (got '')"),
        ("a:packages:", "layers.rules.content: must name something that belongs in it (got 'a')"),
        ("a:packages:x/y", "layers.rules.content: must be the name of a package (got 'x/y')"),
        ("a:files:etc/x", "layers.rules.content: must be an absolute path"),
        ("a:host:/x", "layers.rules.content: must be SOURCE:TARGET, both absolute paths and TARGET without '..'"),
        ("a:host:x:/y", "layers.rules.content: must be SOURCE:TARGET, both absolute paths"),
        ("a:host:/x:y", "layers.rules.content: must be SOURCE:TARGET, both absolute paths"),
        ("a:host:/x:", "layers.rules.content: must be SOURCE:TARGET, both absolute paths"),
        ("a:host:/x:/y/../z", "layers.rules.content: must be SOURCE:TARGET, both absolute paths"),
        ("a:host:/:/y/", "layers.rules.content: must have a SOURCE that ends in a name"),
        ("a:host:/x/..:/y/", "layers.rules.content: must have a SOURCE that ends in a name"),
    ],
)
def test_wrong_words(word: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        LayerRule.parse(word)
    assert message in str(caught.value)


A = LayerRule("a", "files", ("/a",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "many"}, "layers.mode: must be single, multi or auto (got 'many')"),
        ({"mode": "multi"}, "layers.rules: must say which layers there are in the mode 'multi'"),
        ({"rules": [A]}, "layers.rules: must be left out in the mode 'single' (got 'a')"),
        ({"mode": "multi", "rules": [A, A]}, "layers.rules.name: must be another name than those before it"),
        ({"mode": "multi", "rules": [LayerRule("rest", "files", ("/a",))]}, "layers.rules.name: must be another name"),
        ({"mode": "multi", "rules": [A], "missing": "ignore"}, "layers.missing: must be error or warn (got 'ignore')"),
        (
            {"mode": "auto", "missing": "warn"},
            "layers.missing: must be left out unless the mode is 'multi' (got 'warn')",
        ),
        ({"mode": "auto", "max": 0}, "layers.max: "),
        ({"mode": "auto", "max": 128}, "layers.max: "),
        ({"lock": "x"}, "layers.lock: must be left out unless the mode is 'auto' (got 'x')"),
        ({"mode": "auto", "lock": ""}, "layers.lock: must be a path"),
        ({"packages": "rpm"}, "layers.packages: must be auto, dpkg, opkg, apk, none, "),
        ({"packages": "dpkg", "installed": "x"}, "layers.installed: must be left out unless packages is 'pkgdata:"),
        ({"packages": "pkgdata:x", "installed": ""}, "layers.installed: must be a path"),
        ({"packages": "pkgdata:"}, "layers.packages: must be auto, "),
    ],
)
def test_wrong_layers(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Layers(**values)
    assert message in str(caught.value)


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert Layers("auto", packages="pkgdata:d", installed="i").installed == f"{tmp_path}/i"
    layers = Layers("auto", lock="x.lock", packages="manifest:m")
    assert (layers.lock, layers.packages) == (f"{tmp_path}/x.lock", f"manifest:{tmp_path}/m")
