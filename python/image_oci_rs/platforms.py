"""Processors and operating systems under the names that images carry, which are Go's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .errors import SpecError
from .parsing import check_text
from .records import Record

_ARCHITECTURES = frozenset(
    "386 amd64 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le ppc ppc64 ppc64le riscv"
    " riscv64 s390 s390x sparc sparc64 wasm".split()
)
_OPERATING_SYSTEMS = frozenset(
    "aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris wasip1 windows".split()
)

# What others (Yocto's TARGET_ARCH, `uname -m`, GNU, Debian) call them. A pattern fits a whole name;
# the first one counts.
_OTHER_NAMES: tuple[tuple[str, str], ...] = (
    ("i[3-6]86|x86|ia32", "386"),
    ("x86[_-]64|x64", "amd64"),
    ("aarch64", "arm64"),
    ("aarch64_?be", "arm64be"),
    ("armeb|armv[0-9][a-z]*b", "armbe"),
    ("armel|armhf|armv[0-9].*", "arm"),
    ("mipsel|mipsisa32r6el", "mipsle"),
    ("mipsisa32r6", "mips"),
    ("mips64el|mipsisa64r6el", "mips64le"),
    ("mipsisa64r6", "mips64"),
    ("powerpc", "ppc"),
    ("powerpc64", "ppc64"),
    ("powerpc64le|ppc64el", "ppc64le"),
    ("riscv32", "riscv"),
    ("loongarch64", "loong64"),
)

# image-spec v1.1.1, image-index.md, has arm's v6 to v8 and arm64's v8, and leaves the others to
# implementations; these are the values that Go and containerd use.
_VARIANTS: Mapping[str, tuple[str, str]] = {
    "arm": (r"v[5-8]", "v5, v6, v7 or v8"),
    "arm64": (r"v[89](\.[0-9])?", "v8 or v9, with or without a minor number as in v8.2"),
    "amd64": (r"v[1-4]", "v1, v2, v3 or v4"),
    "ppc64": (r"power([89]|10|11)", "power8, power9, power10 or power11"),
    "ppc64le": (r"power([89]|10|11)", "power8, power9, power10 or power11"),
    "riscv64": (r"rva2[023]u64", "rva20u64, rva22u64 or rva23u64"),
}


@dataclass(frozen=True)
class Platform(Record):
    """What the programs in an image run on.

    Attributes:
        architecture: A GOARCH value, for example `amd64`, `arm` or `arm64`.
        os: A GOOS value.
        variant: The variant of the architecture, for example `v7` of `arm`; None for its base.

    Raises:
        SpecError: A value is unknown, or the architecture has no such variant.

    Source: image-spec v1.1.1, image-index.md, platform.
    """

    json_path: ClassVar[str] = "platform"

    architecture: str
    os: str = "linux"
    variant: str | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        if check_text(self.architecture, "platform.architecture") not in _ARCHITECTURES:
            raise _unknown(
                "platform.architecture",
                self.architecture,
                _ARCHITECTURES,
                _go_name(self.architecture),
            )
        if check_text(self.os, "platform.os") not in _OPERATING_SYSTEMS:
            raise _unknown("platform.os", self.os, _OPERATING_SYSTEMS)
        if self.variant is None:
            return
        check_text(self.variant, "platform.variant")
        if self.architecture not in _VARIANTS:
            raise SpecError(
                f"must be empty: {self.architecture} has no variants",
                "platform.variant",
                self.variant,
            )
        pattern, words = _VARIANTS[self.architecture]
        if re.fullmatch(pattern, self.variant) is None:
            raise SpecError(f"must be {words} for {self.architecture}", "platform.variant", self.variant)

    @classmethod
    def from_names(cls, architecture: str, os: str = "linux", variant: str | None = None) -> Platform:
        """The platform under any name that is in use for its architecture.

        Args:
            architecture: What Yocto (TARGET_ARCH), `uname -m`, Debian, GNU or Go call it.
            os: A GOOS value.
            variant: The variant; empty is none, unless `armv5…` to `armv8…` says it already.

        Returns:
            The platform.

        Raises:
            SpecError: Nothing that images know goes by that name.
        """
        check_text(architecture, "platform.architecture")
        spoken = re.match(r"armv[5-8]", architecture)
        go_name = _go_name(architecture)
        if go_name is None:
            raise _unknown("platform.architecture", architecture, _ARCHITECTURES)
        if not variant and spoken and go_name == "arm":
            variant = spoken[0][3:]
        return cls(go_name, os, variant or None)


def _go_name(architecture: str) -> str | None:
    if architecture in _ARCHITECTURES:
        return architecture
    return next((name for pattern, name in _OTHER_NAMES if re.fullmatch(pattern, architecture)), None)


def _unknown(field: str, value: str, known: frozenset[str], meant: str | None = None) -> SpecError:
    near = [meant] if meant else difflib.get_close_matches(value.lower(), sorted(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return SpecError(f"must be one of {', '.join(sorted(known))}{hint}", field, value)
