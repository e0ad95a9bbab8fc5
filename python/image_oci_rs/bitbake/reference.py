"""The name and the tag of the image, as references, as file names and as the recipe wrote them.

A default must never end the parsing of a recipe. So the default name is made legal, and so is a tag whose text refers
to another variable, such as ${DISTRO_VERSION}, because the recipe does not choose its value. An illegal literal is an
error.

Links keep the text of the variable, because recipes compute ${IMAGE_BASENAME}-${OCI_IMAGE_TAG}-oci themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import SpecError
from ..parsing import check_name, check_tag, split_tag
from ..spec import parse_reference
from .annotated_name import DEFAULT_NAMES, annotated_reference, note_on_annotated_name
from .datastore import Reader

_SEPARATORS = re.compile("[._-]+")
_LEGAL_SEPARATOR = re.compile("[.]|_|__|-+")
_LONGEST_TAG = 128


@dataclass(frozen=True)
class Reference:
    """Name and tag of an image.

    Attributes:
        name: The name, with or without its registry.
        tag: The tag.
        written_tag: The tag as the variable has it, where it was made legal; else the tag.
        notes: A sentence for each of the two that was made legal, and about an annotation that names the image.
    """

    name: str
    tag: str
    written_tag: str
    notes: tuple[str, ...]


def reference_of(read: Reader) -> Reference:
    """Name and tag of the image: OCI_IMAGE_TAG may hold both, and so may an annotation.

    Raises:
        SpecError: One of them is illegal and was written literally.
    """
    text = read.text("OCI_IMAGE_TAG")
    name, written_tag = _parts(read, text)
    notes = []
    if name is None:
        name, written_tag = annotated_reference(read) or (None, written_tag)
    if name is None:
        written_name = read.text("OCI_IMAGE_NAME")
        name = written_name
        if read.d.getVar("OCI_IMAGE_NAME", False) in DEFAULT_NAMES:
            name = legal_name(written_name)
        if name != written_name:
            notes.append(
                f'OCI_IMAGE_NAME: no image can be called "{written_name}", so it is called "{name}";'
                f" set OCI_IMAGE_NAME to choose another name"
            )
    tag = _tag(read, "OCI_IMAGE_TAG", written_tag)
    if tag != written_tag:
        notes.append(f'OCI_IMAGE_TAG: no tag can be "{written_tag}", so the image has the tag "{tag}"')
    name_note = note_on_annotated_name(read, check_name(name), check_tag(tag))
    if name_note is not None:
        notes.append(name_note)
    return Reference(name, tag, written_tag, tuple(notes))


def tag_of_base(read: Reader) -> str:
    """The tag inside the image of OCI_BASE_IMAGE: made legal as that image's recipe has done."""
    return _tag(read, "OCI_BASE_IMAGE_TAG", read.text("OCI_BASE_IMAGE_TAG"))


def file_name_of_tag(tag: str) -> str:
    """A tag as links have it in their names, by which an image finds its base and an index its images."""
    return re.sub("[:/]", "_", tag)


def tags_in_links(read: Reader) -> tuple[str, ...]:
    """OCI_IMAGE_TAG as the names of links have it: as it was written, and where that is another text, made legal."""
    text = read.text("OCI_IMAGE_TAG")
    name, written_tag = _parts(read, text)
    tag = _tag(read, "OCI_IMAGE_TAG", written_tag)
    legal = tag if name is None else f"{name}:{tag}"
    return tuple(dict.fromkeys(map(file_name_of_tag, (text, legal))))


def legal_name(text: str) -> str:
    """The text as one component of a name: lower-case letters and digits, with legal separators between them."""
    replaced = re.sub("[^a-z0-9._-]+", "-", text.lower())
    return _SEPARATORS.sub(_legal_separator, replaced).strip("._-") or "image"


def legal_tag(text: str) -> str:
    """A tag with `-` for every character that no tag may have; the text itself if it is one."""
    return re.sub("[^A-Za-z0-9._-]", "-", text).lstrip(".-")[:_LONGEST_TAG]


def _legal_separator(match: re.Match[str]) -> str:
    return match[0] if _LEGAL_SEPARATOR.fullmatch(match[0]) else "-"


def _tag(read: Reader, variable: str, tag: str) -> str:
    """The tag, made legal if the variable refers to another one that has a value."""
    return legal_tag(tag) if _refers(read, variable) and "${" not in tag else tag


def _refers(read: Reader, variable: str) -> bool:
    return "${" in (read.d.getVar(variable, False) or "")


def _parts(read: Reader, text: str) -> tuple[str | None, str]:
    """The name, if the text has one, and the tag; the latter is not checked."""
    if ":" not in text:
        return None, text
    try:
        return parse_reference(text)
    except SpecError as error:
        name, tag = split_tag(text)
        literal = re.sub(r"\$\{[^}]*\}", "", read.d.getVar("OCI_IMAGE_TAG", False) or "")
        if not _refers(read, "OCI_IMAGE_TAG") or (":" in literal and error.field == "name"):
            raise SpecError(error.reason, "OCI_IMAGE_TAG", error.value) from None
        # A colon that another variable brings, of a time for example, ends no name.
        return (name, tag or "") if ":" in literal else (None, text)
