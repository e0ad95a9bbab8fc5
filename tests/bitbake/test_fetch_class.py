"""oci-fetch-rs: an image of a registry, fetched by its digest. A script stands in for skopeo here."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bb.fetch2
import pytest
from bitbake_harness.build_directory import BuildDirectory
from bitbake_harness.datastore import task_hashes
from bitbake_harness.kit import Kit
from test_signature import Recorder

from image_oci_rs.bitbake.fetch import deploy_image, fetch_image

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "docker.io/library/alpine"
PIN = f"sha256:{'0' * 64}"

# It gives what is in one directory, whatever it is asked for, and remembers the words.
SKOPEO = """\
#!/bin/sh
echo "$@" >> {served}/asked
for last; do :; done
case $2 in
inspect) cat {served}/pinned ;;
copy) cp -r {served}/copy "${{last#dir:}}"; exit $(cat {served}/status) ;;
esac
"""


@dataclass(frozen=True)
class Registry:
    """What the stand-in for skopeo serves.

    Attributes:
        pin: The digest of what is served.
        manifests: The digests of the images, by platform.
    """

    directory: Path
    pin: str
    manifests: dict[str, str]

    def asked(self) -> list[str]:
        path = self.directory / "asked"
        return path.read_text().splitlines() if path.exists() else []


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def described(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def serve(top: Path, *platforms: str, pinned: str = "index") -> Registry:
    """Writes images for platforms, and the index of them, as skopeo's transport `dir` has them."""
    served = top / "served"
    (served / "copy").mkdir(parents=True)
    (served / "status").write_text("0")
    entries, manifests = [], {}
    for platform in platforms:
        os, architecture, *variant = platform.split("/")
        record = {"os": os, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        blobs = [json.dumps(record).encode(), f"layer for {platform}".encode()]
        config, layer = described(blobs[0], f"{MANIFEST}.config"), described(blobs[1], "application/x-tar")
        manifest = json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode()
        for blob in blobs:
            (served / "copy" / digest_of(blob).removeprefix("sha256:")).write_bytes(blob)
        name = digest_of(manifest).removeprefix("sha256:")
        (served / "copy" / f"{name}.manifest.json").write_bytes(manifest)
        entries.append({**described(manifest, MANIFEST), "platform": record})
        manifests[platform] = digest_of(manifest)
    document = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    if pinned == "manifest":
        document = manifest
    (served / "pinned").write_bytes(document)
    for path in (served, served / "copy"):
        path.chmod(0o777)
    return Registry(served, digest_of(document), manifests)


Fetch = Callable[..., BuildDirectory]


@pytest.fixture
def fetch(kit: Kit) -> Fetch:
    """Makes a build directory whose recipe fetches what `serve` has written, or another digest."""

    def make(*lines: str, digest: str = PIN, served: Path | None = None, conf: str = "") -> BuildDirectory:
        recipe = f'inherit oci-fetch-rs\nOCI_FETCH_IMAGE = "{NAME}:3.19"\nOCI_FETCH_DIGEST = "{digest}"\n'
        if served:
            conf += f'HOST_PATH = "{served.parent}/bin:/usr/bin:/bin"\n'
            (served.parent / "bin").mkdir(exist_ok=True)
            (served.parent / "bin/skopeo").write_text(SKOPEO.format(served=served))
            (served.parent / "bin/skopeo").chmod(0o755)
        return kit.build_directory(recipe + "\n".join(lines) + "\n", "alpine", conf)

    return make


@pytest.fixture
def place(kit: Kit) -> Path:
    """A directory that the build user may enter."""
    directory = Path(tempfile.mkdtemp(dir=kit.directory))
    directory.chmod(0o755)
    return directory


def deployed(build: BuildDirectory) -> tuple[dict[str, Any], set[str]]:
    """The entry of index.json, and the digests of the blobs that are there."""
    layout = build.top / "tmp/deploy/images/alpine-latest-oci"
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return entry, {f"sha256:{path.name}" for path in (layout / "blobs/sha256").iterdir()}


def run(build: BuildDirectory) -> BuildDirectory:
    outcome = build.run()
    assert outcome.succeeded, outcome.output
    return build


def failure(build: BuildDirectory) -> str:
    outcome = build.run()
    assert not outcome.succeeded
    # Nothing is left that another build would take for the image.
    assert [path.name for path in (build.top / "downloads").iterdir()] == []
    return outcome.output


@pytest.mark.parametrize(
    ("platform", "offered", "chosen"),
    [
        (None, ["linux/arm64/v8", "linux/amd64"], "linux/amd64"),
        ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm/v7", ["linux/arm/v6", "linux/arm/v7", "linux/arm64"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], "linux/arm/v6"),
        ("linux/amd64/v3", ["unknown/unknown", "linux/amd64", "linux/amd64/v2"], "linux/amd64/v2"),
    ],
)
def test_image_of_the_platform_is_deployed(
    fetch: Fetch, place: Path, platform: str | None, offered: list[str], chosen: str
) -> None:
    served = serve(place, *offered)
    lines = (f'OCI_FETCH_PLATFORM = "{platform}"',) if platform else ()
    build = run(fetch(*lines, digest=served.pin, served=served.directory))
    entry, blobs = deployed(build)
    assert entry["digest"] == served.manifests[chosen]
    assert "platform" not in entry and len(blobs) == 3
    assert served.asked()[0].endswith(f"--raw docker://{NAME}@{served.pin}")
    assert f"docker://{NAME}@{served.manifests[chosen]} dir:" in served.asked()[1]


def test_all_platforms_of_an_index(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64", "linux/arm64", "linux/arm/v7")
    # skopeo writes the index as manifest.json.
    shutil.copyfile(served.directory / "pinned", served.directory / "copy/manifest.json")
    build = run(fetch('OCI_FETCH_PLATFORM = "all"', digest=served.pin, served=served.directory))
    entry, blobs = deployed(build)
    assert (entry["digest"], entry["mediaType"]) == (served.pin, INDEX)
    assert len(blobs) == 10
    assert "--all" in served.asked()[1]


def test_a_manifest_may_be_pinned(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64", pinned="manifest")
    entry, blobs = deployed(run(fetch(digest=served.pin, served=served.directory)))
    assert entry["digest"] == served.pin and len(blobs) == 3


def test_later_builds_need_no_network(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    first = run(fetch(digest=served.pin, served=served.directory))
    asked = served.asked()
    conf = f'DL_DIR = "{first.top}/downloads"\nBB_NO_NETWORK = "1"\n'
    # Not even skopeo: the task removes directories, and that is all.
    (place / "tools").mkdir()
    (place / "tools/rm").symlink_to("/bin/rm")
    second = run(fetch(digest=served.pin, conf=conf + f'HOST_PATH = "{place}/tools"\n'))
    assert deployed(second) == deployed(first)
    assert served.asked() == asked


def test_what_is_in_the_download_directory_is_checked(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    build = run(fetch(digest=served.pin, served=served.directory))
    (store,) = (build.top / "downloads").iterdir()
    assert store.name == f"oci-{served.pin.replace(':', '-')}-linux-amd64"
    layer = store / "blobs/sha256" / digest_of(b"layer for linux/amd64").removeprefix("sha256:")
    layer.write_text("layer for linux/other")
    for tasks in (("do_fetch",), ("do_deploy",)):
        outcome = build.run(*tasks)
        assert not outcome.succeeded
        assert f"{layer} has the digest sha256:" in outcome.output
    shutil.rmtree(store)
    outcome = build.run("do_deploy")
    assert not outcome.succeeded
    assert "is gone; fetch it again: bitbake -C fetch alpine" in outcome.output


def test_cleaning_everything_removes_the_download(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    build = run(fetch(digest=served.pin, served=served.directory))
    assert list((build.top / "downloads").iterdir())
    assert build.run("do_cleanall").succeeded
    assert list((build.top / "downloads").iterdir()) == []


def test_no_network_and_nothing_there(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    said = failure(fetch(digest=served.pin, served=served.directory, conf='BB_NO_NETWORK = "1"\n'))
    assert f'OCI_FETCH_IMAGE: {NAME} is not in DL_DIR, and BB_NO_NETWORK is "1"' in said
    assert f"downloads/oci-{served.pin.replace(':', '-')}-linux-amd64" in said
    assert served.asked() == []


def test_networks_that_are_not_allowed(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    said = failure(fetch(digest=served.pin, served=served.directory, conf='BB_ALLOWED_NETWORKS = "*.example"\n'))
    assert f"{NAME}: BB_ALLOWED_NETWORKS does not have this registry" in said
    assert served.asked() == []


@pytest.mark.parametrize("only", ["0", "1"])
def test_mirrors_are_tried_first(fetch: Fetch, place: Path, only: str) -> None:
    served = serve(place, "linux/amd64")
    lines = ('OCI_FETCH_MIRRORS = "quay.io=no.example docker.io=mirror.example/hub"',)
    run(fetch(*lines, digest=served.pin, served=served.directory, conf=f'BB_FETCH_PREMIRRORONLY = "{only}"\n'))
    assert all("docker://mirror.example/hub/library/alpine@" in words for words in served.asked())


def test_only_mirrors_and_none_fits(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    said = failure(fetch(digest=served.pin, served=served.directory, conf='BB_FETCH_PREMIRRORONLY = "1"\n'))
    assert 'BB_FETCH_PREMIRRORONLY is "1", and no word of OCI_FETCH_MIRRORS fits it' in said


def lose_a_blob(served: Registry) -> None:
    next(path for path in (served.directory / "copy").iterdir() if path.suffix == "").unlink()


def break_off(served: Registry) -> None:
    (served.directory / "status").write_text("1")


def serve_another(served: Registry) -> None:
    (served.directory / "pinned").write_text('{"schemaVersion": 2, "manifests": []}')


def change_a_layer(served: Registry) -> None:
    name = digest_of(b"layer for linux/amd64").removeprefix("sha256:")
    (served.directory / "copy" / name).write_text("something else")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lose_a_blob, " is missing in "),
        (break_off, "skopeo ended with 1"),
        (serve_another, " has the digest sha256:"),
        (change_a_layer, " has the digest sha256:"),
    ],
)
def test_nothing_stays_of_a_fetch_that_failed(
    fetch: Fetch, place: Path, harm: Callable[[Registry], None], message: str
) -> None:
    served = serve(place, "linux/amd64")
    harm(served)
    said = failure(fetch(digest=served.pin, served=served.directory))
    assert f"OCI_FETCH_IMAGE: {served.pin} cannot be fetched from {NAME}: " in said and message in said


def test_a_killed_fetch_is_taken_over(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    build = fetch(digest=served.pin, served=served.directory)
    left = build.top / "downloads" / f".oci-{served.pin.replace(':', '-')}-linux-amd64.partial"
    (left / "blobs/sha256").mkdir(parents=True)
    (left / "blobs/sha256/half").touch()
    for path in (left.parent, left, left / "blobs", left / "blobs/sha256"):
        shutil.chown(path, build.kit.user.uid, build.kit.user.gid)
    assert len(deployed(run(build))[1]) == 3
    assert not left.exists()


@pytest.mark.parametrize(
    ("offered", "pinned", "message"),
    [
        (
            ["linux/arm64/v8", "linux/arm/v7"],
            "index",
            "no image for linux/amd64, only for linux/arm64/v8, linux/arm/v7",
        ),
        (["linux/arm64"], "manifest", "is an image for linux/arm64, not for linux/amd64"),
    ],
)
def test_an_image_for_other_platforms(fetch: Fetch, place: Path, offered: list[str], pinned: str, message: str) -> None:
    served = serve(place, *offered, pinned=pinned)
    assert message in failure(fetch(digest=served.pin, served=served.directory))


WRONG = {
    "no digest": (
        'OCI_FETCH_DIGEST = ""',
        "OCI_FETCH_DIGEST: must be sha256: and 64 hexadecimal digits, as printed by",
    ),
    "a tag for a digest": ('OCI_FETCH_DIGEST = "3.19"', f"docker://{NAME}:3.19 (got '3.19')"),
    "no image": ('OCI_FETCH_IMAGE = ""', "OCI_FETCH_IMAGE: must be an image of a registry, such as"),
    "a digest in the image": (f'OCI_FETCH_IMAGE = "alpine@{PIN}"', "OCI_FETCH_IMAGE: must have no digest"),
    "a platform of uname": ('OCI_FETCH_PLATFORM = "linux/x86_64"', "did you mean 'amd64'?"),
    "an architecture alone": ('OCI_FETCH_PLATFORM = "amd64"', "OCI_FETCH_PLATFORM: must be os/architecture,"),
    "a machine that Go does not know": ('TARGET_ARCH = "microblaze"', "OCI_FETCH_PLATFORM: must be os/architecture,"),
    "a mirror of nothing": ('OCI_FETCH_MIRRORS = "mirror.example"', "OCI_FETCH_MIRRORS: must be KEY=VALUE"),
    "a switch": ('OCI_FETCH_TLS_VERIFY = "perhaps"', "OCI_FETCH_TLS_VERIFY: must be 1, yes or true"),
    "a tag": ('OCI_IMAGE_TAG = "a b"', "OCI_IMAGE_TAG: must be 1 to 128"),
    "no skopeo": ('PATH = "/nowhere"', "oci-fetch-rs needs skopeo: install it on this machine"),
}


@pytest.mark.parametrize(("line", "message"), WRONG.values(), ids=WRONG)
def test_invalid_values_are_reported_at_parse_time(fetch: Fetch, place: Path, line: str, message: str) -> None:
    served = serve(place, "linux/amd64")
    assert message in fetch(line, served=served.directory).parse().getVar("__SKIPPED")


@pytest.mark.parametrize(
    ("lines", "platform"),
    [
        ('TARGET_ARCH = "aarch64"', "linux/arm64"),
        ('TARGET_ARCH = "arm"\nTUNE_FEATURES = "arm armv6 vfp"', "linux/arm/v6"),
        ('TARGET_ARCH = "arm"\nTUNE_FEATURES = "arm cortexa8"\nMACHINEOVERRIDES = "armv7a:m"', "linux/arm/v7"),
    ],
)
def test_platform_of_the_machine_is_the_default(fetch: Fetch, place: Path, lines: str, platform: str) -> None:
    served = serve(place, "linux/amd64")
    assert fetch(lines, served=served.directory).parse().getVar("OCI_FETCH_PLATFORM") == platform


def test_skopeo_of_a_layer_is_preferred(fetch: Fetch) -> None:
    d = fetch(conf='BBFILE_COLLECTIONS += "virtualization-layer"\nHOST_PATH = "/nowhere"\n').parse()
    assert d.getVar("__SKIPPED") is None
    assert d.getVarFlag("do_fetch", "depends").split() == ["skopeo-native:do_populate_sysroot"]


def test_only_fetching_has_a_network(fetch: Fetch, place: Path) -> None:
    d = fetch(served=serve(place, "linux/amd64").directory).parse()
    tasks = d.getVar("__BBTASKS", False)
    assert [task for task in tasks if d.getVarFlag(task, "network")] == ["do_fetch"]
    assert d.getVar("EXCLUDE_FROM_WORLD") == "1"


@pytest.mark.parametrize("name", ["oci-fetch-rs", "oci-index-rs"])
def test_licence_task_stays(kit: Kit, name: str) -> None:
    # OE-core ends the build of an image that waits for do_deploy of a recipe without it.
    licence = "python do_populate_lic () {\n    pass\n}\naddtask populate_lic\n"
    d = kit.build_directory(f"{licence}inherit {name}\n", "alpine").parse()
    assert "do_populate_lic" in d.getVar("__BBTASKS", False)


def test_every_variable_that_is_read_is_declared(fetch: Fetch, place: Path) -> None:
    served = serve(place, "linux/amd64")
    d = fetch(digest=served.pin, served=served.directory).parse()
    for variable in ("DL_DIR", "DEPLOYDIR"):
        d.setVar(variable, str(place / variable))
        (place / variable).mkdir()
    recorder = Recorder(d)
    fetch_image(recorder)
    deploy_image(recorder)
    declared = {flag: set(d.getVarFlag("oci_rs_own_library", flag).split()) for flag in ("vardeps", "vardepsexclude")}
    # BitBake's own fetcher asks for these.
    others = {*bb.fetch2.FETCH_EXPORT_VARS, "BB_ORIGENV", "BB_ALLOWED_NETWORKS"} - {"PATH"}
    read = {name for name in recorder.variables if not name.startswith("__")} - others
    assert declared["vardeps"] | declared["vardepsexclude"] == read


@pytest.mark.parametrize(
    ("line", "tasks"),
    [
        (f'OCI_FETCH_DIGEST = "sha256:{"1" * 64}"', {"do_fetch", "do_deploy"}),
        ('TARGET_ARCH = "aarch64"', {"do_fetch", "do_deploy"}),
        ('OCI_IMAGE_TAG = "3.19"', {"do_fetch", "do_deploy"}),
        ('OCI_FETCH_IMAGE = "quay.io/other"', set()),
        ('OCI_FETCH_MIRRORS = "a=b"', set()),
    ],
)
def test_what_runs_again_after_a_change(fetch: Fetch, place: Path, line: str, tasks: set[str]) -> None:
    served = serve(place, "linux/amd64").directory
    before, after = (task_hashes(fetch(*lines, served=served).parse()) for lines in ((), (line,)))
    changed = {task for task in before if before[task] != after[task]}
    assert changed & {"do_fetch", "do_deploy"} == tasks
