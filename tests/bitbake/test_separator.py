r"""The separator of sloci-image, `\@\`, in recipes that were written for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory

from image_oci_rs.bitbake.deploy import Outputs
from image_oci_rs.bitbake.description import image_spec

SmallImage = Callable[..., BuildDirectory]


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        (r'OCI_IMAGE_ENTRYPOINT_ARGS = "-iwad\\@\\/usr/share/game.wad"', "cmd", ("-iwad", "/usr/share/game.wad")),
        (r'OCI_IMAGE_ENTRYPOINT_ARGS = "-f\@\-s\@\1000"', "cmd", ("-f", "-s", "1000")),
        # sloci-image gets it as one text, whose blanks are part of the words.
        (r'OCI_IMAGE_ENTRYPOINT_ARGS = "--title\\@\\Hello World"', "cmd", ("--title", "Hello World")),
        (r'OCI_IMAGE_ENTRYPOINT_ARGS = "\\@\\a\\@\\b"', "cmd", ("a", "b")),
        (r'''OCI_IMAGE_ENTRYPOINT_ARGS = "-c 'a\\@\\b'"''', "cmd", ("-c", r"a\\@\\b")),
        (r'OCI_IMAGE_ENTRYPOINT_ARGS = "user@host a"', "cmd", ("user@host", "a")),
        (r'OCI_IMAGE_ENTRYPOINT = "/usr/bin/app\\@\\--verbose"', "entrypoint", ("/usr/bin/app", "--verbose")),
        (r'OCI_IMAGE_ENV_VARS = "A=1\\@\\B=2 C=3"', "env", ("A=1", "B=2", "C=3")),
        (r'OCI_IMAGE_PORTS = "80\\@\\81"', "exposed_ports", ("80/tcp", "81/tcp")),
    ],
)
def test_words(small_image: SmallImage, line: str, field: str, expected: Any) -> None:
    d = small_image(line).parse()
    assert d.getVar("__SKIPPED") is None
    assert getattr(image_spec(d, Outputs.of(d)).config, field) == expected
