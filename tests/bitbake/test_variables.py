"""What variables and varflags mean, and what is said of wrong ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import bb
import pytest
from bitbake_harness.build_directory import BuildDirectory
from image_recipe import layout_json

from image_oci_rs.bitbake.deploy import Outputs
from image_oci_rs.bitbake.description import image_spec
from image_oci_rs.bitbake.image import build_image

SmallImage = Callable[..., BuildDirectory]


# The annotation that holds the image's name.
IMAGE_NAME = "io.containerd.image.name"


def spec_of(build: BuildDirectory) -> dict[str, Any]:
    d = build.parse()
    return image_spec(d, Outputs.of(d)).to_json()


# Lines of a recipe, then what they make of fields of the build.
MEANINGS: list[tuple[str, dict[str, Any]]] = [
    # test_entrypoint.py has every combination.
    ("", {"config.entrypoint": ["sh"], "config.cmd": None, "name": "app", "tag": "latest"}),
    ('OCI_IMAGE_CMD = "/bin/app"', {"config.entrypoint": None, "config.cmd": ["/bin/app"]}),
    ('OCI_IMAGE_CMD = ""', {"config.entrypoint": ["sh"], "config.cmd": []}),
    # On a base image, what is unset is the base's, and what is empty is nothing.
    ('OCI_BASE_IMAGE = "/b"', {"config.entrypoint": None, "config.cmd": None, "config.user": None}),
    ('OCI_BASE_IMAGE = "/b"\nOCI_IMAGE_ENTRYPOINT = ""', {"config.entrypoint": []}),
    ('OCI_IMAGE_RUNTIME_UID = ""\nOCI_IMAGE_PORTS = ""', {"config.user": "", "config.exposed_ports": []}),
    ('OCI_IMAGE_VOLUMES = ""\nOCI_IMAGE_WORKINGDIR = ""', {"config.volumes": [], "config.working_dir": ""}),
    ('OCI_IMAGE_STOPSIGNAL = ""', {"config.stop_signal": ""}),
    ('OCI_BASE_IMAGE = "/b"', {"base.path": "/b", "base.tag": None, "base.mode": "overlay"}),
    (
        'OCI_BASE_IMAGE = "lower"\nOCI_BASE_IMAGE_TAG = "a:1"\nDEPLOY_DIR_IMAGE = "/d"\nOCI_BASE_MODE = "exact"',
        {"base.path": "/d/lower-a_1-oci", "base.tag": None, "base.mode": "exact"},
    ),
    (
        'OCI_IMAGE_ENTRYPOINT_ARGS = "-c env"',
        {"config.entrypoint": ["sh"], "config.cmd": ["-c", "env"]},
    ),
    ('OCI_IMAGE_ENTRYPOINT_ARGS = "-c env"\nOCI_IMAGE_CMD = ""', {"config.cmd": ["-c", "env"]}),
    ('OCI_IMAGE_ENTRYPOINT_ARGS = "-c env"\nOCI_IMAGE_CMD = "id"', {"config.cmd": ["id"]}),
    (
        'OCI_IMAGE_ENTRYPOINT = "/usr/bin/catatonit --"',
        {"config.entrypoint": ["/usr/bin/catatonit", "--"]},
    ),
    (
        """OCI_IMAGE_CMD = "/bin/sh -c 'echo Hello from layered container'\"""",
        {"config.cmd": ["/bin/sh", "-c", "echo Hello from layered container"]},
    ),
    # Environment variables.
    ('OCI_IMAGE_ENV_VARS += "GST_DEBUG="*:3""', {"config.env": ["GST_DEBUG=*:3"]}),
    ("""OCI_IMAGE_ENV_VARS = 'GST_DEBUG="*:3"'""", {"config.env": ["GST_DEBUG=*:3"]}),
    (
        """OCI_IMAGE_ENV_VARS = '"PATH=/usr/local/bin:/usr/bin"'""",
        {"config.env": ["PATH=/usr/local/bin:/usr/bin"]},
    ),
    (
        """OCI_IMAGE_ENV_VARS = 'PATH="/usr/local/bin:/usr/bin"'""",
        {"config.env": ["PATH=/usr/local/bin:/usr/bin"]},
    ),
    (
        'OCI_IMAGE_ENV_VARS = "CAN=cansim \\\n    ADDR=a:55555 \\\n"',
        {"config.env": ["CAN=cansim", "ADDR=a:55555"]},
    ),
    ("OCI_IMAGE_ENV_VARS = \"EMPTY= ALSO=''\"", {"config.env": ["EMPTY=", "ALSO="]}),
    ('OCI_IMAGE_ENV_VARS = "A=b=c==d"', {"config.env": ["A=b=c==d"]}),
    (
        """OCI_IMAGE_ENV_VARS = "A='$HOME' B=$1 C='${@1+1}'\"""",
        {"config.env": ["A=$HOME", "B=$1", "C=2"]},
    ),
    (
        r"""OCI_IMAGE_ENV_VARS = "A='\n\\' B=\\ C=\ d" """.rstrip(),
        {"config.env": ["A=\\n\\\\", "B=\\", "C= d"]},
    ),
    (
        "OCI_IMAGE_ENV_VARS = \"A='tab\there' B='${@'new\\nline'}'\"",
        {"config.env": ["A=tab\there", "B=new\nline"]},
    ),
    ('OCI_IMAGE_ENV_VARS = "STRASSE=Straße SNOW=☃"', {"config.env": ["STRASSE=Straße", "SNOW=☃"]}),
    ('OCI_IMAGE_ENV_VARS = "A=1 B=2 A=3"', {"config.env": ["A=3", "B=2"]}),
    (
        'OCI_IMAGE_ENV_VARS = "B=1 A=1"\nOCI_IMAGE_ENV_VARS[Z] = "z"\nOCI_IMAGE_ENV_VARS[A] = "2"',
        {"config.env": ["B=1", "A=2", "Z=z"]},
    ),
    (
        'OCI_IMAGE_ENV_VARS[GST_DEBUG] = "*:3 and a space"',
        {"config.env": ["GST_DEBUG=*:3 and a space"]},
    ),
    # Labels and annotations.
    (
        "OCI_IMAGE_LABELS = \".title=App maintainer=me 'with space=two words'\"",
        {
            "config.labels": {
                "org.opencontainers.image.title": "App",
                "maintainer": "me",
                "with space": "two words",
            }
        },
    ),
    (
        'OCI_IMAGE_LABELS[.title] = "An app"',
        {"config.labels": {"org.opencontainers.image.title": "An app"}},
    ),
    (
        'OCI_IMAGE_LABELS = "a=1"\nOCI_IMAGE_LABELS[a] = "2"\nOCI_IMAGE_LABELS[doc] = "no label"',
        {"config.labels": {"a": "2"}},
    ),
    (
        'export OCI_IMAGE_LABELS = "a=1"\nOCI_IMAGE_LABELS[type] = "list"',
        {"config.labels": {"a": "1"}},
    ),
    (
        'OCI_IMAGE_ANNOTATIONS = "a=1 \'b=2 3\'"\nOCI_IMAGE_ANNOTATIONS[c.d/e] = ""',
        {"annotations": {"a": "1", "b": "2 3", "c.d/e": ""}},
    ),
    # The other lists.
    (
        'OCI_IMAGE_PORTS = "80 5353/udp 80/tcp 9/sctp"',
        {"config.exposed_ports": ["80/tcp", "5353/udp", "9/sctp"]},
    ),
    ("OCI_IMAGE_VOLUMES = \"/data '/my data'\"", {"config.volumes": ["/data", "/my data"]}),
    # Single values.
    ('OCI_IMAGE_RUNTIME_UID = "1000:1000"', {"config.user": "1000:1000"}),
    ('OCI_IMAGE_WORKINGDIR = "/srv/my app"', {"config.working_dir": "/srv/my app"}),
    ('OCI_IMAGE_STOPSIGNAL = "term"', {"config.stop_signal": "SIGTERM"}),
    ("", {"config.user": None, "config.working_dir": None, "config.stop_signal": None}),
    (
        'OCI_IMAGE_NAME = "r.example:5000/team/app"',
        {"name": "r.example:5000/team/app", "tag": "latest"},
    ),
    ('OCI_IMAGE_TAG = "seat-service:1.0"', {"name": "seat-service", "tag": "1.0"}),
    ("", {"extra_tags": []}),
    ('OCI_IMAGE_EXTRA_TAGS = "1 1.2 localhost/11.2:latest"', {"extra_tags": ["1", "1.2", "localhost/11.2:latest"]}),
    # A name among the annotations, if no variable has one.
    (
        f'OCI_IMAGE_ANNOTATIONS = "a=1 {IMAGE_NAME}=team/b"',
        {"name": "team/b", "tag": "latest", "annotations": {"a": "1"}},
    ),
    (f'OCI_IMAGE_ANNOTATIONS[{IMAGE_NAME}] = "docker.io/library/b:1"', {"name": "docker.io/library/b", "tag": "1"}),
    (
        f'IMAGE_BASENAME = "App"\nOCI_IMAGE_ANNOTATIONS[{IMAGE_NAME}] = "r.example:5000/b"\nOCI_IMAGE_TAG = "2"',
        {"name": "r.example:5000/b", "tag": "2"},
    ),
    (f'OCI_IMAGE_ANNOTATIONS[{IMAGE_NAME}] = "b:1"\nOCI_IMAGE_TAG = "2"', {"name": "b", "tag": "2"}),
    (
        f'OCI_IMAGE_ANNOTATIONS[{IMAGE_NAME}] = "b:1"\nOCI_IMAGE_NAME = "c"',
        {"name": "c", "tag": "latest", "annotations": {}},
    ),
    (f'OCI_IMAGE_ANNOTATIONS[{IMAGE_NAME}] = "b:1"\nOCI_IMAGE_TAG = "c:2"', {"name": "c", "tag": "2"}),
    ('OCI_IMAGE_TAG = "r.example:5000/seat:1.0"', {"name": "r.example:5000/seat", "tag": "1.0"}),
    # Platform.
    ("", {"platform": {"architecture": "amd64", "os": "linux", "variant": None}}),
    (
        'TARGET_ARCH = "arm"\nTUNE_FEATURES = "arm vfp armv7a thumb callconvention-hard"',
        {"platform": {"architecture": "arm", "os": "linux", "variant": "v7"}},
    ),
    (
        'TARGET_ARCH = "arm"\nTUNE_FEATURES = "arm armv5 thumb dsp"',
        {"platform": {"architecture": "arm", "os": "linux", "variant": "v5"}},
    ),
    (
        'TARGET_ARCH = "arm"\nTUNE_FEATURES = "arm armv6 vfp"',
        {"platform": {"architecture": "arm", "os": "linux", "variant": "v6"}},
    ),
    (
        'TARGET_ARCH = "aarch64"\nTUNE_FEATURES = "aarch64 armv8a crc cortexa53"',
        {"platform": {"architecture": "arm64", "os": "linux", "variant": None}},
    ),
    (
        'OCI_IMAGE_ARCH = "aarch64"\nOCI_IMAGE_SUBARCH = "v8"\nOCI_IMAGE_OS = "linux"',
        {"platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}},
    ),
    (
        'TARGET_ARCH = "powerpc64le"',
        {"platform": {"architecture": "ppc64le", "os": "linux", "variant": None}},
    ),
    # Author.
    ("", {"author": "OpenEmbedded <oe.patch@oe>"}),
    ('OCI_IMAGE_AUTHOR = "Ann"\nOCI_IMAGE_AUTHOR_EMAIL = ""', {"author": "Ann"}),
    ('OCI_IMAGE_AUTHOR = ""\nOCI_IMAGE_AUTHOR_EMAIL = "a@b"', {"author": "<a@b>"}),
    ('OCI_IMAGE_AUTHOR = ""\nOCI_IMAGE_AUTHOR_EMAIL = ""', {"author": None}),
    # Compression, threads and time.
    ("", {"compression": {"algorithm": "gzip", "level": None}, "threads": 2}),
    (
        'OCI_LAYER_COMPRESSION = "zstd"\nOCI_LAYER_COMPRESSION_LEVEL = "19"\nOCI_THREADS = "5"',
        {"compression": {"algorithm": "zstd", "level": 19}, "threads": 5},
    ),
    ('OCI_THREADS = ""', {"threads": None}),
    ('OCI_CACHE_DIR = "/cache"', {"cache": {"directory": "/cache", "limit": 4294967296}}),
    ('OCI_CACHE_DIR = "/cache"\nOCI_CACHE_LIMIT = "20M"', {"cache": {"directory": "/cache", "limit": 20971520}}),
    ('OCI_CACHE_DIR = " "', {"cache": None}),
    ("", {"created": 1520598896}),
    # The variable is that of recipes' sources, and an image has none.
    ('REPRODUCIBLE_TIMESTAMP_ROOTFS = ""\nSOURCE_DATE_EPOCH = "77"', {"created": None}),
    ('REPRODUCIBLE_TIMESTAMP_ROOTFS = "0"\nSOURCE_DATE_EPOCH = "77"', {"created": 0}),
]


