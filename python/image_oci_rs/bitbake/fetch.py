"""Fetches an image of a registry by its digest, so that other images can be built upon it.

Called by classes/oci-fetch-rs.bbclass: `problem` at parse time, `fetch_image` in do_fetch, the only task with network,
`deploy_image` in do_deploy and `remove_download` in do_cleanall. skopeo does the transfer; what it brings is checked
here, from the pinned digest on.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]
import bb.fetch2  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..display import error_text, printable
from ..errors import ImageError, SpecError
from ..parsing import check_tag, parse_key_value, parse_reference
from ..platforms import Platform
from .base_image import digest_command
from .datastore import Datastore, Reader
from .pinned_image import PinnedImage
from .platform import arm_variant
from .reference import file_name_of_tag
from .skopeo import Skopeo


@dataclass(frozen=True)
class Request:
    """An image to fetch, and its sources.

    Attributes:
        name: The repository with its registry, without a tag.
        image: Where it is kept in DL_DIR.
        sources: The repositories that may have it, in the order in which they are tried.
    """

    name: str
    image: PinnedImage
    sources: tuple[str, ...]

    @classmethod
    def of(cls, read: Reader) -> Request:
        """The request that the variables describe.

        Raises:
            SpecError: A value is wrong; `field` is its variable.
        """
        name = _full_name(read)
        digest = read.text("OCI_FETCH_DIGEST")
        if re.fullmatch("sha256:[0-9a-f]{64}", digest) is None:
            command = digest_command(read.text("OCI_FETCH_IMAGE"))
            reason = f"must be sha256: and 64 hexadecimal digits, as printed by {command}"
            raise SpecError(reason, "OCI_FETCH_DIGEST", digest)
        platform = _platform(read)
        of_platform = "-".join(read.text("OCI_FETCH_PLATFORM").split("/"))
        directory = Path(read.text("DL_DIR"), f"oci-{digest.replace(':', '-')}-{of_platform}")
        return cls(name, PinnedImage(directory, digest, platform), tuple(_sources(read, name)))


def problem(d: Datastore) -> str | None:
    """Checks the variables at parse time.

    Returns:
        The message about an invalid value or a missing skopeo; None if there is neither.
    """
    read = Reader(d)
    try:
        request = Request.of(read)
        read.switch("OCI_FETCH_TLS_VERIFY")
        _tag(read)
    except SpecError as error:
        return printable(f"{error.field}: {error.detail}")
    # The recipe is parsed again when one of them appears or goes.
    bb.parse.mark_dependency(d, str(request.image.directory))
    if read.text("HOSTTOOLS_DIR"):
        bb.parse.mark_dependency(d, os.path.join(read.text("HOSTTOOLS_DIR"), "skopeo"))
    if read.text("OCI_FETCH_DEPENDS") or request.image.directory.exists() or _program(read):
        return None
    return (
        "oci-fetch-rs needs skopeo: install it on this machine, or add the layer meta-virtualization, of which"
        f" skopeo-native is then used (OCI_FETCH_DEPENDS). {request.name} is not in {request.image.directory} yet"
    )


def machine_platform(d: Datastore) -> str:
    """The platform of the machine, as `os/architecture/variant`; the architecture alone if no image can be for it."""
    read = Reader(d)
    try:
        platform = Platform.from_names(read.text("TARGET_ARCH"), "linux", arm_variant(d) or None)
    except SpecError:
        return read.text("TARGET_ARCH")
    return "/".join(filter(None, (platform.os, platform.architecture, platform.variant)))


def fetch_image(d: Datastore) -> None:
    """Copies the image into DL_DIR, unless it is there; the work of do_fetch.

    Raises:
        bb.BBHandledException: The task failed; its log has the reason.
    """
    read = Reader(d)
    try:
        request = Request.of(read)
        directory = request.image.directory
        lock = bb.utils.lockfile(f"{directory}.lock")
        try:
            if directory.exists():
                request.image.verify()
                bb.note(f"{request.name}@{request.image.pin} is in {directory}")
            else:
                _download(d, request)
        finally:
            bb.utils.unlockfile(lock)
    except SpecError as error:
        bb.fatal(printable(f"{error.field}: {error.detail}"))
    except (ImageError, OSError) as error:
        bb.fatal(printable(f"OCI_FETCH_IMAGE: {error_text(error)}"))


def deploy_image(d: Datastore) -> None:
    """Makes a layout of what is in DL_DIR; the work of do_deploy.

    Raises:
        bb.BBHandledException: The task failed; its log has the reason.
    """
    read = Reader(d)
    layout = Path(read.text("DEPLOYDIR"), f"{read.text('PN')}-{file_name_of_tag(_tag(read))}-oci")
    try:
        image = Request.of(read).image
        if not image.directory.exists():
            bb.fatal(f"{image.directory} is gone; fetch it again: bitbake -C fetch {read.text('PN')}")
        root = image.write_layout(layout, _tag(read))
    except (ImageError, OSError) as error:
        bb.fatal(error_text(error))
    bb.note(f"wrote {layout}: {root.digest}")


def remove_download(d: Datastore) -> None:
    """Removes the image from DL_DIR; the work of do_cleanall."""
    shutil.rmtree(Request.of(Reader(d)).image.directory, ignore_errors=True)


def _download(d: Datastore, request: Request) -> None:
    """Tries the sources one after the other."""
    read, image = Reader(d), request.image
    if read.switch("BB_NO_NETWORK"):
        raise ImageError(
            f'{request.name} is not in DL_DIR, and BB_NO_NETWORK is "1": fetch it where there is a network, and copy'
            f" {image.directory}"
        )
    if not request.sources:
        raise ImageError(
            f'{request.name} is not in DL_DIR, BB_FETCH_PREMIRRORONLY is "1", and no word of OCI_FETCH_MIRRORS fits it'
        )
    failures = []
    for source in request.sources:
        try:
            _download_from(d, image, source)
            return
        except ImageError as error:
            failures.append(f"{source}: {error}")
            bb.note(printable(failures[-1]))
    raise ImageError(f"{image.pin} cannot be fetched from {'; nor from '.join(failures)}")


def _download_from(d: Datastore, image: PinnedImage, source: str) -> None:
    read = Reader(d)
    if not bb.fetch2.trusted_network(d, f"docker://{source}"):
        raise ImageError("BB_ALLOWED_NETWORKS does not have this registry")
    program = _program(read)
    if program is None:
        raise ImageError("there is no skopeo in PATH")
    # Variables that a recipe exports, such as REGISTRY_AUTH_FILE, and those of all BitBake's fetchers: proxies, HOME.
    environment = {**os.environ, **bb.fetch2.get_fetcher_environment(d)}
    skopeo = Skopeo(program, environment, read.switch("OCI_FETCH_TLS_VERIFY"), bb.note)
    with _partial(image) as partial:
        # skopeo does not have to be trusted: each digest is computed again.
        partial.path(image.pin).write_bytes(skopeo.manifest(f"{source}@{image.pin}"))
        copied = partial.directory / "copied"
        skopeo.copy(f"{source}@{partial.chosen().digest}", copied, everything=image.platform is None)
        _adopt(copied, partial)
        partial.verify()
    bb.note(f"wrote {image.directory}")


@contextmanager
def _partial(image: PinnedImage) -> Iterator[PinnedImage]:
    """The same image under another name, which it loses when all went well and with which it is removed when not."""
    # The caller has the lock, so a directory that is there was left by a task that was killed.
    directory = image.directory.with_name(f".{image.directory.name}.partial")
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "blobs/sha256").mkdir(parents=True)
    try:
        yield PinnedImage(directory, image.pin, image.platform)
        os.rename(directory, image.directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _adopt(copied: Path, image: PinnedImage) -> None:
    """Moves the blobs of a directory of skopeo's transport `dir` to where a layout has them; verify() follows."""
    for path in sorted(copied.iterdir()):
        name = path.name.partition(".")[0]
        if re.fullmatch("[0-9a-f]{64}", name):
            path.rename(image.path(f"sha256:{name}"))
        elif path.name == "manifest.json":
            digest = bb.utils.sha256_file(str(path))
            path.rename(image.path(f"sha256:{digest}"))
    shutil.rmtree(copied)


