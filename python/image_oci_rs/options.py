"""The options of `image-oci-rs build` and `index`, and the descriptions that they ask for.

Source of the names and of what they mean: sloci-image 0.1.2. A wrong value is reported under the
name of the option that stands for its field.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from .errors import SpecError, os_error
from .multiplatform import IndexSpec
from .parsing import expand_label_key, parse_created, parse_key_value, parse_size, split_tag, split_words
from .records import Record
from .spec import (
    DEFAULT_EXCLUDE_XATTRS,
    Archive,
    Base,
    Cache,
    Compression,
    Config,
    ImageSpec,
    Layers,
    Output,
    Platform,
    Source,
    parse_layer_rules,
)

_REFERENCE = dict.fromkeys(("tag", "output", "output.layout"), "NAME[:TAG]")
_BUILD_POSITIONALS = {"sources.path": "ROOTFS", **_REFERENCE}
_INDEX_POSITIONALS = {"images": "IMAGE", **_REFERENCE}
_R = TypeVar("_R", bound=Record)


class CommandOptions:
    """The options of one parser, and the fields of a description that they stand for."""

    def __init__(self, parser: argparse.ArgumentParser, positionals: Mapping[str, str]) -> None:
        """Makes them for `parser`, where words without an option stand for the fields `positionals`."""
        self._parser = parser
        self._labels: dict[str, str] = {}
        self._long_names: dict[str, str] = {}
        self._label_of_field = dict(positionals)

    def _add(self, field: str, *names: str, **settings: Any) -> None:
        """Adds an option for `field`; its default is None, which tells whether it was given."""
        action = self._parser.add_argument(*names, **settings)
        label = "/".join(names)
        self._labels[action.dest] = label
        if field:
            self._label_of_field[field] = label
        if settings.get("action") != "store_const":
            long_name = next(name for name in names if name.startswith("--"))
            self._long_names.update(dict.fromkeys(names, long_name))

    def _flag(self, *names: str, **settings: Any) -> None:
        self._add("", *names, action="store_const", const=True, **settings)

    def _add_spec(self) -> None:
        self._parser.add_argument(
            "--spec", metavar="FILE", help="read the whole description as JSON instead; - is stdin"
        )
        self._long_names["--spec"] = "--spec"

    def arrange(self, arguments: Sequence[str]) -> list[str]:
        """`arguments` as argparse understands them: options first, their values tied to them.

        sloci-image takes the word after an option for its value whatever it looks like; argparse
        refuses one that begins with a dash. And argparse wants positionals side by side.
        """
        options: list[str] = []
        positionals: list[str] = []
        rest = iter(arguments)
        for word in rest:
            if word == "--":
                return [*options, word, *positionals, *rest]
            if word in self._long_names:
                value = next(rest, None)
                if value is None:
                    self._parser.error(f"argument {word}: expected one argument")
                options.append(f"{self._long_names[word]}={value}")
            elif word.startswith("-"):
                options.append(word)
            else:
                positionals.append(word)
        return options + positionals

    def _take_two_dashes(self, options: argparse.Namespace) -> None:
        for dest in self._labels:
            setattr(options, dest, _with_two_dashes(getattr(options, dest)))

    def _from_file(self, options: argparse.Namespace, kind: type[_R], **positionals: object) -> _R:
        given = [label for dest, label in self._labels.items() if getattr(options, dest) is not None]
        given += [label for label, value in positionals.items() if value is not None]
        if given:
            self._parser.error(f"argument --spec: not allowed with {', '.join(given)}")
        try:
            return kind.loads(_read(options.spec))
        except SpecError as error:
            self._parser.error(f"argument --spec: {options.spec}: {error}")

    def _refuse(self, error: SpecError, options: argparse.Namespace) -> NoReturn:
        if error.field == "name" and options.name is None:
            self._parser.error(f"argument NAME[:TAG]: {error.detail}; or give --name")
        label = self._label_of_field.get(error.field, error.field)
        self._parser.error(f"argument {label}: {error.detail}")


class BuildOptions(CommandOptions):
    """The options of one `build` parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options to `parser`."""
        super().__init__(parser, _BUILD_POSITIONALS)
        parser.add_argument("rootfs", metavar="ROOTFS", nargs="?", help="directory or tar archive")
        parser.add_argument("reference", metavar="NAME[:TAG]", nargs="?", help="what to write; the tag is latest")
        self._add_sloci_options()
        self._add_further_options()
        self._add_spec()

    def _add_sloci_options(self) -> None:
        add = self._add
        add(
            "platform.architecture",
            "-m",
            "--arch",
            help="architecture, by any name (default: this machine's)",
        )
        add("platform.variant", "--arch-variant", metavar="VARIANT", help="for example v7 of arm")
        add("author", "-a", "--author", metavar="NAME", help="who makes the image")
        add(
            "config.cmd",
            "-c",
            "--cmd",
            action="append",
            metavar="ARG",
            help="argument for the entrypoint; once for each",
        )
        add(
            "config.entrypoint",
            "-C",
            "--entrypoint",
            action="append",
            metavar="ARG",
            help="word of the command to run; once for each",
        )
        add(
            "config.env",
            "-e",
            "--env",
            action="append",
            metavar="VAR=VAL",
            help="environment variable",
        )
        add(
            "config.labels",
            "-l",
            "--label",
            action="append",
            metavar="KEY=VALUE",
            help="label; .KEY is org.opencontainers.image.KEY",
        )
        add("platform.os", "--os", help="operating system (default: linux)")
        add(
            "config.exposed_ports",
            "-p",
            "--port",
            "--expose",
            action="append",
            metavar="PORT[/PROT]",
            help="port to expose; PROT is tcp, udp or sctp",
        )
        self._flag("-t", "--tar", help="write NAME-TAG-ARCH[-VARIANT]-OS.oci-image.tar instead")
        add("config.user", "-u", "--user", help="user, or user:group, by name or number")
        add(
            "config.volumes",
            "-v",
            "--volume",
            action="append",
            metavar="PATH",
            help="directory of the container's own data",
        )
        add("config.working_dir", "-w", "--working-dir", metavar="DIR", help="working directory")

    def _add_further_options(self) -> None:
        add = self._add
        add("config.stop_signal", "--stop-signal", metavar="SIGNAL", help="for example SIGINT")
        add(
            "annotations",
            "--annotation",
            action="append",
            metavar="KEY=VALUE",
            help="annotation of the manifest",
        )
        add(
            "compression.algorithm",
            "--compression",
            metavar="NAME",
            help="gzip, zstd or none (default: gzip)",
        )
        add("compression.level", "--level", type=int, help="gzip: 1 to 12, zstd: 1 to 22")
        add(
            "created",
            "--created",
            metavar="TIME",
            help="RFC 3339 or seconds since 1970 (default: SOURCE_DATE_EPOCH or the newest file's)",
        )
        add(
            "name",
            "--name",
            metavar="REPOSITORY",
            help="name under which runtimes list the image (default: NAME without directory)",
        )
        add(
            "extra_tags",
            "--extra-tag",
            action="append",
            metavar="[NAME:]TAG",
            help="further name under which docker load lists the image; containerd and podman load take the first only",
        )
        add(
            "exclude_xattrs",
            "--exclude-xattr",
            action="append",
            metavar="PATTERN",
            help="extended attribute to leave out besides " + ", ".join(DEFAULT_EXCLUDE_XATTRS),
        )
        add("threads", "--threads", type=int, metavar="N", help="(default: all processors)")
        add(
            "cache.directory",
            "--cache",
            metavar="DIR",
            help="keep what was compressed in DIR, for builds to come",
        )
        add(
            "cache.limit",
            "--cache-limit",
            metavar="SIZE",
            help="most bytes in DIR; K, M, G and T are binary units (default: 4G)",
        )
        self._add_layer_options()
        self._flag("--replace", help="replace outputs that exist: files and layouts")

    def _add_layer_options(self) -> None:
        add = self._add
        add(
            "base.path",
            "--base",
            metavar="PATH",
            help="build upon the image in this layout directory or archive (also docker-archive)",
        )
        add("base.tag", "--base-tag", metavar="TAG", help="which of several images in it; a full name will do too")
        add(
            "base.mode",
            "--base-mode",
            metavar="MODE",
            help="overlay: its other files stay; exact: the image is ROOTFS (default: overlay)",
        )
        add(
            "layers.mode",
            "--layer-mode",
            metavar="MODE",
            help="single, multi or auto: by recipe (default: single, or multi with --layers)",
        )
        add(
            "layers.rules",
            "--layers",
            action="append",
            metavar="NAME:TYPE:CONTENT",
            help="layer of the mode multi; TYPE is packages, directories, files or host, CONTENT is parted by + or ,",
        )
        add(
            "layers.missing",
            "--missing",
            metavar="MODE",
            help="packages and paths of --layers that are not in ROOTFS: error, or warn and go on (default: error)",
        )
        add("layers.max", "--layer-max", type=int, metavar="N", help="most layers of the mode auto (default: 80)")
        add(
            "layers.lock",
            "--lock",
            metavar="FILE",
            help="keeps the layers of the mode auto the same from release to release; written when something is new",
        )
        add(
            "layers.packages",
            "--packages",
            metavar="SOURCE",
            help="which package owns a file: auto, dpkg, opkg, apk, none, pkgdata:DIR or manifest:FILE (default: auto)",
        )
        add(
            "layers.installed",
            "--installed",
            metavar="FILE",
            help="for pkgdata: lines that begin with the names of the installed packages, as in IMAGE_MANIFEST",
        )

    def spec(self, options: argparse.Namespace) -> ImageSpec:
        """The specification that `options` ask for; a wrong value ends the program with 2."""
        self._take_two_dashes(options)
        if options.spec is not None:
            return self._from_file(options, ImageSpec, ROOTFS=options.rootfs)
        if options.rootfs is None or options.reference is None:
            self._parser.error("ROOTFS and NAME[:TAG] are required, or --spec")
        try:
            return _spec(options)
        except SpecError as error:
            self._refuse(error, options)


class IndexOptions(CommandOptions):
    """The options of one `index` parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options to `parser`."""
        super().__init__(parser, _INDEX_POSITIONALS)
        # The last word is the name, which argparse can't part from the others.
        parser.add_argument("images", metavar="IMAGE", nargs="*", help="layout directory or archive with one image")
        self._add("annotations", "--annotation", action="append", metavar="KEY=VALUE", help="annotation of the index")
        self._add(
            "name",
            "--name",
            metavar="REPOSITORY",
            help="name under which runtimes list the image (default: NAME without directory)",
        )
        self._flag("-t", "--tar", help="write NAME-TAG.oci-image.tar instead")
        self._flag("--replace", help="replace outputs that exist: files and layouts")
        self._add_spec()

    def spec(self, options: argparse.Namespace) -> IndexSpec:
        """The specification that `options` ask for; a wrong value ends the program with 2."""
        self._take_two_dashes(options)
        if options.spec is not None:
            return self._from_file(options, IndexSpec, IMAGE=options.images or None)
        if len(options.images) < 2:
            self._parser.error("at least one IMAGE and NAME[:TAG] are required, or --spec")
        try:
            return _index_spec(options)
        except SpecError as error:
            self._refuse(error, options)


def _index_spec(options: argparse.Namespace) -> IndexSpec:
    *images, reference = options.images
    path, tag = split_tag(reference)
    tag = "latest" if tag is None else tag
    archives = (Archive(f"{path}-{tag}.oci-image.tar"),) if options.tar else ()
    return IndexSpec(
        images=tuple(images),
        name=os.path.basename(path) if options.name is None else options.name,
        tag=tag,
        annotations=_pairs(options.annotation, "annotations"),
        output=Output(None if options.tar else path, archives, bool(options.replace)),
    )


def _with_two_dashes(value: Any) -> Any:
    """The value of an option; argparse before Python 3.13 makes an empty list out of `--`."""
    if isinstance(value, list):
        return [_with_two_dashes(item) for item in value] or "--"
    return value


def _spec(options: argparse.Namespace) -> ImageSpec:
    path, tag = split_tag(options.reference)
    tag = "latest" if tag is None else tag
    config = Config(
        user=options.user,
        exposed_ports=_words(options.port),
        env=tuple(options.env or ()),
        entrypoint=_words(options.entrypoint),
        cmd=_words(options.cmd),
        volumes=_words(options.volume),
        working_dir=options.working_dir,
        labels={expand_label_key(key): value for key, value in _pairs(options.label, "config.labels").items()},
        stop_signal=options.stop_signal,
    )
    platform = Platform.from_names(_architecture(options), _os(options), options.arch_variant)
    return ImageSpec(
        sources=(Source(options.rootfs),),
        name=os.path.basename(path) if options.name is None else options.name,
        tag=tag,
        extra_tags=tuple(options.extra_tag or ()),
        platform=platform,
        config=config,
        author=options.author or None,
        created=None if options.created is None else parse_created(options.created),
        annotations=_pairs(options.annotation, "annotations"),
        compression=Compression(options.compression or "gzip", options.level),
        base=_base(options),
        layers=_layers(options),
        exclude_xattrs=DEFAULT_EXCLUDE_XATTRS + tuple(options.exclude_xattr or ()),
        output=_output(options, path, tag),
        threads=options.threads,
        cache=_cache(options),
    )


def _output(options: argparse.Namespace, path: str, tag: str) -> Output:
    replace = bool(options.replace)
    if not options.tar:
        return Output(layout=path, replace=replace)
    # The architecture as it was written, for scripts that know the file's name from sloci-image.
    parts = [path, tag, _architecture(options), options.arch_variant, _os(options)]
    file_name = "-".join(part for part in parts if part)
    return Output(archives=(Archive(f"{file_name}.oci-image.tar"),), replace=replace)


def _base(options: argparse.Namespace) -> Base | None:
    if options.base is not None:
        return Base(options.base, options.base_tag, options.base_mode or "overlay")
    for field, value in (("base.tag", options.base_tag), ("base.mode", options.base_mode)):
        if value is not None:
            raise SpecError("must stand beside --base", field, value)
    return None


def _layers(options: argparse.Namespace) -> Layers:
    rules = parse_layer_rules(word for words in options.layers or () for word in split_words(words))
    return Layers(
        mode=options.layer_mode or ("multi" if rules else "single"),
        rules=rules,
        missing=Layers.missing if options.missing is None else options.missing,
        max=Layers.max if options.layer_max is None else options.layer_max,
        lock=options.lock,
        packages=options.packages or "auto",
        installed=options.installed,
    )


def _cache(options: argparse.Namespace) -> Cache | None:
    if options.cache_limit is None:
        return None if options.cache is None else Cache(options.cache)
    limit = parse_size(options.cache_limit, "cache.limit")
    if options.cache is None:
        raise SpecError("must stand beside --cache", "cache.limit", options.cache_limit)
    return Cache(options.cache, limit)


def _architecture(options: argparse.Namespace) -> str:
    return options.arch or os.uname().machine


def _os(options: argparse.Namespace) -> str:
    return options.os or "linux"


def _words(words: list[str] | None) -> tuple[str, ...] | None:
    # sloci-image takes a single empty argument for none; image-oci.bbclass relied on it. A base image's are cleared so.
    if words is None:
        return None
    return () if words == [""] else tuple(words)


def _pairs(words: list[str] | None, field: str) -> dict[str, str]:
    return dict(parse_key_value(word, field) for word in words or ())


def _read(path: str) -> str:
    try:
        if path == "-":
            with open(0, "rb", closefd=False) as stream:
                content = stream.read()
        else:
            with open(path, "rb") as stream:
                content = stream.read()
    except OSError as error:
        raise os_error(error.errno or 0, error.strerror or str(error), path, "read") from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SpecError("must be UTF-8", "", f"byte {error.start}") from None