@pytest.mark.parametrize(("lines", "meaning"), MEANINGS, ids=[lines or "nothing" for lines, _ in MEANINGS])
def test_meaning(small_image: SmallImage, lines: str, meaning: dict[str, Any]) -> None:
    spec = spec_of(small_image(lines))
    for field, expected in meaning.items():
        value: Any = spec
        for key in field.split("."):
            value = value[key]
        assert value == expected
        # Equal dictionaries may differ in what order they have; no order here is by chance.
        assert json.dumps(value) == json.dumps(expected)


AWKWARD = 'It\'s "quoted", $HOME, `id`, $(id), \\ and \\n; * ? [a] {b} # = & | < > ~ ! \t ☃ \u00e9'


@pytest.mark.parametrize("variable", ["OCI_IMAGE_LABELS", "OCI_IMAGE_ENV_VARS", "OCI_IMAGE_ANNOTATIONS"])
def test_varflag_is_taken_byte_for_byte(small_image: SmallImage, variable: str) -> None:
    spec = spec_of(small_image(f'{variable}[a-b_c+d.e/f] = " {AWKWARD} "', f'{variable}[two] = "${{@"1\\n2"}}"'))

    entries = {
        "OCI_IMAGE_LABELS": spec["config"]["labels"],
        "OCI_IMAGE_ENV_VARS": dict(word.split("=", 1) for word in spec["config"]["env"]),
        "OCI_IMAGE_ANNOTATIONS": spec["annotations"],
    }
    assert entries[variable] == {"a-b_c+d.e/f": f" {AWKWARD} ", "two": "1\n2"}


