"""The one description of a build, which the BitBake class, the command line and scripts all speak.

Every value is checked when its object is made: an `ImageSpec` that exists can be built, as far as
its own text goes. Objects do not change; `dataclasses.replace` gives a changed copy. Lists may be
given as lists and are kept as tuples.

Source of the names: image-spec v1.1.1, config.md, image-index.md and annotations.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from .errors import SpecError
from .fields import file_path, records, set_fields, text_map, texts
from .layers import LayerRule, Layers, parse_layer_rules
from .parsing import (
    check_absolute,
    check_created,
    check_extra_tag,
    check_integer,
    check_name,
    check_tag,
    check_text,
    check_user,
    complete_reference,
    expand_label_key,
    parse_created,
    parse_key_value,
    parse_port,
    parse_reference,
    parse_size,
    parse_stop_signal,
    split_tag,
    split_words,
)
from .places import Place, check_apart
from .platforms import Platform
from .records import FrozenMap, Record

__all__ = [
    "DEFAULT_EXCLUDE_XATTRS",
    "Archive",
    "Base",
    "Cache",
    "Compression",
    "Config",
    "ImageSpec",
    "LayerRule",
    "Layers",
    "Output",
    "Platform",
    "Source",
    "expand_label_key",
    "parse_created",
    "parse_key_value",
    "parse_layer_rules",
    "parse_port",
    "parse_reference",
    "parse_size",
    "split_tag",
    "split_words",
]

DEFAULT_EXCLUDE_XATTRS = ("security.selinux", "trusted.*", "system.nfs4_acl")
"""Extended attributes that belong to the machine that builds and not to the image."""

_MOST_THREADS = 1024
_LARGEST_CACHE = 2**63 - 1
_LEVELS = {"gzip": (1, 12), "zstd": (1, 22)}
_XATTR_PATTERN = re.compile(r"[^*]+\*?|\*")
# Written by the build itself, out of name and tag.
_OWN_ANNOTATIONS = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


@dataclass(frozen=True)
class Source(Record):
    """A root filesystem, or a part of one.

    Attributes:
        path: A directory, or a tar archive: plain, or compressed with gzip, zstd, bzip2 or xz. A
            relative path counts from the current directory and is kept as an absolute one.
        target: The directory of the image into which it goes.
    """

    json_path: ClassVar[str] = "sources"

    path: str
    target: str = "/"

    def __post_init__(self) -> None:
        """Checks the values."""
        set_fields(self, path=file_path(self.path, "sources.path"))
        check_absolute(self.target, "sources.target")


@dataclass(frozen=True)
class Config(Record):
    """What a container of the image starts with.

    None is what a base image says, or nothing without one; an empty value is nothing in any case.
    Environment and labels are added to those of a base image.

    Attributes:
        user: `uid`, `uid:gid`, `name` or `name:group`.
        exposed_ports: `PORT/PROTOCOL` each; tcp is added where the protocol is missing.
        env: `KEY=VALUE` each. A later value of the same key replaces the earlier one at its place.
        entrypoint: The command, a list of its arguments.
        cmd: The arguments that follow the entrypoint unless others are given.
        volumes: Absolute paths.
        working_dir: An absolute path.
        labels: Keys and values.
        stop_signal: The signal that asks the container to end.

    Raises:
        SpecError: A value is none of these.

    Source: image-spec v1.1.1, config.md, config.
    """

    json_path: ClassVar[str] = "config"

    user: str | None = None
    exposed_ports: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] | None = None
    working_dir: str | None = None
    labels: Mapping[str, str] = FrozenMap({})
    stop_signal: str | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        env = dict(parse_key_value(word, "config.env") for word in texts(self.env, "config.env"))
        set_fields(
            self,
            env=tuple(f"{key}={value}" for key, value in env.items()),
            labels=text_map(self.labels, "config.labels"),
        )
        for name in ("exposed_ports", "entrypoint", "cmd", "volumes"):
            if getattr(self, name) is not None:
                set_fields(self, **{name: texts(getattr(self, name), f"config.{name}")})
        if self.exposed_ports is not None:
            set_fields(self, exposed_ports=tuple(dict.fromkeys(map(parse_port, self.exposed_ports))))
        if self.volumes is not None:
            volumes = (check_absolute(path, "config.volumes") for path in self.volumes)
            set_fields(self, volumes=tuple(dict.fromkeys(volumes)))
        if self.user:
            check_user(self.user)
        if self.working_dir:
            check_absolute(self.working_dir, "config.working_dir")
        if self.stop_signal:
            set_fields(self, stop_signal=parse_stop_signal(self.stop_signal))


@dataclass(frozen=True)
class Base(Record):
    """The image that another is built upon: its layers go below, its configuration is where the new one begins.

    Attributes:
        path: A layout directory, or an archive of one, or a docker-archive; a relative path counts from the current
            directory.
        tag: Which image in it: a tag, or a full name. None means the only one for the platform, or of several `latest`.
        mode: What becomes of its files that are not in the root filesystem: with `overlay` they stay, with `exact`
            they go, and the image is the root filesystem.

    Raises:
        SpecError: A value is none of these.
    """

    json_path: ClassVar[str] = "base"

    path: str
    tag: str | None = None
    mode: str = "overlay"

    def __post_init__(self) -> None:
        """Checks the values."""
        set_fields(self, path=file_path(self.path, "base.path"))
        if self.tag is not None:
            check_text(self.tag, "base.tag")
        if check_text(self.mode, "base.mode") not in ("overlay", "exact"):
            raise SpecError("must be overlay or exact", "base.mode", self.mode)


@dataclass(frozen=True)
class Compression(Record):
    """How layers are compressed.

    Attributes:
        algorithm: `gzip`, `zstd` (read by docker from 23 on and by umoci from 0.5 on) or `none`.
        level: On the algorithm's own scale, 1 to 12 for gzip and 1 to 22 for zstd; None is its
            default.

    Raises:
        SpecError: The algorithm is unknown, or the level is not on its scale.
    """

    json_path: ClassVar[str] = "compression"

    algorithm: str = "gzip"
    level: int | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        if check_text(self.algorithm, "compression.algorithm") not in (*_LEVELS, "none"):
            raise SpecError("must be gzip, zstd or none", "compression.algorithm", self.algorithm)
        if self.level is None:
            return
        if self.algorithm == "none":
            raise SpecError(
                "must be left out: the algorithm 'none' has no levels",
                "compression.level",
                self.level,
            )
        lowest, highest = _LEVELS[self.algorithm]
        check_integer(self.level, "compression.level", lowest, highest)


@dataclass(frozen=True)
class Archive(Record):
    """A tar archive of the image layout; an OCI archive and a docker-archive at once.

    Attributes:
        path: The file; a relative path counts from the current directory.
        prefix: The directory inside the archive that holds the layout; empty for its top level.
    """

    json_path: ClassVar[str] = "output.archives"

    path: str
    prefix: str = ""

    def __post_init__(self) -> None:
        """Checks the values."""
        set_fields(self, path=file_path(self.path, "output.archives.path"))
        components = check_text(self.prefix, "output.archives.prefix").split("/")
        if self.prefix and not {"", ".", ".."}.isdisjoint(components):
            raise SpecError(
                "must be a relative path without '.', '..' or empty parts",
                "output.archives.prefix",
                self.prefix,
            )


@dataclass(frozen=True)
class Output(Record):
    """What a build writes.

    Attributes:
        layout: The image layout directory, or None; a relative path counts from the current
            directory.
        archives: Archives of the same layout.
        replace: Whether to replace outputs that exist.

    Raises:
        SpecError: There is nothing to write, one path is to be written twice, or lies inside another.
    """

    json_path: ClassVar[str] = "output"
    json_parts: ClassVar[Mapping[str, type[Record]]] = {"archives": Archive}

    layout: str | None = None
    archives: tuple[Archive, ...] = ()
    replace: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        set_fields(self, archives=records(self.archives, Archive))
        if self.layout is not None:
            set_fields(self, layout=file_path(self.layout, "output.layout"))
        if not isinstance(self.replace, bool):
            raise SpecError("must be true or false", "output.replace", self.replace)
        if not self.paths:
            raise SpecError("must name a layout directory, an archive or both", "output")
        check_apart(self.places, ())

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything that is written."""
        layout = () if self.layout is None else (self.layout,)
        return layout + tuple(archive.path for archive in self.archives)

    @property
    def places(self) -> tuple[Place, ...]:
        """The same, as a specification checks it."""
        return tuple(Place("output", path) for path in self.paths)


