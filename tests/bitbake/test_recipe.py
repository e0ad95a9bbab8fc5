"""The layer's own files, as BitBake reads them: conf/layer.conf and the recipe of the engine."""

from __future__ import annotations

import re
from glob import glob
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bb.data
import bb.parse
import pytest
from bitbake_harness.datastore import parse
from bitbake_harness.kit import NATIVE_RECIPE, REPOSITORY, Kit

# What this recipe needs of OE-core's bitbake.conf, and image recipes do not.
OF_BITBAKE_CONF = """
BPN = "${PN}"
BP = "${BPN}-${PV}"
THISDIR = "${@os.path.dirname(d.getVar('FILE'))}"
FILESEXTRAPATHS = "__default:"
"""
CARGO = (REPOSITORY / "Cargo.toml").read_text()


def layer() -> Any:
    d = bb.data.init()
    d.setVar("LAYERDIR", str(REPOSITORY))
    return bb.parse.handle(str(REPOSITORY / "conf/layer.conf"), d, True)


def recipe_files() -> list[Path]:
    return sorted({Path(name) for pattern in layer().getVar("BBFILES").split() for name in glob(pattern)})


def recipe_file() -> Path:
    (found,) = (file for file in recipe_files() if file.name.startswith("python3-image-oci-rs_"))
    return found


def recipe(kit: Kit, conf: str = "") -> Any:
    build = kit.build_directory("", conf=OF_BITBAKE_CONF + conf)
    return parse(build.top, recipe_file())


def of_cargo(key: str) -> str:
    (value,) = re.findall(rf'^{key} = "(.*)"$', CARGO, re.MULTILINE)
    return str(value)


def test_the_layer() -> None:
    d = layer()
    name = "image-oci-rs"
    assert d.getVar("BBPATH") == f":{REPOSITORY}"
    assert d.getVar("BBFILE_COLLECTIONS").split() == [name]
    assert all(re.match(d.getVar(f"BBFILE_PATTERN_{name}"), str(file)) for file in recipe_files())
    assert d.getVar(f"LAYERDEPENDS_{name}") == "core"
    assert d.getVar(f"LAYERSERIES_COMPAT_{name}") == "scarthgap whinlatter wrynose blacksail"


@pytest.mark.parametrize(
    "file", [file for file in recipe_files() if file.parent.name == "images"], ids=lambda file: file.stem
)
def test_examples_have_nothing_wrong_and_hide_no_recipe_of_others(kit: Kit, file: Path) -> None:
    assert parse(kit.build_directory("", conf='BBMULTICONFIG = "arm"').top, file).getVar("__SKIPPED") is None
    assert file.name.startswith("oci-example-")


def test_what_yocto_check_layer_wants_to_read() -> None:
    text = (REPOSITORY / "README.md").read_text()
    assert "README" not in text, "a README that names another one is not looked into"
    assert "maintainer" in text.lower()
    assert "patch" in text.lower()
    assert re.search(r"[\w.-]+@[\w-]+\.[\w.]+", text)
    assert (REPOSITORY / "SECURITY.md").exists()


def test_recipe_wheel_and_crate_have_one_version(kit: Kit) -> None:
    assert {recipe(kit).getVar("PV"), version("image-oci-rs")} == {of_cargo("version")}


def test_the_recipe_is_the_one_that_the_class_asks_for(kit: Kit) -> None:
    d = recipe(kit)
    assert d.getVar("PN") + "-native" == NATIVE_RECIPE
    assert d.getVar("BBCLASSEXTEND").split() == ["native", "nativesdk"]
    # The names that OCI_IMAGE_BACKEND may have; image-oci.bbclass includes a file by it.
    names = {d.getVar("PN"), *d.getVar("PROVIDES").split()}
    assert {f"image-oci-{name}.inc" for name in names} == {file.name for file in REPOSITORY.glob("*.inc")}
    assert (kit.layers[1] / "classes/oci-rs-engine.bbclass").read_text().count(f'"{NATIVE_RECIPE}:do_populate_sysroot"')


def test_the_source_is_the_layer(kit: Kit) -> None:
    d = recipe(kit)
    words = d.getVar("SRC_URI").split()
    names = [word[len("file://") :].partition(";")[0] for word in words if word.startswith("file://")]
    (place,) = [part for part in d.getVar("FILESEXTRAPATHS").split(":") if part.startswith("/")]
    for name in names:
        assert (Path(place) / name).exists(), name
    # What Cargo.toml and pyproject.toml name must be there, or cargo and maturin stop.
    named = {"Cargo.toml", "Cargo.lock", "pyproject.toml", "src", "python", of_cargo("readme")}
    named |= {f"benches/{bench}.rs" for bench in re.findall(r'^\[\[bench\]\]\n(?:#.*\n)*name = "(.*)"', CARGO, re.M)}
    assert set(names) == named | {"LICENSE"}
    # A directory of its own, so that nothing else of the layer's is taken for source.
    assert {word.partition(";")[2] for word in words if word.startswith("file://")} == {f"subdir={d.getVar('BP')}"}


def test_every_crate_has_a_checksum(kit: Kit) -> None:
    d = recipe(kit)
    crates = re.findall(r"crate://crates\.io/(\S+)/(\S+)", d.getVar("SRC_URI"))
    locked = (REPOSITORY / "Cargo.lock").read_text()
    assert len(crates) == locked.count('\nchecksum = "')
    for name, number in crates:
        checksum = d.getVarFlag("SRC_URI", f"{name}-{number}.sha256sum")
        assert f'name = "{name}"\nversion = "{number}"\n' in locked
        assert f'checksum = "{checksum}"' in locked


def test_zstd_is_the_one_of_the_lock_file(kit: Kit) -> None:
    lines = recipe(kit).getVar("oe_cargo_fix_env").split("\n")
    assert [line.strip() for line in lines if line.strip()][-1] == "unset ZSTD_SYS_USE_PKG_CONFIG"


@pytest.mark.parametrize(("file", "operator"), [("lib/oe/spdx_license.py", "AND"), ("lib/oe/license.py", "&")])
def test_licenses_are_joined_as_the_release_expects(kit: Kit, tmp_path: Path, file: str, operator: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    licenses = recipe(kit, f'BBPATH .= ":{tmp_path}"\n').getVar("LICENSE").split(f" {operator} ")
    assert {"MIT", "Apache-2.0", "bzip2-1.0.6"} <= set(licenses)
    assert not any("&" in name or " " in name for name in licenses)