def test_bitbake_itself_keeps_a_backslash_in_front_of_a_quote(small_image: SmallImage) -> None:
    # So what a varflag takes byte for byte holds it; quotes inside a value need none.
    build = small_image(
        r'OCI_IMAGE_LABELS[a] = "Bob\'s \"best\" image"',
        'OCI_IMAGE_LABELS[b] = "Bob\'s "best" image"',
    )
    assert spec_of(build)["config"]["labels"] == {
        "a": r"Bob\'s \"best\" image",
        "b": 'Bob\'s "best" image',
    }


def test_awkward_values_arrive_in_the_image(small_image: SmallImage) -> None:
    build = small_image(
        'OCI_IMAGE_ENV_VARS += "GST_DEBUG="*:3""',
        """OCI_IMAGE_ENV_VARS:append = ' "PATH=/usr/local/bin:/usr/bin"'""",
        f'OCI_IMAGE_ENV_VARS[AWKWARD] = "{AWKWARD}"',
        'OCI_IMAGE_ENV_VARS[EMPTY] = ""',
        'OCI_IMAGE_ENTRYPOINT = "/usr/bin/catatonit --"',
        """OCI_IMAGE_CMD = "/bin/sh -c 'echo Hello from layered container'\"""",
        f'OCI_IMAGE_LABELS[.title] = "{AWKWARD}"',
        f'OCI_IMAGE_ANNOTATIONS[awkward] = "{AWKWARD}"',
        'OCI_IMAGE_PORTS = "80 53/udp"',
        'OCI_IMAGE_VOLUMES = "/data"',
        'OCI_IMAGE_RUNTIME_UID = "5:6"',
        'OCI_IMAGE_WORKINGDIR = "/bin"',
        'OCI_IMAGE_STOPSIGNAL = "SIGRTMIN+3"',
        'OCI_IMAGE_TAG = "1.0"',
    )
    outcome = build.run()
    assert outcome.succeeded, outcome.output

    index, manifest, config = layout_json(outcome.deployed / "app-1.0-oci")
    assert config["config"] == {
        "Env": ["GST_DEBUG=*:3", "PATH=/usr/local/bin:/usr/bin", f"AWKWARD={AWKWARD}", "EMPTY="],
        "Entrypoint": ["/usr/bin/catatonit", "--"],
        "Cmd": ["/bin/sh", "-c", "echo Hello from layered container"],
        "Labels": {"org.opencontainers.image.title": AWKWARD},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "User": "5:6",
        "WorkingDir": "/bin",
        "StopSignal": "SIGRTMIN+3",
    }
    assert manifest["annotations"]["awkward"] == AWKWARD
    assert index["manifests"][0]["annotations"]["awkward"] == AWKWARD
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "docker.io/library/app:1.0"
    assert (config["author"], config["created"]) == (
        "OpenEmbedded <oe.patch@oe>",
        "2018-03-09T12:34:56Z",
    )