@dataclass(frozen=True)
class Cache(Record):
    """Where what was compressed before is kept, for builds to come. No byte of an image depends on it.

    Any number of builds may use a directory at the same time.

    Attributes:
        directory: A directory for nothing else, made if it is not there; a relative path counts from the
            current directory and is kept as an absolute one.
        limit: How many bytes it may hold; beyond that goes what was not used for longest.

    Raises:
        SpecError: A value is none of these.
    """

    json_path: ClassVar[str] = "cache"

    directory: str
    limit: int = 4 << 30

    def __post_init__(self) -> None:
        """Checks the values."""
        set_fields(self, directory=file_path(self.directory, "cache.directory"))
        check_integer(self.limit, "cache.limit", 1, _LARGEST_CACHE)


@dataclass(frozen=True)
class ImageSpec(Record):
    """One image, and how to build it.

    Attributes:
        sources: Root filesystems; later ones lie over earlier ones.
        name: The repository, without tag; `app` means `docker.io/library/app`.
        platform: What the programs in the image run on.
        output: What to write.
        tag: The tag.
        extra_tags: Further names under which `docker load` lists the image, `TAG` or `NAME:TAG` each. They are in
            `manifest.json` only: containerd and `podman load` take one name, that of `index.json`.
        config: What a container of the image starts with.
        author: Who made the image.
        created: Whole seconds since 1970; newer modification times are set back to it. None: the
            environment's SOURCE_DATE_EPOCH, which counts in the same way, or else the newest
            modification time in the sources.
        annotations: Keys and values for the manifest and for its entry in the index.
        compression: How layers are compressed.
        base: The image to build upon; None: none.
        layers: How the root filesystem is split into layers.
        exclude_xattrs: Names of extended attributes to leave out, with `*` for any end; the result
            counts what is left out.
        threads: How many threads compress; None: as many as there are processors. No byte of the
            image depends on it.
        cache: Where what was compressed before is kept; None: nowhere.

    Raises:
        SpecError: A value is none of these, or what is written (the outputs, the lock file, the cache)
            lies inside a source or inside another of these, or holds something that is read.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {
        "sources": Source,
        "platform": Platform,
        "output": Output,
        "config": Config,
        "compression": Compression,
        "base": Base,
        "layers": Layers,
        "cache": Cache,
    }

    sources: tuple[Source, ...]
    name: str
    platform: Platform
    output: Output
    tag: str = "latest"
    extra_tags: tuple[str, ...] = ()
    config: Config = field(default_factory=Config)
    author: str | None = None
    created: int | None = None
    annotations: Mapping[str, str] = FrozenMap({})
    compression: Compression = field(default_factory=Compression)
    base: Base | None = None
    layers: Layers = field(default_factory=Layers)
    exclude_xattrs: tuple[str, ...] = DEFAULT_EXCLUDE_XATTRS
    threads: int | None = None
    cache: Cache | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        set_fields(
            self,
            sources=records(self.sources, Source),
            extra_tags=texts(self.extra_tags, "extra_tags"),
            annotations=text_map(self.annotations, "annotations"),
            exclude_xattrs=texts(self.exclude_xattrs, "exclude_xattrs"),
        )
        if not self.sources:
            raise SpecError("must name at least one root filesystem", "sources")
        for name, kind in self.json_parts.items():
            value = getattr(self, name)
            missing = name in ("base", "cache") and value is None
            if name != "sources" and not missing and not isinstance(value, kind):
                raise SpecError(f"must be of the class {kind.__name__}", name, value)
        check_name(self.name)
        check_tag(self.tag)
        self._check_extra_tags()
        if self.author is not None:
            check_text(self.author, "author")
        if self.created is not None:
            check_created(self.created)
        if self.threads is not None:
            check_integer(self.threads, "threads", 1, _MOST_THREADS)
        check_annotations(self.annotations)
        for pattern in self.exclude_xattrs:
            if _XATTR_PATTERN.fullmatch(pattern) is None:
                raise SpecError("must be a name, with '*' at its end or nowhere", "exclude_xattrs", pattern)
        self._check_paths_are_apart()

    def _check_extra_tags(self) -> None:
        known = [complete_reference(self.name, self.tag)]
        for text in self.extra_tags:
            name, tag = split_tag(check_extra_tag(text))
            reference = complete_reference(self.name, text) if tag is None else complete_reference(name, tag)
            if reference in known:
                raise SpecError(f"must not repeat {reference}, a name that the image has already", "extra_tags", text)
            known.append(reference)

    def _check_paths_are_apart(self) -> None:
        """What is written into the root filesystem would be packed, what lies in the cache removed one day."""
        sources = [Place("sources", source.path) for source in self.sources]
        written = list(self.output.places)
        lock = self.layers.lock_output or self.layers.lock
        if lock is not None:
            written.append(Place("layers.lock_output", lock))
        if self.cache is not None:
            cache = Place("cache.directory", self.cache.directory)
            for place in (*written, *sources):
                if place.lies_in(cache):
                    reason = f"must be a directory for nothing else, but holds {place.path!r}"
                    raise SpecError(reason, cache.field, cache.path)
            written.append(cache)
        for place in written:
            for source in sources:
                if place.lies_in(source):
                    reason = f"must not lie inside the root filesystem {source.path!r}"
                    raise SpecError(reason, place.field, place.path)
        read = [*sources]
        if self.base is not None:
            read.append(Place("base.path", self.base.path))
        if self.layers.lock is not None:
            read.append(Place("layers.lock", self.layers.lock))
        check_apart(written, read)


def check_annotations(annotations: Mapping[str, str]) -> None:
    """Checks that none says what name and tag do.

    Raises:
        SpecError: One does.
    """
    for key in _OWN_ANNOTATIONS:
        if key in annotations:
            reason = f"must not hold the key {key!r}, which name and tag decide"
            raise SpecError(reason, "annotations", f"{key}={annotations[key]}")
