from __future__ import annotations

import pytest

from image_oci_rs import Platform, SpecError


@pytest.mark.parametrize(
    ("name", "architecture", "variant"),
    [
        # TARGET_ARCH in openembedded-core's tune files.
        ("x86_64", "amd64", None),
        ("i586", "386", None),
        ("i686", "386", None),
        ("arm", "arm", None),
        ("armeb", "armbe", None),
        ("aarch64", "arm64", None),
        ("aarch64_be", "arm64be", None),
        ("mips", "mips", None),
        ("mipsel", "mipsle", None),
        ("mips64", "mips64", None),
        ("mips64el", "mips64le", None),
        ("mipsisa32r6", "mips", None),
        ("mipsisa32r6el", "mipsle", None),
        ("mipsisa64r6", "mips64", None),
        ("mipsisa64r6el", "mips64le", None),
        ("powerpc", "ppc", None),
        ("powerpc64", "ppc64", None),
        ("powerpc64le", "ppc64le", None),
        ("riscv32", "riscv", None),
        ("riscv64", "riscv64", None),
        ("loongarch64", "loong64", None),
        ("s390x", "s390x", None),
        # uname -m
        ("i386", "386", None),
        ("armv5tel", "arm", "v5"),
        ("armv6l", "arm", "v6"),
        ("armv7l", "arm", "v7"),
        ("armv8l", "arm", "v8"),
        ("armv7b", "armbe", None),
        ("ppc64le", "ppc64le", None),
        # Debian and sloci-image
        ("x86", "386", None),
        ("armhf", "arm", None),
        ("ppc64el", "ppc64le", None),
        # Go
        ("amd64", "amd64", None),
        ("386", "386", None),
        ("arm64", "arm64", None),
        ("mips64le", "mips64le", None),
        ("loong64", "loong64", None),
    ],
)
def test_architectures_by_any_name(name: str, architecture: str, variant: str | None) -> None:
    assert Platform.from_names(name) == Platform(architecture, "linux", variant)


@pytest.mark.parametrize("name", ["", "vax", "sh4", "m68k", "x86_64_v2", "AMD64", "arm 64"])
def test_unknown_architectures(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        Platform.from_names(name)
    assert caught.value.field == "platform.architecture"
    assert str(caught.value).startswith("platform.architecture: must be one of 386, amd64, arm, ")
    assert str(caught.value).endswith(f"(got {name!r})")


@pytest.mark.parametrize(("name", "meant"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("AMD64", "amd64")])
def test_a_platform_itself_takes_only_the_names_of_go(name: str, meant: str) -> None:
    with pytest.raises(SpecError, match=f"did you mean '{meant}'"):
        Platform(name)


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [
        ("arm", "v5"),
        ("arm", "v8"),
        ("arm64", "v8"),
        ("arm64", "v8.2"),
        ("arm64", "v9"),
        ("amd64", "v1"),
        ("amd64", "v4"),
        ("ppc64le", "power9"),
        ("riscv64", "rva22u64"),
    ],
)
def test_variants(architecture: str, variant: str) -> None:
    assert Platform(architecture, variant=variant).variant == variant


@pytest.mark.parametrize(
    ("architecture", "variant", "message"),
    [
        ("arm", "v9", "must be v5, v6, v7 or v8 for arm (got 'v9')"),
        ("arm", "7", "must be v5, v6, v7 or v8 for arm (got '7')"),
        ("arm64", "v7", "must be v8 or v9, with or without a minor number as in v8.2 for arm64"),
        ("amd64", "v5", "must be v1, v2, v3 or v4 for amd64 (got 'v5')"),
        ("386", "v1", "must be empty: 386 has no variants (got 'v1')"),
    ],
)
def test_variants_outside(architecture: str, variant: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Platform(architecture, variant=variant)
    assert str(caught.value).startswith(f"platform.variant: {message}")


def test_a_given_variant_wins_and_an_empty_one_is_none() -> None:
    assert Platform.from_names("armv7l", variant="v6").variant == "v6"
    assert Platform.from_names("arm", variant="").variant is None


def test_unknown_operating_systems() -> None:
    with pytest.raises(SpecError) as caught:
        Platform("amd64", "Linux")
    assert str(caught.value).startswith("platform.os: must be one of aix, ")
    assert str(caught.value).endswith("did you mean 'linux'? (got 'Linux')")