def test_an_annotated_name_that_does_not_count_is_noted(small_image: SmallImage) -> None:
    outcome = small_image(f'OCI_IMAGE_ANNOTATIONS[{IMAGE_NAME}] = "b:1"', 'OCI_IMAGE_NAME = "c"').run()
    assert outcome.succeeded, outcome.output
    says = f"{IMAGE_NAME} in OCI_IMAGE_ANNOTATIONS says docker.io/library/b:1, but the image is named"
    assert f"{says} docker.io/library/c:latest: OCI_IMAGE_NAME and OCI_IMAGE_TAG" in outcome.log("do_image_oci")


# A line of a recipe; then what the message says: the variable, the wrong word, what would be right.
MISTAKES = [
    ('OCI_IMAGE_PORTS = "80 0"', "OCI_IMAGE_PORTS", "'0'", "1 to 65535"),
    ('OCI_IMAGE_PORTS = "70000"', "OCI_IMAGE_PORTS", "'70000'", "1 to 65535"),
    ('OCI_IMAGE_PORTS = "80/icmp"', "OCI_IMAGE_PORTS", "'80/icmp'", "PORT/udp"),
    ('OCI_IMAGE_PORTS = "\'80"', "OCI_IMAGE_PORTS", "'80", "unbalanced quote"),
    ('OCI_IMAGE_LABELS = "a=1 b"', "OCI_IMAGE_LABELS", "'b'", "KEY=VALUE"),
    ('OCI_IMAGE_LABELS = "=b"', "OCI_IMAGE_LABELS", "'=b'", "KEY=VALUE"),
    ('OCI_IMAGE_ANNOTATIONS = "b"', "OCI_IMAGE_ANNOTATIONS", "'b'", "KEY=VALUE"),
    ('OCI_IMAGE_ENV_VARS = "A=1 B"', "OCI_IMAGE_ENV_VARS", "'B'", "KEY=VALUE"),
    ('OCI_IMAGE_ENV_VARS = "A=\'b"', "OCI_IMAGE_ENV_VARS", "A='b", "unbalanced quote"),
    ('OCI_IMAGE_ENTRYPOINT = "sh -c \'"', "OCI_IMAGE_ENTRYPOINT", "sh -c '", "unbalanced quote"),
    ('OCI_IMAGE_CMD = "sh -c \'"', "OCI_IMAGE_CMD", "sh -c '", "unbalanced quote"),
    (
        'OCI_IMAGE_ENTRYPOINT_ARGS = "-c \'"',
        "OCI_IMAGE_ENTRYPOINT_ARGS",
        "-c '",
        "unbalanced quote",
    ),
    ('OCI_IMAGE_VOLUMES = "data"', "OCI_IMAGE_VOLUMES", "'data'", "absolute path"),
    ('OCI_IMAGE_WORKINGDIR = "srv"', "OCI_IMAGE_WORKINGDIR", "'srv'", "absolute path"),
    ('OCI_IMAGE_STOPSIGNAL = "SIGSTOPP"', "OCI_IMAGE_STOPSIGNAL", "'SIGSTOPP'", "SIGTERM"),
    ('OCI_IMAGE_RUNTIME_UID = "a:b:c"', "OCI_IMAGE_RUNTIME_UID", "'a:b:c'", "USER:GROUP"),
    ('OCI_IMAGE_TAG = "a b"', "OCI_IMAGE_TAG", "'a b'", "letters, digits"),
    ('OCI_IMAGE_TAG = ""', "OCI_IMAGE_TAG", "''", "1 to 128"),
    ('OCI_IMAGE_TAG = "App:1"', "OCI_IMAGE_TAG", "'App'", "lower-case"),
    ('OCI_IMAGE_NAME = "App"', "OCI_IMAGE_NAME", "'App'", "lower-case"),
    ('OCI_IMAGE_EXTRA_TAGS = "1 latest"', "OCI_IMAGE_EXTRA_TAGS", "'latest'", "must not repeat"),
    ('OCI_IMAGE_EXTRA_TAGS = "team/app"', "OCI_IMAGE_EXTRA_TAGS", "'team/app'", "TAG or NAME:TAG"),
    (f'OCI_IMAGE_ANNOTATIONS = "{IMAGE_NAME}=B:1"', "OCI_IMAGE_ANNOTATIONS", f"'{IMAGE_NAME}=B:1'", "lower-case"),
    ('OCI_IMAGE_ARCH = "x87"', "OCI_IMAGE_ARCH", "'x87'", "amd64"),
    ('OCI_IMAGE_OS = "linus"', "OCI_IMAGE_OS", "'linus'", "linux"),
    ('OCI_IMAGE_SUBARCH = "v7"', "OCI_IMAGE_SUBARCH", "'v7'", "amd64"),
    ('OCI_LAYER_COMPRESSION = "lzma"', "OCI_LAYER_COMPRESSION", "'lzma'", "zstd"),
    ('OCI_LAYER_COMPRESSION_LEVEL = "13"', "OCI_LAYER_COMPRESSION_LEVEL", "13", "1 to 12"),
    (
        'OCI_LAYER_COMPRESSION_LEVEL = "best"',
        "OCI_LAYER_COMPRESSION_LEVEL",
        "'best'",
        "whole number",
    ),
    ('OCI_THREADS = "0"', "OCI_THREADS", "0", "1 to"),
    ('OCI_CACHE_DIR = "cache"', "OCI_CACHE_DIR", "'cache'", "absolute path"),
    ('OCI_CACHE_DIR = "/a, b"', "OCI_CACHE_DIR", "'/a, b'", "without blanks and commas"),
    (
        'OCI_CACHE_DIR = "${IMAGE_ROOTFS}/cache"',
        "OCI_CACHE_DIR",
        "/rootfs/cache'",
        "not lie inside the root filesystem",
    ),
    ('OCI_CACHE_DIR = "${WORKDIR}"', "OCI_CACHE_DIR", "/work/app'", "a directory for nothing else"),
    ('OCI_CACHE_LIMIT = "4 GB"', "OCI_CACHE_LIMIT", "'4 GB'", "K, M, G or T"),
    ('OCI_CACHE_LIMIT = ""', "OCI_CACHE_LIMIT", "''", "number of bytes"),
    ('OCI_CACHE_LIMIT = "0"', "OCI_CACHE_LIMIT", "0", "from 1 to"),
    ('OCI_THREADS = "many"', "OCI_THREADS", "'many'", "whole number"),
    ('OCI_IMAGE_AUTO_LABELS = "perhaps"', "OCI_IMAGE_AUTO_LABELS", "'perhaps'", "yes"),
    ('OCI_IMAGE_YOCTO_LABELS = "perhaps"', "OCI_IMAGE_YOCTO_LABELS", "'perhaps'", "yes"),
    (
        'OCI_IMAGE_AUTO_LABELS = "1"\nOCI_IMAGE_BUILD_DATE = "today"',
        "OCI_IMAGE_BUILD_DATE",
        "'today'",
        "RFC 3339",
    ),
    (
        'REPRODUCIBLE_TIMESTAMP_ROOTFS = "now"',
        "REPRODUCIBLE_TIMESTAMP_ROOTFS",
        "'now'",
        "whole number",
    ),
    ('OCI_LAYER_MODE = "many"', "OCI_LAYER_MODE", "'many'", "single, multi or auto"),
    ('OCI_LAYER_MODE = "multi"', "OCI_LAYERS", "layers", "must say which layers there are"),
    ('OCI_LAYER_MODE = "multi"\nOCI_LAYERS = "base:rpms:x"', "OCI_LAYERS", "'rpms'", "packages, directories"),
    ('OCI_LAYER_MISSING = "ignore"', "OCI_LAYER_MISSING", "'ignore'", "error or warn"),
    ('OCI_LAYER_MODE = "multi"\nOCI_LAYERS = "base"', "OCI_LAYERS", "'base'", "NAME:TYPE:CONTENT"),
    ('OCI_LAYER_MODE = "auto"\nOCI_LAYER_MAX = "0"', "OCI_LAYER_MAX", "0", "from 1 to 125"),
    ('OCI_LAYER_MODE = "auto"\nOCI_LAYER_PACKAGES = "rpm"', "OCI_LAYER_PACKAGES", "'rpm'", "pkgdata:DIRECTORY"),
    ('OCI_BASE_IMAGE = "/b"\nOCI_BASE_MODE = "over"', "OCI_BASE_MODE", "'over'", "overlay or exact"),
]


@pytest.mark.parametrize(("line", "variable", "word", "right"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_mistake_is_said_when_the_recipe_is_parsed_and_stops_the_task(
    small_image: SmallImage,
    caplog: pytest.LogCaptureFixture,
    line: str,
    variable: str,
    word: str,
    right: str,
) -> None:
    d = small_image(line).parse()
    with caplog.at_level(logging.ERROR), pytest.raises(bb.BBHandledException):
        build_image(d)

    (message,) = caplog.messages
    assert message == d.getVar("__SKIPPED")
    assert message.startswith(variable), message
    assert word in message
    assert right in message


def test_mistake_is_in_the_log_and_leaves_nothing(small_image: SmallImage) -> None:
    # Made by a function that runs after the class's own, so that only the task can see it.
    build = small_image("python () {", "    d.setVar('OCI_IMAGE_LABELS', 'a=1 b')", "}")
    outcome = build.run()

    assert not outcome.succeeded
    assert "ERROR: OCI_IMAGE_LABELS: must be KEY=VALUE (got 'b')" in outcome.log("do_image_oci")
    assert list(build.images.iterdir()) == []
