from __future__ import annotations

import errno
import os
import pickle

import pytest

from image_oci_rs import (
    ImageError,
    ImageOSError,
    InternalError,
    LayoutError,
    OutputExistsError,
    PackagesError,
    RootfsError,
    SpecError,
)
from image_oci_rs.errors import from_core, os_error


@pytest.mark.parametrize(
    ("code", "builtin"),
    [
        (errno.ENOENT, FileNotFoundError),
        (errno.EACCES, PermissionError),
        (errno.EPERM, PermissionError),
        (errno.EEXIST, FileExistsError),
        (errno.ENOTDIR, NotADirectoryError),
        (errno.EISDIR, IsADirectoryError),
        (errno.ETIMEDOUT, TimeoutError),
        (errno.ENOSPC, OSError),
        (errno.EIO, OSError),
    ],
)
def test_operating_system_errors(code: int, builtin: type[OSError]) -> None:
    error = os_error(code, os.strerror(code), "/a b", "open")
    assert isinstance(error, builtin)
    assert isinstance(error, ImageOSError)
    assert isinstance(error, ImageError)
    assert (error.errno, error.strerror, error.filename) == (code, os.strerror(code), "/a b")
    assert str(error) == f"can't open '/a b': {os.strerror(code)}"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.errno) == (type(error), str(error), code)


@pytest.mark.parametrize(
    ("kind", "fields", "expected", "text"),
    [
        ("spec", {"field": "tag", "value": "a b", "reason": "is wrong"},
         SpecError, "tag: is wrong (got 'a b')"),
        ("rootfs", {"path": "/r"}, RootfsError, "message"),
        ("packages", {"path": "/p"}, PackagesError, "message"),
        ("layout", {"path": "/r"}, LayoutError, "message"),
        ("os", {"errno": 2, "strerror": "No such file", "filename": "/r", "operation": "read"},
         FileNotFoundError, "can't read '/r': No such file"),
        ("os", {"errno": None, "strerror": "unexpected end", "filename": "/r", "operation": "read"},
         ImageOSError, "can't read '/r': unexpected end"),
        ("output_exists", {"filename": "/r", "replaceable": True},
         OutputExistsError, "output '/r' exists already"),
        ("output_exists", {"filename": "/r", "replaceable": False},
         OutputExistsError, "output '/r' is a directory that holds other things than an image layout"),
        ("internal", {}, InternalError, "message"),
    ],
)  # fmt: skip
def test_errors_of_the_core(kind: str, fields: dict[str, object], expected: type[Exception], text: str) -> None:
    message = 'tag: is wrong (got "a b")' if kind == "spec" else "message"
    error = from_core(kind, message, fields)
    assert isinstance(error, expected)
    assert isinstance(error, ImageError)
    assert str(error) == text
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), text, vars(error))


def test_what_an_error_is_about() -> None:
    assert from_core("rootfs", "m", {"path": "/r"}).path == "/r"  # type: ignore[attr-defined]
    assert from_core("layout", "m", {"path": "/l"}).path == "/l"  # type: ignore[attr-defined]
    exists = from_core("output_exists", "m", {"filename": "/x", "replaceable": True})
    assert isinstance(exists, FileExistsError)
    assert (exists.errno, exists.filename) == (errno.EEXIST, "/x")


def test_a_wrong_value_is_a_value_error_with_its_parts() -> None:
    error = SpecError("must be 1", "threads", 0)
    assert isinstance(error, ValueError)
    assert (error.field, error.value, error.reason) == ("threads", 0, "must be 1")
    assert (str(error), error.detail) == ("threads: must be 1 (got 0)", "must be 1 (got 0)")
    assert str(SpecError("must be 1", "", 0)) == "must be 1 (got 0)"
