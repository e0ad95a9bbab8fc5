"""The datastore of a BitBake task in, an index of images for several platforms out.

Called by classes/oci-index-rs.bbclass: `problem` when a recipe is parsed, `build_index` in the task do_deploy, where
whatever is wrong ends in `bb.fatal`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from glob import escape, glob
from pathlib import Path

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..display import error_text, printable
from ..errors import ImageError, SpecError
from ..multiplatform import IndexResult, IndexSpec, index
from ..spec import Archive, Output
from .annotated_name import annotations_of
from .datastore import Datastore, Reader
from .deploy import wanted_archives
from .nativepython import run_in_nativepython3
from .reference import file_name_of_tag, reference_of

# Where the value of a field comes from, for messages.
_VARIABLES: Mapping[str, str] = {
    "images": "OCI_INDEX_IMAGES",
    "name": "OCI_IMAGE_NAME",
    "tag": "OCI_IMAGE_TAG",
    "annotations": "OCI_IMAGE_ANNOTATIONS",
    "output": "DEPLOYDIR",
}

# What OE-core appends to the TMPDIR of a multiconfig, besides nothing.
_TCLIBCAPPENDS = ("", "-glibc", "-musl")


def problem(d: Datastore) -> str | None:
    """What is wrong with the variables, as far as their text tells; None if nothing. For the time of parsing."""
    read = Reader(d)
    try:
        words = _words(read)
        _require_multiconfigs(read, words)
        _spec(read, words)
    except SpecError as error:
        return _sentence(error)
    return None


def build_index(d: Datastore) -> None:
    """Makes the index that the variables describe; the work of a task.

    Raises:
        bb.BBHandledException: Something is wrong; the log says what.
    """
    read = Reader(d)
    if d.getVar("OCI_IMAGE_EXTRA_TAGS"):
        bb.note("OCI_IMAGE_EXTRA_TAGS is set, and has no meaning for an index: its archives hold one name")
    try:
        spec = _spec(read, [_path(read, word) for word in _words(read)])
        result = _index(d, spec)
    except SpecError as error:
        bb.fatal(_sentence(error))
    except (ImageError, OSError) as error:
        bb.fatal(error_text(error))
    else:
        for note in reference_of(read).notes:
            bb.note(printable(note))
        bb.note(f"{result.name}: index {result.index.digest}")
        for image in result.images:
            bb.note(printable(f"{image.platform}: {image.digest}, out of {image.path}"))
        for path in spec.output.paths:
            bb.note(f"wrote {path}")
        for note in result.notes:
            bb.note(printable(note))


def _sentence(error: SpecError) -> str:
    return printable(f"{_VARIABLES.get(error.field, error.field)}: {error.detail}")


def _words(read: Reader) -> tuple[str, ...]:
    """The images by the names that recipes give them."""
    words = read.words("OCI_INDEX_IMAGES")
    for word in words:
        parts = word.split(":")
        is_recipe = len(parts) == 1 or (len(parts) == 3 and parts[0] == "mc")
        if "/" not in word and not (is_recipe and parts[-1]):
            raise SpecError(
                "must be RECIPE, mc:MULTICONFIG:RECIPE, mc::RECIPE, or a path with a slash", "OCI_INDEX_IMAGES", word
            )
        if words.count(word) > 1:
            raise SpecError("must not stand there twice", "OCI_INDEX_IMAGES", word)
    return words


def _require_multiconfigs(read: Reader, words: tuple[str, ...]) -> None:
    """BitBake ends the whole build for one that it does not know, whatever was asked for."""
    known = read.text("BBMULTICONFIG").split()
    for word in words:
        if "/" not in word and _multiconfig(read, word) not in ("", _current(read), *known):
            has = f"BBMULTICONFIG has {' '.join(known)}" if known else "BBMULTICONFIG is empty"
            raise SpecError(f"must be of a multiconfig of this build, and {has}", "OCI_INDEX_IMAGES", word)


def _multiconfig(read: Reader, word: str) -> str:
    """Of which multiconfig an image is; the default configuration has an empty name."""
    return word.split(":")[1] if ":" in word else _current(read)


def _current(read: Reader) -> str:
    name = read.text("BB_CURRENT_MC")
    return "" if name == "default" else name


def _spec(read: Reader, images: Iterator[str] | tuple[str, ...] | list[str]) -> IndexSpec:
    reference = reference_of(read)
    layout = f"{read.text('PN')}-{file_name_of_tag(reference.written_tag)}-oci"
    place = Path(read.text("DEPLOYDIR"))
    prefixes = {"oci": "", "oci-dir": layout}
    return IndexSpec(
        images=tuple(images),
        name=reference.name,
        tag=reference.tag,
        annotations=annotations_of(read),
        output=Output(
            layout=str(place / layout),
            archives=tuple(
                Archive(str(place / f"{layout.removesuffix('oci')}{kind}.tar"), prefixes[kind])
                for kind in wanted_archives(read.text("OCI_IMAGE_TAR_OUTPUT"))
            ),
            # The task may run again where an earlier run was killed.
            replace=True,
        ),
    )


def _path(read: Reader, word: str) -> str:
    """Where an image lies, now that it is there."""
    if "/" in word:
        return word
    multiconfig = _multiconfig(read, word)
    link = f"{word.split(':')[-1]}-{file_name_of_tag(read.text('OCI_INDEX_IMAGE_TAG'))}-oci"
    own = read.text("DEPLOY_DIR_IMAGE")
    if multiconfig == _current(read):
        return os.path.join(own, link)
    flag = multiconfig or "default"
    told = read.d.getVarFlag("OCI_INDEX_DEPLOY_DIR", flag)
    if told:
        return os.path.join(told, link)
    tmp = f"tmp-{multiconfig}" if multiconfig else "tmp"
    places = [os.path.join(read.text("TOPDIR"), f"{tmp}{libc}/deploy/images") for libc in _TCLIBCAPPENDS]
    found = [path for place in places for path in _machines_with(link, place)]
    if not found:
        # Multiconfigs may share a TMPDIR, each with a machine of its own.
        places.append(os.path.dirname(own))
        found = [path for path in _machines_with(link, places[-1]) if os.path.dirname(path) != own]
    if len(found) == 1:
        return found[0]
    what = f"{' and '.join(found)} have it" if found else f"no {link} is below {', '.join(places)}"
    reason = f"must be found in one place, but {what}; OCI_INDEX_DEPLOY_DIR[{flag}] can say where"
    raise SpecError(reason, "OCI_INDEX_IMAGES", word)


def _machines_with(link: str, place: str) -> list[str]:
    return sorted(glob(f"{escape(place)}/*/{escape(link)}"))


def _index(d: Datastore, spec: IndexSpec) -> IndexResult:
    """Runs the engine in this process, or where that can't load it in BitBake's own Python."""
    try:
        return index(spec)
    except ImportError as error:
        words = ("index", "--spec", "-")
        return IndexResult.loads(run_in_nativepython3(d.getVar("PATH"), error, words, spec.dumps(), bb.note))
