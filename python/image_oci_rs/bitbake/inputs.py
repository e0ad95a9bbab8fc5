"""Files that an image is made of and that no task has made: their content is part of the task's signature."""

from __future__ import annotations

from ..errors import SpecError
from ..spec import parse_layer_rules
from .base_image import path_of
from .datastore import Datastore, Reader


def input_paths(d: Datastore) -> tuple[str, ...]:
    """The last release, a lock file, a base image, a manifest of packages, and the sources of `host` layers."""
    read = Reader(d)
    mode, packages = read.text("OCI_LAYER_MODE"), read.text("OCI_LAYER_PACKAGES")
    paths = [read.text("OCI_UPDATE_FROM"), path_of(read)]
    if mode == "auto":
        paths.append(read.text("OCI_LAYER_LOCK"))
    if mode != "single" and packages.startswith("manifest:"):
        paths.append(packages.partition(":")[2].strip())
    if mode == "multi":
        paths += _host_sources(read)
    return tuple(filter(None, paths))


def _host_sources(read: Reader) -> list[str]:
    try:
        rules = parse_layer_rules(read.words("OCI_LAYERS"))
    except SpecError:
        # The recipe is skipped for it, with a message.
        return []
    return [word.rpartition(":")[0] for rule in rules if rule.type == "host" for word in rule.content]
