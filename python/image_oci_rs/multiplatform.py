"""One image for several platforms: an index of images that were built one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .api import Descriptor
from .errors import SpecError
from .fields import file_path, set_fields, text_map, texts
from .parsing import check_name, check_tag
from .places import Place, check_apart
from .records import FrozenMap, Record
from .spec import Output, check_annotations


@dataclass(frozen=True)
class IndexSpec(Record):
    """An index, and the images that it is made of.

    Attributes:
        images: Layout directories or archives, each with one image, for one platform or several.
        name: The repository, without tag; `app` means `docker.io/library/app`.
        output: What to write.
        tag: The tag.
        annotations: Keys and values for the index and for its entry in `index.json`.

    Raises:
        SpecError: A value is none of these, or an output is one of the images, lies inside one, holds
            one, or lies inside another output.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {"output": Output}

    images: tuple[str, ...]
    name: str
    output: Output
    tag: str = "latest"
    annotations: Mapping[str, str] = FrozenMap({})

    def __post_init__(self) -> None:
        """Checks the values."""
        images = tuple(file_path(path, "images") for path in texts(self.images, "images"))
        set_fields(self, images=images, annotations=text_map(self.annotations, "annotations"))
        if not self.images:
            raise SpecError("must name at least one image", "images")
        if not isinstance(self.output, Output):
            raise SpecError("must be of the class Output", "output", self.output)
        check_name(self.name)
        check_tag(self.tag)
        check_annotations(self.annotations)
        written = self.output.places
        read = [Place("images", path) for path in self.images]
        for place in written:
            for image in read:
                if place.is_same(image):
                    raise SpecError("must not be one of the images", place.field, place.path)
                if place.lies_in(image):
                    raise SpecError(f"must not lie inside the image {image.path!r}", place.field, place.path)
        check_apart(written, read)


@dataclass(frozen=True)
class IndexedImage(Record):
    """An image in an index.

    Attributes:
        path: The layout or archive that it came from.
        platform: `os/architecture`, and the variant if it has one.
        digest: The digest of its manifest.
    """

    path: str
    platform: str
    digest: str


@dataclass(frozen=True)
class IndexResult(Record):
    """What was made.

    Attributes:
        name: The full name with its tag.
        index: The index; its digest is the image's.
        images: What is in it, sorted by platform.
        layout: The layout directory, or None.
        archives: The archives.
        notes: What a user should know, a line each.
    """

    json_parts: ClassVar[Mapping[str, type[Record]]] = {"index": Descriptor, "images": IndexedImage}

    name: str
    index: Descriptor
    images: tuple[IndexedImage, ...]
    layout: str | None
    archives: tuple[str, ...]
    notes: tuple[str, ...]


def index(spec: IndexSpec) -> IndexResult:
    """Makes one image out of images for several platforms.

    Blobs are verified, and then linked where the file system allows, else copied. Outputs get their
    names when they are complete.

    Args:
        spec: What to make.

    Returns:
        What was made.

    Raises:
        LayoutError: An image is broken, or there are several under one path.
        SpecError: Two images are for the same platform.
        OutputExistsError: An output exists and is not to be replaced.
        ImageOSError: The operating system refused something.
        ImportError: The compiled core can't be loaded.

    Source: image-spec v1.1.1, image-index.md.
    """
    from . import _core

    return IndexResult.loads(_core.index(spec.dumps()))
