"""The variables of an image recipe as an `ImageSpec`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ..errors import SpecError
from ..layers import check_missing
from ..parsing import check_created
from ..spec import (
    Cache,
    Compression,
    Config,
    ImageSpec,
    Layers,
    Platform,
    Source,
    expand_label_key,
    parse_layer_rules,
    parse_size,
    split_tag,
)
from .annotated_name import annotations_of
from .backend import as_image_oci_means
from .base_image import base_of
from .datastore import Datastore, Reader
from .deploy import Outputs
from .entrypoint import entrypoint_and_command
from .labels import labels_of_origin
from .reference import reference_of

VARIABLES: Mapping[str, str] = {
    "sources.path": "IMAGE_ROOTFS",
    "name": "OCI_IMAGE_NAME",
    "tag": "OCI_IMAGE_TAG",
    "extra_tags": "OCI_IMAGE_EXTRA_TAGS",
    "platform.architecture": "OCI_IMAGE_ARCH",
    "platform.os": "OCI_IMAGE_OS",
    "platform.variant": "OCI_IMAGE_SUBARCH",
    "config.user": "OCI_IMAGE_RUNTIME_UID",
    "config.exposed_ports": "OCI_IMAGE_PORTS",
    "config.env": "OCI_IMAGE_ENV_VARS",
    "config.entrypoint": "OCI_IMAGE_ENTRYPOINT",
    "config.cmd": "OCI_IMAGE_CMD",
    "config.volumes": "OCI_IMAGE_VOLUMES",
    "config.working_dir": "OCI_IMAGE_WORKINGDIR",
    "config.labels": "OCI_IMAGE_LABELS",
    "config.stop_signal": "OCI_IMAGE_STOPSIGNAL",
    "author": "OCI_IMAGE_AUTHOR",
    "created": "REPRODUCIBLE_TIMESTAMP_ROOTFS",
    "annotations": "OCI_IMAGE_ANNOTATIONS",
    "compression.algorithm": "OCI_LAYER_COMPRESSION",
    "compression.level": "OCI_LAYER_COMPRESSION_LEVEL",
    "base.path": "OCI_BASE_IMAGE",
    "base.tag": "OCI_BASE_IMAGE_TAG",
    "base.mode": "OCI_BASE_MODE",
    "layers.mode": "OCI_LAYER_MODE",
    "layers.rules": "OCI_LAYERS",
    "layers.rules.name": "OCI_LAYERS",
    "layers.rules.type": "OCI_LAYERS",
    "layers.rules.content": "OCI_LAYERS",
    "layers.missing": "OCI_LAYER_MISSING",
    "layers.max": "OCI_LAYER_MAX",
    "layers.lock": "OCI_LAYER_LOCK",
    "layers.lock_output": "OCI_LAYER_LOCK",
    "layers.packages": "OCI_LAYER_PACKAGES",
    "layers.installed": "IMAGE_MANIFEST",
    "output": "IMGDEPLOYDIR",
    "threads": "OCI_THREADS",
    "cache.directory": "OCI_CACHE_DIR",
    "cache.limit": "OCI_CACHE_LIMIT",
}
"""The variable that sets each field, for messages."""


def image_spec(d: Datastore, outputs: Outputs) -> ImageSpec:
    """The build that the variables describe.

    Raises:
        SpecError: A value is wrong; `field` is a field of the specification, or a variable.
    """
    read = Reader(as_image_oci_means(d))
    reference = reference_of(read)
    created = _created(read)
    entrypoint, command = entrypoint_and_command(read)
    labels = labels_of_origin(read, created)
    labels |= {expand_label_key(key): value for key, value in read.entries("OCI_IMAGE_LABELS")}
    return ImageSpec(
        sources=(Source(read.text("IMAGE_ROOTFS")),),
        name=reference.name + outputs.suffix,
        tag=reference.tag,
        extra_tags=tuple(_extra_tag(word, outputs.suffix) for word in read.words("OCI_IMAGE_EXTRA_TAGS")),
        platform=Platform.from_names(
            read.text("OCI_IMAGE_ARCH"),
            read.text("OCI_IMAGE_OS"),
            read.text("OCI_IMAGE_SUBARCH") or None,
        ),
        config=Config(
            user=read.optional("OCI_IMAGE_RUNTIME_UID"),
            exposed_ports=read.optional_words("OCI_IMAGE_PORTS"),
            env=tuple(f"{key}={value}" for key, value in read.entries("OCI_IMAGE_ENV_VARS")),
            entrypoint=entrypoint,
            cmd=command,
            volumes=read.optional_words("OCI_IMAGE_VOLUMES"),
            working_dir=read.optional("OCI_IMAGE_WORKINGDIR"),
            labels=labels,
            stop_signal=read.optional("OCI_IMAGE_STOPSIGNAL"),
        ),
        author=_author(read),
        created=created,
        annotations=annotations_of(read),
        compression=Compression(read.text("OCI_LAYER_COMPRESSION"), read.number("OCI_LAYER_COMPRESSION_LEVEL")),
        base=base_of(read),
        layers=_layers(read, outputs),
        output=outputs.spec(),
        threads=read.number("OCI_THREADS"),
        cache=_cache(read),
    )


def _extra_tag(word: str, suffix: str) -> str:
    """A further name; the image of debug files has other names throughout."""
    name, tag = split_tag(word)
    return word if tag is None else f"{name}{suffix}:{tag}"


def _layers(read: Reader, outputs: Outputs) -> Layers:
    if outputs.suffix:
        # Layers are those of the other image: this one has other packages, and no release follows upon it.
        return Layers()
    mode = read.text("OCI_LAYER_MODE")
    packages = read.text("OCI_LAYER_PACKAGES")
    installed = _installed(read, packages)
    # They are checked in the other modes too.
    rules = parse_layer_rules(read.words("OCI_LAYERS"))
    missing = check_missing(read.text("OCI_LAYER_MISSING"))
    if mode == "auto":
        lock = read.text("OCI_LAYER_LOCK") or None
        # A task does not write beside a recipe: people decide when a new plan gets into version control.
        new_lock = str(outputs.directory / outputs.layer_lock) if lock else None
        most = read.number("OCI_LAYER_MAX")
        return Layers(
            mode,
            max=Layers.max if most is None else most,
            lock=lock,
            lock_output=new_lock,
            packages=packages,
            installed=installed,
        )
    if mode == "single":
        return Layers(mode, packages=packages, installed=installed)
    return Layers(mode, rules=rules, missing=missing, packages=packages, installed=installed)


def _installed(read: Reader, packages: str) -> str | None:
    """The list of installed packages that do_rootfs has made, if it has."""
    # IMAGE_NAME may have another time in it than when do_rootfs ran; the link has none.
    link = os.path.join(read.text("IMGDEPLOYDIR"), f"{read.text('IMAGE_LINK_NAME')}.manifest")
    files = (read.text("IMAGE_MANIFEST"), link)
    return next((file for file in files if packages.startswith("pkgdata:") and os.path.isfile(file)), None)


def _cache(read: Reader) -> Cache | None:
    directory = read.text("OCI_CACHE_DIR")
    if not directory:
        return None
    # In a variable of pseudo's it stands in a list with commas, and that among others with blanks.
    if re.fullmatch(r"/[^\s,]*", directory) is None:
        raise SpecError("must be an absolute path without blanks and commas", "OCI_CACHE_DIR", directory)
    return Cache(directory, parse_size(read.text("OCI_CACHE_LIMIT"), "OCI_CACHE_LIMIT"))


def _author(read: Reader) -> str | None:
    email = read.text("OCI_IMAGE_AUTHOR_EMAIL")
    parts = (read.text("OCI_IMAGE_AUTHOR"), f"<{email}>" if email else "")
    return " ".join(filter(None, parts)) or None


def _created(read: Reader) -> int | None:
    """The one time of the image, which image.bbclass has given to all files of the root filesystem."""
    seconds = read.number("REPRODUCIBLE_TIMESTAMP_ROOTFS")
    if seconds is not None:
        return check_created(seconds)
    # Then image.bbclass asks git for a time. SOURCE_DATE_EPOCH would be that of a recipe without sources: 2011.
    try:
        return int(os.lstat(read.text("IMAGE_ROOTFS")).st_mtime)
    except OSError:
        # There is none when the recipe is parsed. In the task, the engine says that there is none.
        return None
