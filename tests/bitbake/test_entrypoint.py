"""What a container runs, for every combination of the variables, with the defaults of each release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.kit import Kit
from image_recipe import SMALL_IMAGE

from image_oci_rs.bitbake.deploy import Outputs
from image_oci_rs.bitbake.description import image_spec

SmallImage = Callable[..., BuildDirectory]

# OCI_IMAGE_ENTRYPOINT, OCI_IMAGE_CMD and OCI_IMAGE_ENTRYPOINT_ARGS of a recipe: `-` is unset, and `''` empty. Unset
# arguments are the same as empty ones. Then Entrypoint and Cmd, where `-` is none without a base image, and that of the
# base image with one; `''` clears the base image's.
#
# recipe    | inherit image-oci-rs, with OCI_IMAGE_DEFAULTS  | image-oci of scarthgap | image-oci of wrynose
#           | no base image           | on a base image      |                        |
#           | scarthgap    wrynose    | scarthgap  wrynose   | no base     base       | no base     base
TABLE = """
  -  -  ''  | sh  -       -  /bin/sh  | -   -      -   -     | sh -        sh -       | -  /bin/sh  -  /bin/sh
  -  -  a   | sh  a       -  a        | -   a      -   a     | sh a        sh a       | -  a        -  a
  -  '' ''  | sh  ''      -  /bin/sh  | -   ''     -   ''    | sh -        sh -       | -  /bin/sh  -  -
  -  '' a   | sh  a       -  a        | -   a      -   a     | sh a        sh a       | -  a        -  a
  -  c  ''  | -   c       -  c        | -   c      -   c     | sh c        sh c       | -  c        -  c
  -  c  a   | -   c       -  a        | -   c      -   a     | sh a        sh a       | -  a        -  a
  '' -  ''  | ''  /bin/sh '' /bin/sh  | ''  -      ''  -     | -  /bin/sh  -  -       | -  /bin/sh  -  /bin/sh
  '' -  a   | ''  a       '' a        | ''  a      ''  a     | -  a        -  a       | -  a        -  a
  '' '' ''  | ''  /bin/sh '' /bin/sh  | ''  ''     ''  ''    | -  /bin/sh  -  -       | -  /bin/sh  -  -
  '' '' a   | ''  a       '' a        | ''  a      ''  a     | -  a        -  a       | -  a        -  a
  '' c  ''  | ''  c       '' c        | ''  c      ''  c     | -  c        -  c       | -  c        -  c
  '' c  a   | ''  c       '' a        | ''  c      ''  a     | -  a        -  a       | -  a        -  a
  e  -  ''  | e   -       e  /bin/sh  | e   -      e   -     | e  -        e  -       | e  /bin/sh  e  /bin/sh
  e  -  a   | e   a       e  a        | e   a      e   a     | e  a        e  a       | e  a        e  a
  e  '' ''  | e   ''      e  ''       | e   ''     e   ''    | e  -        e  -       | e  -        e  -
  e  '' a   | e   a       e  a        | e   a      e   a     | e  a        e  a       | e  a        e  a
  e  c  ''  | e   c       e  c        | e   c      e   c     | e  c        e  c       | e  c        e  c
  e  c  a   | e   c       e  a        | e   c      e   a     | e  a        e  a       | e  a        e  a
