"""The package as such: what it needs, and what it says of itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import image_oci_rs
from image_oci_rs import Progress

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
