"""The name of the image in OCI_IMAGE_ANNOTATIONS, where recipes for forks of image-oci.bbclass write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SpecError
from ..parsing import check_name, check_tag, complete_reference
from ..spec import split_tag

if TYPE_CHECKING:
    from .datastore import Reader

_KEY = "io.containerd.image.name"
# The defaults of OCI_IMAGE_NAME and OCI_IMAGE_TAG, as the classes write them.
DEFAULT_NAMES = ("${IMAGE_BASENAME}", "${PN}")
_DEFAULT_TAG = "latest"


def annotations_of(read: Reader) -> dict[str, str]:
    """The annotations, without the one that names the image: the engine writes it, out of name and tag."""
    return {key: value for key, value in read.entries("OCI_IMAGE_ANNOTATIONS") if key != _KEY}


def annotated_reference(read: Reader) -> tuple[str, str] | None:
    """Name and tag of the image if an annotation decides them: OCI_IMAGE_NAME has its default.

    OCI_IMAGE_TAG gives the tag if it is not `latest`, or if the annotation has none.

    Raises:
        SpecError: The annotation is not NAME or NAME:TAG.
    """
    written = _written(read)
    if written is None or read.d.getVar("OCI_IMAGE_NAME", False) not in DEFAULT_NAMES:
        return None
    name, tag = written
    own_tag = read.text("OCI_IMAGE_TAG")
    return name, tag if tag is not None and own_tag == _DEFAULT_TAG else own_tag


def note_on_annotated_name(read: Reader, name: str, tag: str) -> str | None:
    """Says whether the annotation gave the image its name and tag; None without such an annotation."""
    written = _written(read)
    if written is None:
        return None
    chosen = complete_reference(name, tag)
    wanted = complete_reference(written[0], tag if written[1] is None else written[1])
    if chosen == wanted:
        return f"{_KEY} in OCI_IMAGE_ANNOTATIONS: the image is named {chosen}"
    return (
        f"{_KEY} in OCI_IMAGE_ANNOTATIONS says {wanted}, but the image is named {chosen}: OCI_IMAGE_NAME and"
        " OCI_IMAGE_TAG come first where the recipe sets them"
    )


def _written(read: Reader) -> tuple[str, str | None] | None:
    text = dict(read.entries("OCI_IMAGE_ANNOTATIONS")).get(_KEY)
    if text is None:
        return None
    name, tag = split_tag(text)
    try:
        check_name(name)
        if tag is not None:
            check_tag(tag)
    except SpecError as error:
        reason = f"must be NAME or NAME:TAG, but the {error.field} {error.reason}"
        raise SpecError(reason, "OCI_IMAGE_ANNOTATIONS", f"{_KEY}={text}") from None
    return name, tag
