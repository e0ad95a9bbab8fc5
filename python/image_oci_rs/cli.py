"""`image-oci-rs build|index|validate|inspect|diff|explain`: data on stdout, words on stderr.

Exit codes: 0, or 1 when the work failed or an image is not valid, or 2 when it was asked for
wrongly; 130 after Control-C and 143 after SIGTERM, as from a shell.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from . import api, compare
from .display import (
    build_text,
    difference_text,
    error_text,
    explanation_text,
    findings_text,
    index_text,
    inspection_text,
    progress_on,
    report_text,
)
from .errors import ImageError, OutputExistsError, SpecError
from .multiplatform import index
from .options import BuildOptions, IndexOptions
from .records import Record

PROGRAM = "image-oci-rs"
_R = TypeVar("_R", bound=Record)

_EXAMPLES = """\
examples:
  image-oci-rs build --arch aarch64 --cmd /bin/sh rootfs app:1.0
  image-oci-rs build --tar --name registry.example/team/app rootfs.tar.zst app:1.0
  image-oci-rs index app-amd64 app-arm64 app:1.0
  image-oci-rs validate app
  image-oci-rs diff app-1.0 app-1.1
  image-oci-rs explain app /usr/bin/sh
  image-oci-rs inspect --json app-1.0-aarch64-linux.oci-image.tar
"""


def main() -> int:
    """The program: takes its arguments from the command line and returns its exit code."""
    # A plain SIGTERM would kill the process before the build has removed what is half written.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + signal.SIGTERM))
    # Whoever closes one wants nothing of it, and still the work.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """Runs one command.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code.

    Raises:
        SystemExit: With 2 for wrong arguments, with 0 after `--help` and `--version`.
    """
    parser, options = _parser()
    words = list(arguments)
    if words and words[0] in options:
        words[1:] = options[words[0]].arrange(words[1:])
    command = parser.parse_args(words)
    try:
        code = _run(command, options.get(command.name_of_command))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has seen enough. Nothing more may be written, also not while Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ImageError, OSError, ImportError) as error:
        if command.debug:
            traceback.print_exc()
        print(f"{PROGRAM}: error: {error_text(error)}{_remedy(error, command)}", file=sys.stderr)
        return 2 if isinstance(error, SpecError) else 1


def _remedy(error: Exception, command: argparse.Namespace) -> str:
    if not isinstance(error, OutputExistsError) or not error.replaceable:
        return ""
    return "; --replace replaces it" if command.spec is None else "; output.replace in the description replaces it"


def _run(command: argparse.Namespace, options: BuildOptions | IndexOptions | None) -> int:
    if isinstance(options, BuildOptions):
        return _build(command, options)
    if isinstance(options, IndexOptions):
        return _index(command, options)
    if command.name_of_command == "validate":
        return _validate(command)
    if command.name_of_command == "diff":
        return _show(command, compare.diff(command.old, command.new, command.packages), difference_text)
    if command.name_of_command == "explain":
        return _show(command, compare.explain(command.image, command.path, command.packages), explanation_text)
    return _inspect(command)


def _build(command: argparse.Namespace, options: BuildOptions) -> int:
    spec = options.spec(command)
    if command.debug:
        print(json.dumps(spec.to_json(), indent=2), file=sys.stderr)
    with progress_on(sys.stderr) as show:
        result = api.build(spec, show)
    if command.json:
        _print_json(result)
    else:
        print(build_text(result), file=sys.stderr)
    return 0


def _index(command: argparse.Namespace, options: IndexOptions) -> int:
    result = index(options.spec(command))
    if command.json:
        _print_json(result)
    else:
        print(index_text(result), file=sys.stderr)
    return 0


def _validate(command: argparse.Namespace) -> int:
    report = api.validate(command.path)
    if command.json:
        _print_json(report)
    else:
        if report.findings:
            print(findings_text(report))
        print(report_text(report), file=sys.stderr)
    return 0 if report.valid else 1


def _inspect(command: argparse.Namespace) -> int:
    inspection = api.inspect(command.path)
    if command.json:
        _print_json(inspection)
    else:
        print(inspection_text(inspection))
    return 0


def _show(command: argparse.Namespace, result: _R, text: Callable[[_R], str]) -> int:
    if command.json:
        _print_json(result)
    else:
        print(text(result))
    return 0


def _print_json(record: Record) -> None:
    print(json.dumps(record.to_json(), indent=2))


class _Version(argparse.Action):
    """Asks for the version when it is wanted: only the compiled core knows it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        try:
            from ._core import __version__
        except (ImageError, ImportError) as error:
            parser.exit(1, f"{PROGRAM}: error: {error}\n")
        print(PROGRAM, __version__)
        parser.exit()


def _parser() -> tuple[argparse.ArgumentParser, dict[str, BuildOptions | IndexOptions]]:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Turns a root filesystem into an OCI container image, every attribute of every file kept.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_version(parser)
    commands = parser.add_subparsers(dest="name_of_command", metavar="COMMAND", required=True)
    build = commands.add_parser(
        "build",
        help="build an image",
        usage=f"{PROGRAM} build [OPTIONS] ROOTFS NAME[:TAG]\n       {PROGRAM} build --spec FILE",
        description="Builds an image of ROOTFS and writes it as the layout directory NAME.",
        allow_abbrev=False,
    )
    build_options = BuildOptions(build)
    _add_version(build)
    _add_output_options(build)
    several = _add_reader(commands, "index", "make one image of images for several platforms")
    several.usage = f"{PROGRAM} index [OPTIONS] IMAGE... NAME[:TAG]\n       {PROGRAM} index --spec FILE"
    index_options = IndexOptions(several)
    for name, text in (
        ("validate", "check an image against its own bytes"),
        ("inspect", "show what an image says about itself"),
    ):
        reader = _add_reader(commands, name, text)
        reader.add_argument("path", metavar="PATH", help="layout directory or archive")
    diff = _add_reader(commands, "diff", "show what an update costs, and what it changes")
    diff.add_argument("old", metavar="OLD", help="layout directory or archive")
    diff.add_argument("new", metavar="NEW", help="layout directory or archive")
    explain = _add_reader(commands, "explain", "show in which layer a file is, and why")
    explain.add_argument("image", metavar="IMAGE", help="layout directory or archive")
    explain.add_argument("path", metavar="PATH", help="file of the image, with or without / in front")
    for command in (diff, explain):
        command.add_argument(
            "--packages",
            metavar="SOURCE",
            default="auto",
            help="which package owns a file: auto, dpkg, opkg, apk, none, pkgdata:DIR or manifest:FILE (default: auto)",
        )
    return parser, {"build": build_options, "index": index_options}


def _add_reader(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    reader: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    _add_output_options(reader)
    return reader


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="print the version")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--debug",
        action="store_true",
        default=os.environ.get("DEBUG", "0") not in ("", "0"),
        help="print where an error came from, and for build the description of the image; DEBUG=1 does too",
    )
