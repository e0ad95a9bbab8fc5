"""The package as such: what it needs, and what it says of itself."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import image_oci_rs
from image_oci_rs import Progress
from image_oci_rs.version import VERSION, files_digest

PACKAGE = Path(image_oci_rs.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_python_3_9_and_need_nothing_else(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    # BitBake provides its own package.
    allowed = {"bb"} if path.parent.name == "bitbake" else set()
    if sys.version_info >= (3, 10):
        allowed = allowed | sys.stdlib_module_names
        assert imported(tree) - allowed == set()


def test_all_names_exist_and_are_documented() -> None:
    for name in image_oci_rs.__all__:
        if not name.startswith("__"):
            assert getattr(image_oci_rs, name) is not None
    for function in (image_oci_rs.build, image_oci_rs.index, image_oci_rs.validate, image_oci_rs.inspect):
        assert function.__doc__
        assert "Raises:" in function.__doc__
    assert (PACKAGE / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        image_oci_rs.nothing  # noqa: B018


def test_the_package_can_be_imported_without_its_core() -> None:
    script = """
import sys
sys.modules["image_oci_rs._core"] = None
import image_oci_rs
spec = image_oci_rs.ImageSpec.loads(sys.argv[1])
try:
    image_oci_rs.build(spec)
except ImportError as error:
    print("ImportError")
"""
    spec = '{"sources": [{"path": "/r"}], "name": "a", "platform": {"architecture": "arm"}, '
    spec += '"output": {"layout": "/x"}}'
    done = subprocess.run([sys.executable, "-c", script, spec], capture_output=True, text=True, check=True)
    assert done.stdout == "ImportError\n"


def test_package_and_crate_have_one_version() -> None:
    cargo = (Path(__file__).resolve().parents[2] / "Cargo.toml").read_text()
    assert re.findall('^version = "(.*)"$', cargo, re.MULTILINE) == [VERSION]
    assert image_oci_rs.__version__ == VERSION


def test_core_of_another_version_is_an_error() -> None:
    script = """
import image_oci_rs.version
image_oci_rs.version.VERSION = "99.1"
try:
    image_oci_rs.inspect("/nowhere")
except image_oci_rs.VersionError as error:
    print(error)
from image_oci_rs import cli
import sys
sys.argv = ["image-oci-rs", "--version"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    message = (
        f"The Python package {str(PACKAGE)!r} is version 99.1, and its compiled core is {VERSION}:"
        " they were not installed together. Install the package again\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, message, f"image-oci-rs: error: {message}")


def test_digest_of_files_tells_copies_apart(tmp_path: Path) -> None:
    copy = tmp_path / "image_oci_rs"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    assert digest_of(copy) == files_digest()
    (copy / "bitbake/new.py").write_text("")
    assert digest_of(copy) != files_digest()


def digest_of(package: Path) -> str:
    script = "from image_oci_rs.version import files_digest; print(files_digest())"
    environment = {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_example_in_the_documentation_is_python() -> None:
    assert image_oci_rs.__doc__
    example = re.split(r"::\n\n", image_oci_rs.__doc__)[1]
    ast.parse("if True:\n" + example)


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [
        (Progress(1, 10, None, None), None),
        (Progress(1, 10, 4, 40), 0.25),
        (Progress(1, 50, 4, 40), 1.0),
        (Progress(1, 0, 4, 0), 0.25),
        (Progress(0, 0, 0, 0), 1.0),
    ],
)
def test_fraction(progress: Progress, fraction: float | None) -> None:
    assert progress.fraction == fraction
