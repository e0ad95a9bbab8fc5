"""Which of the two recipes provides the engine, and what the one installs that takes a wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import bb
import bb.build
import bb.fetch2
import pytest
from bitbake_harness.datastore import parse
from bitbake_harness.kit import NATIVE_RECIPE, REPOSITORY, Kit
from test_recipe import OF_BITBAKE_CONF, of_cargo

VERSION = of_cargo("version")
SOURCE = f"python3-image-oci-rs_{VERSION}.bb"
WHEEL = f"python3-image-oci-rs-bin-native_{VERSION}.bb"
OLD, NEW = 'PREFERRED_VERSION_rust-native = "1.75%"\n', 'PREFERRED_VERSION_rust-native = "1.94.1%"\n'
# These recipes also need parts of OE-core's bitbake.conf.
CONF = OF_BITBAKE_CONF + 'BUILD_ARCH = "x86_64"\nCOREBASE = "${TOPDIR}"\nUNPACKDIR = "${WORKDIR}/sources"\n'
FILE = f"image_oci_rs-{VERSION}-cp39-abi3-manylinux_2_28_x86_64.whl"
CHECKSUM = "0123456789abcdef" * 4


def recipe(kit: Kit, file: str, conf: str) -> Any:
    build = kit.build_directory("", conf=CONF + conf)
    return parse(build.top, REPOSITORY / "recipes-devtools/python" / file)


def skipped(kit: Kit, file: str, conf: str) -> str | None:
    reason = recipe(kit, file, conf).getVar("__SKIPPED")
    return None if reason is None else str(reason)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / FILE
    with zipfile.ZipFile(path, "w") as archive:
        for file in ("image_oci_rs/__init__.py", "image_oci_rs/cli.py", "image_oci_rs-0.1.0.dist-info/RECORD"):
            archive.writestr(file, "def main():\n    print('the command')\n" if "cli" in file else "")
    return path


@pytest.mark.parametrize(
    ("conf", "provider"),
    [
        (NEW, SOURCE),
        (OLD, WHEEL),
        ('PREFERRED_VERSION_rust-native = "1.88%"\n', SOURCE),
        ('PREFERRED_VERSION_rust-native = "1.87.0"\n', WHEEL),
        # Nothing is known of Rust.
        ("", SOURCE),
        (NEW + 'OCI_ENGINE = "wheel"\n', WHEEL),
        (OLD + 'OCI_ENGINE = "source"\n', SOURCE),
    ],
)
def test_one_recipe_provides_the_engine(kit: Kit, wheel: Path, conf: str, provider: str) -> None:
    conf += f'OCI_ENGINE_WHEEL = "{wheel}"\n'
    assert [file for file in (SOURCE, WHEEL) if skipped(kit, file, conf) is None] == [provider]


def test_without_a_preference_the_newest_rust_counts(kit: Kit) -> None:
    build = kit.build_directory("", conf=CONF)
    recipes = build.top / "meta/recipes-devtools/rust"
    recipes.mkdir(parents=True)
    file = REPOSITORY / "recipes-devtools/python" / SOURCE
    for version, too_old in ("1.9.0", True), ("1.75.0", True), ("1.100.1", False):
        (recipes / f"rust_{version}.bb").touch()
        reason = parse(build.top, file).getVar("__SKIPPED")
        assert (reason is not None) == too_old, version
        assert reason is None or f"rust-native is {version}." in reason


def test_both_recipes_provide_the_same_names(kit: Kit, wheel: Path) -> None:
    d = recipe(kit, WHEEL, OLD + f'OCI_ENGINE_WHEEL = "{wheel}"\n')
    assert d.getVar("PROVIDES").split() == [NATIVE_RECIPE, "image-oci-rs-native"]
    source = recipe(kit, SOURCE, NEW)
    assert d.getVar("LICENSE") == source.getVar("LICENSE")
    assert d.getVar("PV") == source.getVar("PV")
    checksum = d.getVar("LIC_FILES_CHKSUM").partition(";md5=")[2]
    assert bb.utils.md5_file(str(REPOSITORY / "LICENSE")) == checksum


def test_rust_version_is_that_of_cargo(kit: Kit) -> None:
    assert recipe(kit, SOURCE, NEW).getVar("OCI_ENGINE_RUST") == of_cargo("rust-version")


def test_source_recipe_names_the_ways_out(kit: Kit) -> None:
    assert skipped(kit, SOURCE, OLD) == (
        "The engine needs Rust 1.88 to compile, and rust-native is 1.75. The engine is installed from a wheel, by"
        " python3-image-oci-rs-bin-native. To compile it, add a layer with a newer Rust, such as meta-lts-mixins, or"
        ' set OCI_ENGINE = "source"'
    )


MAKE_WHEEL = f'Run "make wheel" in {REPOSITORY}, on an x86_64 machine with Rust 1.88; it prints the line for local.conf'


@pytest.mark.parametrize(
    ("conf", "problem"),
    [
        ("", f"OCI_ENGINE_WHEEL is not set, and no wheel of version {VERSION} for x86_64 is released. {MAKE_WHEEL}"),
        (
            'BUILD_ARCH = "riscv64"\n',
            f"OCI_ENGINE_WHEEL is not set, and no wheel of version {VERSION} for riscv64 is released. "
            + MAKE_WHEEL.replace("x86_64", "riscv64"),
        ),
        (f'OCI_ENGINE_WHEEL = "{FILE}"\n', f'OCI_ENGINE_WHEEL: must be an absolute path or a URL (got "{FILE}")'),
        (
            'OCI_ENGINE_WHEEL = "/x/other.whl"\n',
            f'OCI_ENGINE_WHEEL: must name a file image_oci_rs-{VERSION}-cp39-abi3-PLATFORM.whl (got "/x/other.whl")',
        ),
        (
            'OCI_ENGINE_WHEEL = "/x/image_oci_rs-0.0.9-cp39-abi3-linux_x86_64.whl"\n',
            f"OCI_ENGINE_WHEEL: must be version {VERSION}, as this layer is"
            f' (got "/x/image_oci_rs-0.0.9-cp39-abi3-linux_x86_64.whl"). {MAKE_WHEEL}',
        ),
        (
            f'OCI_ENGINE_WHEEL = "/x/image_oci_rs-{VERSION}-cp39-abi3-linux_aarch64.whl"\n',
            "OCI_ENGINE_WHEEL: must be for x86_64, as the build machine is"
            f' (got "/x/image_oci_rs-{VERSION}-cp39-abi3-linux_aarch64.whl"). {MAKE_WHEEL}',
        ),
        (f'OCI_ENGINE_WHEEL = "/x/{FILE}"\n', f'OCI_ENGINE_WHEEL: does not exist (got "/x/{FILE}"). {MAKE_WHEEL}'),
        (
            f'OCI_ENGINE_WHEEL = "https://example.com/{FILE}"\n',
            f'OCI_ENGINE_WHEEL_SHA256: must be what sha256sum prints for {FILE} (got "")',
        ),
    ],
)
def test_wrong_wheel_is_reported_at_parse_time(kit: Kit, conf: str, problem: str) -> None:
    reason = "The engine needs Rust 1.88 to compile, and rust-native is 1.75."
    assert skipped(kit, WHEEL, OLD + conf) == f"{reason} {problem}"


def test_wrong_choice_is_reported_at_parse_time(kit: Kit) -> None:
    for file in SOURCE, WHEEL:
        problem = 'OCI_ENGINE: must be source, wheel or empty (got "rust")'
        assert skipped(kit, file, 'OCI_ENGINE = "rust"\n') == problem


def test_wheel_of_a_url_is_fetched_with_its_checksum(kit: Kit) -> None:
    conf = f'OCI_ENGINE_WHEEL = "https://example.com/{FILE}"\nOCI_ENGINE_WHEEL_SHA256 = "{CHECKSUM}"\n'
    d = recipe(kit, WHEEL, OLD + conf)
    assert d.getVar("__SKIPPED") is None
    assert d.getVar("SRC_URI") == f"https://example.com/{FILE}"
    assert d.getVarFlag("SRC_URI", "sha256sum") == CHECKSUM


def test_release_needs_no_line_in_local_conf(kit: Kit) -> None:
    d = recipe(kit, WHEEL, OLD)
    d.setVarFlag("RELEASED_SHA256", "x86_64", CHECKSUM)
    assert d.getVar("OCI_ENGINE_WHEEL_SHA256") == CHECKSUM
    assert d.getVar("SRC_URI").endswith(f"/releases/download/v{VERSION}/{FILE}")


def test_what_is_installed(kit: Kit, wheel: Path) -> None:
    d = recipe(kit, WHEEL, OLD + f'OCI_ENGINE_WHEEL = "{wheel}"\n')
    unpacked = Path(d.getVar("S"))
    unpacked.mkdir(parents=True)
    (unpacked / FILE).write_bytes(wheel.read_bytes())
    bb.utils.mkdirhier(d.getVar("T"))
    bb.build.exec_func("do_install", d)
    packages = Path(d.expand("${D}${PYTHON_SITEPACKAGES_DIR}"))
    assert sorted(path.name for path in packages.glob("image_oci_rs*/*")) == ["RECORD", "__init__.py", "cli.py"]
    command = Path(d.expand("${D}${bindir}/image-oci-rs"))
    assert command.stat().st_mode & 0o777 == 0o755
    assert command.read_text().startswith("#!/usr/bin/env nativepython3\n")
    environment = {"PYTHONPATH": str(packages)}
    done = subprocess.run([sys.executable, command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "the command\n"