"""
ROWS = [line.replace("|", " ").split() for line in TABLE.strip().splitlines()]
# The columns, in pairs of Entrypoint and Cmd: the class, the release, and whether there is a base image.
COLUMNS = [
    ("image-oci-rs", "scarthgap", False),
    ("image-oci-rs", "wrynose", False),
    ("image-oci-rs", "scarthgap", True),
    ("image-oci-rs", "wrynose", True),
    ("image-oci", "scarthgap", False),
    ("image-oci", "scarthgap", True),
    ("image-oci", "wrynose", False),
    ("image-oci", "wrynose", True),
]
VARIABLES = ("OCI_IMAGE_ENTRYPOINT", "OCI_IMAGE_CMD", "OCI_IMAGE_ENTRYPOINT_ARGS")


def recipe(kit: Kit, inherit: str, release: str) -> Any:
    conf = kit.image_oci(release) + 'OCI_IMAGE_BACKEND = "image-oci-rs"\n'
    if inherit == "image-oci-rs":
        conf += f'OCI_IMAGE_DEFAULTS = "{release}"\n'
    return kit.build_directory(f'inherit image {inherit}\nIMAGE_FSTYPES = "oci"\n', conf=conf).parse()


def starts(d: Any) -> list[str]:
    """Entrypoint and Cmd, as the table has them."""
    config = image_spec(d, Outputs.of(d)).config
    return ["-" if words is None else " ".join(words) or "''" for words in (config.entrypoint, config.cmd)]


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=[" ".join(map(str, column)) for column in COLUMNS])
def test_every_combination(kit: Kit, column: int) -> None:
    inherit, release, base = COLUMNS[column]
    parsed = recipe(kit, inherit, release)
    found = []
    for row in ROWS:
        d = parsed.createCopy()
        for variable, value in zip(VARIABLES, row):
            if value != "-":
                d.setVar(variable, value.replace("''", ""))
        if base:
            d.setVar("OCI_BASE_IMAGE", "/srv/base")
        found.append([*row[:3], *starts(d)])
    assert found == [[*row[:3], *row[3 + 2 * column : 5 + 2 * column]] for row in ROWS]


def test_the_table_is_complete() -> None:
    combinations = {(e, c, a) for e in ("-", "''", "e") for c in ("-", "''", "c") for a in ("''", "a")}
    assert {tuple(row[:3]) for row in ROWS} == combinations
    assert {len(row) for row in ROWS} == {3 + 2 * len(COLUMNS)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # Blanks are nothing, and a variable that turns out empty is one that is empty.
        ('OCI_IMAGE_ENTRYPOINT = " "', ["''", "/bin/sh"]),
        ('MINE = ""\nOCI_IMAGE_ENTRYPOINT = "${MINE}"', ["''", "/bin/sh"]),
        ('OCI_IMAGE_CMD = " "', ["sh", "''"]),
        ('OCI_BASE_IMAGE = " "', ["sh", "-"]),
        ('OCI_IMAGE_ENTRYPOINT += "-l"', ["sh -l", "-"]),
        ('OCI_IMAGE_ENTRYPOINT:append = " -l"', ["sh -l", "-"]),
    ],
)
def test_other_ways_to_write_it(small_image: SmallImage, line: str, expected: list[str]) -> None:
    assert starts(small_image(line).parse()) == expected


@pytest.mark.parametrize("value", ["", "master", "Wrynose", "scarthgap wrynose"])
def test_defaults_of_no_known_release_are_refused(small_image: SmallImage, value: str) -> None:
    assert small_image(f'OCI_IMAGE_DEFAULTS = "{value}"').parse().getVar("__SKIPPED") == (
        'OCI_IMAGE_DEFAULTS: must be scarthgap (the entrypoint is "sh") or wrynose (the command is "/bin/sh")'
        f" (got '{value}')"
    )


ROOTFS_WITH_SHELL = {
    "in bin": "mkdir bin; ln -s busybox bin/sh",
    "merged usr": "mkdir -p usr/bin; ln -s usr/bin bin; touch usr/bin/sh",
    "merged usr, absolute": "mkdir -p usr/bin; ln -s /usr/bin bin; touch usr/bin/sh",
}


@pytest.mark.parametrize("command", ROOTFS_WITH_SHELL.values(), ids=ROOTFS_WITH_SHELL)
def test_a_shell_that_is_there(kit: Kit, command: str) -> None:
    assert "set OCI_IMAGE_ENTRYPOINT" not in log_of_task(kit, command)


@pytest.mark.parametrize(
    ("line", "start"),
    [("", "sh"), ('OCI_IMAGE_ENTRYPOINT = ""', "/bin/sh"), ('OCI_IMAGE_DEFAULTS = "wrynose"', "/bin/sh")],
)
def test_a_shell_that_is_not_there_is_told(kit: Kit, line: str, start: str) -> None:
    assert (
        f"NOTE: a container of this image starts {start}, and the root filesystem has none: set OCI_IMAGE_ENTRYPOINT or"
        " OCI_IMAGE_CMD to a program that it has"
    ) in log_of_task(kit, "touch app", line)
    assert "a container of this image starts" not in log_of_task(kit, "touch app", 'OCI_IMAGE_CMD = "/app"')


def log_of_task(kit: Kit, command: str, line: str = "") -> str:
    outcome = kit.build_directory(f'{SMALL_IMAGE}ROOTFS_COMMAND = "{command}"\n{line}\n').run()
    assert outcome.succeeded, outcome.output
    return outcome.log("do_image_oci")
