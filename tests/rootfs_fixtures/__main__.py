"""Makes, reads and compares root filesystems: `python3 -m rootfs_fixtures nasty|snapshot|compare`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rootfs_fixtures import attributes, nasty
from rootfs_fixtures.tree import Limit, build, expected, without


def main() -> int:
    """Runs one of the three."""
    parser = argparse.ArgumentParser(prog="rootfs_fixtures", description=__doc__)
    commands = parser.add_subparsers(required=True)

    make = commands.add_parser("nasty", help="make the nasty root filesystem, as root or under pseudo")
    make.add_argument("directory", help="empty, or not there yet")
    make.add_argument("--many", type=int, default=0, metavar="N", help="with N small files more")
    make.add_argument("--huge", action="store_true", help="with a sparse file of more than 8 GiB")
    make.add_argument("--shuffle", type=int, metavar="SEED", help="make the entries in another order")
    limits = [limit.value for limit in Limit]
    make.add_argument(
        "--without",
        action="append",
        default=[],
        choices=limits,
        help="what this platform cannot hold",
    )
    make.add_argument("--expected", type=Path, metavar="FILE", help="write there what the tree is, as JSON")
    make.set_defaults(run=_nasty)

    snapshot = commands.add_parser("snapshot", help="print the attributes of a tree or an uncompressed layer as JSON")
    snapshot.add_argument("source", type=Path)
    snapshot.set_defaults(run=_snapshot)

    compare = commands.add_parser("compare", help="print how two trees, layers or snapshots (.json) differ")
    compare.add_argument("expected", type=Path)
    compare.add_argument("actual", type=Path)
    compare.set_defaults(run=_compare)

    arguments = parser.parse_args()
    return arguments.run(arguments)


def _nasty(arguments: argparse.Namespace) -> int:
    table = without(
        nasty.table(many=arguments.many, huge=arguments.huge), [Limit(value) for value in arguments.without]
    )
    build(arguments.directory, table, arguments.shuffle)
    if arguments.expected:
        arguments.expected.write_text(attributes.to_json(expected(table)))
    return 0


def _snapshot(arguments: argparse.Namespace) -> int:
    print(attributes.to_json(_read(arguments.source)))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    differences = attributes.compare(_read(arguments.expected), _read(arguments.actual))
    for difference in differences:
        print(difference)
    return 1 if differences else 0


def _read(source: Path) -> attributes.Snapshot:
    if source.is_dir():
        return attributes.of_directory(os.fsencode(source))
    if source.suffix == ".json":
        return attributes.from_json(source.read_text())
    with source.open("rb") as stream:
        return attributes.of_layer(stream)


if __name__ == "__main__":
    sys.exit(main())
