"""How a root filesystem is split into layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from .errors import SpecError
from .fields import file_path, records, set_fields, texts
from .parsing import check_absolute, check_integer, check_text
from .records import Record

_MODES = ("single", "multi", "auto")
_TYPES = ("packages", "directories", "files", "host")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_PACKAGES = re.compile(r"auto|dpkg|opkg|apk|none|(?P<kind>pkgdata|manifest):(?P<path>.+)", re.DOTALL)
# One plus sign between two names parts them. Two in a row are part of a name, and so is one that no name follows:
# `libgcc+libstdc++6+g++` is libgcc, libstdc++6 and g++.
_CONTENT = re.compile(r"(?:[^+,]|\+\+|\+(?![A-Za-z0-9/]))+")
_MOST_LAYERS = 125  # "max depth exceeded" says docker of more.


@dataclass(frozen=True)
class LayerRule(Record):
    """A layer of the mode `multi`, and what belongs in it.

    Attributes:
        name: The layer's name.
        type: `packages`, with what they depend on and no earlier layer has; `directories` with all that is in
            them; `files`; or `host` for files of the machine that builds, which then belong to root.
        content: Names of packages, or absolute paths in the image, or `SOURCE:TARGET` of `host`, separated by the last
            colon. A TARGET that ends with a slash is the directory that SOURCE goes into under its own name; `/.` is
            the root directory itself.

    Raises:
        SpecError: A value is none of these.
    """

    json_path: ClassVar[str] = "layers.rules"

    name: str
    type: str
    content: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks the values."""
        if _NAME.fullmatch(check_text(self.name, "layers.rules.name")) is None:
            raise SpecError("must be letters, digits and . _ + -", "layers.rules.name", self.name)
        if check_text(self.type, "layers.rules.type") not in _TYPES:
            raise SpecError(f"must be {', '.join(_TYPES[:-1])} or {_TYPES[-1]}", "layers.rules.type", self.type)
        set_fields(self, content=texts(self.content, "layers.rules.content"))
        if not self.content:
            raise SpecError("must name something that belongs in it", "layers.rules.content", self.name)
        for word in self.content:
            if self.type == "packages":
                if _NAME.fullmatch(word) is None:
                    raise SpecError("must be the name of a package", "layers.rules.content", word)
            elif self.type == "host":
                _check_host(word)
            else:
                check_absolute(word, "layers.rules.content")

    @classmethod
    def parse(cls, word: str) -> LayerRule:
        """Reads `NAME:TYPE:CONTENT`, as the variable OCI_LAYERS has it.

        Args:
            word: The text. CONTENT is parted by `,` or a single `+`; `++` is part of a name, so that
                `libgcc+libstdc++` are two packages.

        Returns:
            The rule.

        Raises:
            SpecError: It is of another form, or a part is wrong.
        """
        parts = check_text(word, "layers.rules").split(":", 2)
        if len(parts) != 3:
            raise SpecError("must be NAME:TYPE:CONTENT", "layers.rules", word)
        name, kind, content = parts
        return cls(name, kind, tuple(_CONTENT.findall(content)))


def _check_host(word: str) -> None:
    source, _, target = word.rpartition(":")
    if not source.startswith("/") or not target.startswith("/") or ".." in target.split("/"):
        reason = "must be SOURCE:TARGET, both absolute paths and TARGET without '..'"
        raise SpecError(reason, "layers.rules.content", word)
    names = [name for name in source.split("/") if name not in ("", ".")]
    if target.endswith("/") and (not names or names[-1] == ".."):
        reason = "must have a SOURCE that ends in a name, to go into the directory TARGET"
        raise SpecError(reason, "layers.rules.content", word)


def check_missing(value: str) -> str:
    """How a rule's package or path that is not in the root filesystem is reported: `error` or `warn`.

    Raises:
        SpecError: It is neither.
    """
    if check_text(value, "layers.missing") not in ("error", "warn"):
        raise SpecError("must be error or warn", "layers.missing", value)
    return value


