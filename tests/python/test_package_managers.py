"""Root filesystems of dpkg, opkg and apk on the command line: by package, automatically, from release to release."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Package:
    """What a package manager has installed."""

    name: str
    version: str
    recipe: str
    needs: tuple[str, ...]
    files: tuple[str, ...]


RELEASE = (
    Package("libc", "2.39-r0", "libc", (), ("usr/lib/libc.so.6", "etc/nsswitch.conf")),
    Package("busybox", "1.36-r1", "busybox", ("libc",), ("usr/bin/busybox", "etc/init.d/syslog")),
    Package("libstdc++", "13.2-r0", "gcc-runtime", ("libc",), ("usr/lib/libstdc++.so.6",)),
    Package("libssl", "3.2-r0", "openssl", ("libc",), ("usr/lib/libssl.so.3",)),
    Package("libcrypto", "3.2-r0", "openssl", ("libc",), ("usr/lib/libcrypto.so.3",)),
    Package("app", "1.0-r0", "app", ("libssl", "libstdc++"), ("usr/bin/app", "usr/share/app/a file with blanks")),
    Package("app-meta", "1.0-r0", "app", ("app",), ()),
)
UPGRADED = tuple(replace(package, version="1.1-r0") if package.recipe == "app" else package for package in RELEASE)


def dpkg(root: Path, packages: tuple[Package, ...]) -> None:
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True, exist_ok=True)
    status = []
    for package in packages:
        status.append(
            f"Package: {package.name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {package.version}\n"
            f"Source: {package.recipe}\n" + (f"Depends: {', '.join(package.needs)}\n" if package.needs else "")
        )
        listed = "".join(f"/{path}\n" for path in with_directories(package.files))
        (info / f"{package.name}.list").write_text(f"/.\n{listed}")
    (root / "var/lib/dpkg/status").write_text("\n".join(status))


def opkg(root: Path, packages: tuple[Package, ...]) -> None:
    info = root / "var/lib/opkg/info"
    info.mkdir(parents=True, exist_ok=True)
    status = []
    for package in packages:
        described = f"Package: {package.name}\nVersion: {package.version}\n" + (
            f"Depends: {', '.join(f'{need} (>= 1)' for need in package.needs)}\n" if package.needs else ""
        )
        status.append(f"{described}Status: install user installed\nArchitecture: core2-64\n")
        (info / f"{package.name}.control").write_text(f"{described}OE: {package.recipe}\nSection: base\n")
        (info / f"{package.name}.list").write_text("".join(f"/{path}\t0100644\n" for path in package.files))
    (root / "var/lib/opkg/status").write_text("\n".join(status))


def apk(root: Path, packages: tuple[Package, ...]) -> None:
    lines = []
    for package in packages:
        lines += [f"P:{package.name}", f"V:{package.version}", "A:x86_64", f"o:{package.recipe}"]
        lines += [f"D:{' '.join(package.needs)}"] if package.needs else []
        lines += [f"p:cmd:{package.name}={package.version}"]
        directories = set(with_directories(package.files)) - set(package.files)
        for directory in ["", *sorted(directories)]:
            lines += [f"F:{directory}"]
            for path in package.files:
                if path.rpartition("/")[0] == directory:
                    lines += [f"R:{Path(path).name}", "a:0:0:755", "Z:Q1+8xzRZyD+sbFv4yPbCkUEEcWTg="]
        lines.append("")
    (root / "lib/apk/db").mkdir(parents=True, exist_ok=True)
    (root / "lib/apk/db/installed").write_text("\n".join(lines) + "\n")


def with_directories(files: tuple[str, ...]) -> list[str]:
    return sorted({str(parent) for path in files for parent in (Path(path), *Path(path).parents[:-1])})


Manager = Callable[[Path, tuple[Package, ...]], None]
MANAGERS: dict[str, tuple[Manager, str]] = {
    "dpkg": (dpkg, "var/lib/dpkg/status"),
    "opkg": (opkg, "var/lib/opkg/status"),
    "apk": (apk, "lib/apk/db/installed"),
}


def install(root: Path, manager: str, packages: tuple[Package, ...]) -> None:
    """Files of 100 kB that do not compress, so that layers are worth having, and the database of them."""
    for package in packages:
        for path in package.files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            seed = f"{path} {package.version}".encode()
            content = b"".join(hashlib.sha256(seed + bytes([n % 256, n // 256])).digest() for n in range(3000))
            (root / path).write_bytes(content)
    (root / "etc/made-by-nobody").write_text("x")
    MANAGERS[manager][0](root, packages)
    for entry in (*root.rglob("*"), root):
        os.utime(entry, (1700000000, 1700000000))


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def command(*words: str | Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "image_oci_rs", *map(str, words), "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def layers_of(layout: Path) -> dict[str, set[str]]:
    """The files of each layer by its name."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(layout, entry["digest"]))
    found = {}
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(blob(layout, layer["digest"]))) as archive:
            names = {member.name for member in archive if not member.isdir()}
        found[layer["annotations"]["io.github.image-oci-rs.layer.name"]] = names
    return found


def blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


def test_layers_of_packages_with_what_they_need(manager: str, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    install(root, manager, RELEASE)
    rules = ["--layers", "base:packages:busybox", "--layers", "libraries:packages:libssl+libstdc++"]
    rules += ["--layers", "app:packages:app-meta"]
    command("build", root, tmp_path / "image", *rules)
    layers = layers_of(tmp_path / "image")
    assert list(layers) == ["base", "libraries", "app", "rest"]
    assert layers["base"] == {
        "usr/bin/busybox",
        "etc/init.d/syslog",
        "usr/lib/libc.so.6",
        "etc/nsswitch.conf",
    }
    assert layers["libraries"] == {"usr/lib/libssl.so.3", "usr/lib/libstdc++.so.6"}
    # The package itself has no files; what it needs is put where it is named.
    assert layers["app"] == {"usr/bin/app", "usr/share/app/a file with blanks"}
    assert {"usr/lib/libcrypto.so.3", "etc/made-by-nobody", MANAGERS[manager][1]} <= layers["rest"]


@pytest.mark.parametrize("archive", [False, True])
def test_an_upgrade_changes_the_layer_of_its_recipe_and_the_database(
    manager: str, archive: bool, tmp_path: Path
) -> None:
    root = tmp_path / "rootfs"
    automatic = ["--layer-mode", "auto", "--lock", str(tmp_path / "layers.lock")]
    images = []
    for number, packages in enumerate((RELEASE, UPGRADED)):
        install(root, manager, packages)
        source = tmp_path / f"{number}.tar" if archive else root
        if archive:
            with tarfile.open(source, "w") as file:
                file.add(root, ".")
        images.append(tmp_path / f"image{number}")
        command("build", source, images[-1], *automatic)
    difference = command("diff", *images)
    assert [layer["name"] for layer in difference["layers"] if not layer["stays"]] == ["app", "database"]
    upgraded = {(package["name"], package["old"], package["new"]) for package in difference["packages"]}
    # The database belongs to nobody.
    assert upgraded == {("", None, None), ("app", "1.0-r0", "1.1-r0"), ("app-meta", "1.0-r0", "1.1-r0")}
    layers = layers_of(images[1])
    assert layers["app"] == {"usr/bin/app", "usr/share/app/a file with blanks"}
    assert layers["openssl"] == {"usr/lib/libssl.so.3", "usr/lib/libcrypto.so.3"}
    assert MANAGERS[manager][1] in layers["database"]
    assert "etc/made-by-nobody" in layers["rest"]

    explained = command("explain", images[1], "/usr/lib/libcrypto.so.3")
    assert (explained["name"], explained["owner"]["name"]) == ("openssl", "libcrypto")


def test_the_plan_is_the_same_for_every_manager(tmp_path: Path) -> None:
    plans = []
    for manager in MANAGERS:
        root = tmp_path / manager / "rootfs"
        install(root, manager, RELEASE)
        command("build", root, tmp_path / manager / "image", "--layer-mode", "auto")
        layers = layers_of(tmp_path / manager / "image")
        plans.append({name: files for name, files in layers.items() if name != "database"})
    assert plans[0] == plans[1] == plans[2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("app-doc", "no such package is in the root filesystem; there is app"),
        ("curl", "no such package is in the root filesystem: install it, or leave it out here"),
    ],
)
def test_a_package_that_is_not_there_is_named(manager: str, name: str, message: str, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    install(root, manager, RELEASE)
    done = subprocess.run(
        [sys.executable, "-m", "image_oci_rs", "build", root, tmp_path / "image", "--layers", f"a:packages:{name}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f"layers.rules: {message} (got '{name}')" in done.stderr
    assert not (tmp_path / "image").exists()