def _full_name(read: Reader) -> str:
    text = read.text("OCI_FETCH_IMAGE")
    if "@" in text:
        raise SpecError("must have no digest, which goes into OCI_FETCH_DIGEST", "OCI_FETCH_IMAGE", text)
    try:
        name, _ = parse_reference(text)
    except SpecError as error:
        reason = f"must be an image of a registry, such as docker.io/library/alpine:3.19: {error.reason}"
        raise SpecError(reason, "OCI_FETCH_IMAGE", text) from None
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _platform(read: Reader) -> Platform | None:
    text = read.text("OCI_FETCH_PLATFORM")
    if text == "all":
        return None
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise SpecError("must be os/architecture, os/architecture/variant or all", "OCI_FETCH_PLATFORM", text)
    try:
        return Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else None)
    except SpecError as error:
        raise SpecError(error.reason, "OCI_FETCH_PLATFORM", text) from None


def _sources(read: Reader, name: str) -> Iterator[str]:
    """Mirrors, then the registry itself, unless only mirrors are allowed."""
    for word in read.words("OCI_FETCH_MIRRORS"):
        prefix, mirror = parse_key_value(word, "OCI_FETCH_MIRRORS")
        if name.startswith(f"{prefix.rstrip('/')}/"):
            yield f"{mirror.rstrip('/')}/{name[len(prefix.rstrip('/')) + 1 :]}"
    if not read.switch("BB_FETCH_PREMIRRORONLY"):
        yield name


def _tag(read: Reader) -> str:
    tag = read.text("OCI_IMAGE_TAG")
    try:
        return check_tag(tag)
    except SpecError as error:
        raise SpecError(error.reason, "OCI_IMAGE_TAG", tag) from None


def _program(read: Reader) -> str | None:
    return shutil.which("skopeo", path=read.text("PATH"))