@dataclass(frozen=True)
class Layers(Record):
    """How a root filesystem is split into layers.

    Attributes:
        mode: `single`: not at all. `multi`: as `rules` say, and one more layer for files that none claims. `auto`: by
            recipe, so that an update changes few layers, and one more for files that have none.
        rules: The layers of the mode `multi`, lowest first.
        missing: How a package or path of `rules` that is not in the root filesystem is reported: `error` fails the
            build, `warn` adds a warning to the result, and the layer does without it.
        max: The most layers of the mode `auto`, 1 to 125.
        lock: The file that keeps the layers of the mode `auto` the same from release to release; it need not be
            there yet. A relative path counts from the current directory.
        lock_output: Where it is written when there is something new; None: over `lock`.
        packages: Where it is known which package owns a file: `auto` (the database in the root filesystem,
            whichever it has), `dpkg`, `opkg`, `apk`, `none`, `pkgdata:DIRECTORY` (of a Yocto build) or
            `manifest:FILE` (a path and a name on each line).
        installed: For `pkgdata`, a file whose lines begin with the names of the packages that are installed, such as
            a Yocto build's IMAGE_MANIFEST. Without it, the files say what is installed.

    Raises:
        SpecError: A value is none of these, or has no meaning in this mode.
    """

    json_path: ClassVar[str] = "layers"
    json_parts: ClassVar[Mapping[str, type[Record]]] = {"rules": LayerRule}

    mode: str = "single"
    rules: tuple[LayerRule, ...] = ()
    missing: str = "error"
    max: int = 80
    lock: str | None = None
    lock_output: str | None = None
    packages: str = "auto"
    installed: str | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        if check_text(self.mode, "layers.mode") not in _MODES:
            raise SpecError("must be single, multi or auto", "layers.mode", self.mode)
        set_fields(self, rules=records(self.rules, LayerRule))
        check_integer(self.max, "layers.max", 1, _MOST_LAYERS)
        if self.mode == "multi" and not self.rules:
            raise SpecError("must say which layers there are in the mode 'multi'", "layers.rules")
        if self.mode != "multi" and self.rules:
            raise SpecError(f"must be left out in the mode {self.mode!r}", "layers.rules", self.rules[0].name)
        if check_missing(self.missing) != "error" and self.mode != "multi":
            raise SpecError("must be left out unless the mode is 'multi'", "layers.missing", self.missing)
        names = [rule.name for rule in self.rules]
        for index, name in enumerate(names):
            if name in names[:index] or name == "rest":
                reason = "must be another name than those before it, and than 'rest', the layer of what is left"
                raise SpecError(reason, "layers.rules.name", name)
        for field in ("lock", "lock_output"):
            path = getattr(self, field)
            if path is None:
                continue
            if self.mode != "auto":
                raise SpecError("must be left out unless the mode is 'auto'", f"layers.{field}", path)
            set_fields(self, **{field: file_path(path, f"layers.{field}")})
        self._check_packages()

    def _check_packages(self) -> None:
        match = _PACKAGES.fullmatch(check_text(self.packages, "layers.packages"))
        if match is None:
            reason = "must be auto, dpkg, opkg, apk, none, pkgdata:DIRECTORY or manifest:FILE"
            raise SpecError(reason, "layers.packages", self.packages)
        if match["kind"]:
            set_fields(self, packages=f"{match['kind']}:{file_path(match['path'], 'layers.packages')}")
        if self.installed is not None:
            if match["kind"] != "pkgdata":
                raise SpecError(
                    "must be left out unless packages is 'pkgdata:DIRECTORY'", "layers.installed", self.installed
                )
            set_fields(self, installed=file_path(self.installed, "layers.installed"))


def parse_layer_rules(words: Iterable[str]) -> tuple[LayerRule, ...]:
    """The layers that `NAME:TYPE:CONTENT` words describe, lowest first."""
    return tuple(map(LayerRule.parse, words))
