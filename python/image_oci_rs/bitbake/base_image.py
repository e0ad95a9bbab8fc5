"""The image that OCI_BASE_IMAGE names: the task that deploys it, and where it is.

A value is one of three, by its letters alone. No file has to exist for it, so it means the same at parse time, in the
task and on another machine:

- a path, if it begins with `/`, `./` or `../`;
- a recipe, if it is a recipe's name;
- anything else is an error. For a reference to a registry, `fetching_recipe` has the remedy.
"""

from __future__ import annotations

import os
import re

from ..errors import SpecError
from ..parsing import check_name, split_tag
from ..spec import Base
from .datastore import Datastore, Reader
from .reference import file_name_of_tag, tag_of_base

_PATH = re.compile(r"\.{0,2}/.*", re.DOTALL)
_RECIPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")
_TRANSPORT = re.compile(r"docker://")
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


def base_of(read: Reader) -> Base | None:
    """The base image that the variables describe; None without one.

    Raises:
        SpecError: OCI_BASE_IMAGE is neither a recipe nor a path.
    """
    image, tag, mode = map(read.text, ("OCI_BASE_IMAGE", "OCI_BASE_IMAGE_TAG", "OCI_BASE_MODE"))
    if not image:
        return None
    # latest is the default of the variable, so it also stands for any tag of an image that is alone in its index.
    some_tag = tag_of_base(read) if tag not in ("", "latest") else None
    if _PATH.fullmatch(image):
        return Base(image, some_tag, mode)
    if _RECIPE.fullmatch(image) is None:
        raise SpecError(
            "must be the name of a recipe, its tag in OCI_BASE_IMAGE_TAG, or a path that begins with / or ./",
            "OCI_BASE_IMAGE",
            image,
        )
    places = _places(read, image, tag)
    path = next(filter(os.path.exists, places), places[0])
    # The first two have the tag in their names; what is in the index is up to the recipe.
    return Base(path, None if path in places[:2] else some_tag, mode)


def require_deployed(read: Reader, base: Base | None) -> None:
    """Checks that the recipe in OCI_BASE_IMAGE has deployed an image, now that its tasks have run.

    Raises:
        SpecError: No image was found; the message names every place that was tried.
    """
    image = read.text("OCI_BASE_IMAGE")
    if base is None or _PATH.fullmatch(image) or os.path.exists(base.path):
        return
    places = ", ".join(_places(read, image, read.text("OCI_BASE_IMAGE_TAG")))
    raise SpecError(
        f"must be a recipe that deploys an image, under the tag in OCI_BASE_IMAGE_TAG; none of these exists: {places}",
        "OCI_BASE_IMAGE",
        image,
    )


def depends(d: Datastore) -> str:
    """The task that deploys the base image, for the flag `depends`; empty if no recipe does.

    It is do_build, the one task that every recipe has and that waits for what the recipe deploys. An image recipe
    deploys in do_image_complete, others in do_deploy, and BitBake ends the whole build for a task that does not exist.
    """
    image = Reader(d).text("OCI_BASE_IMAGE")
    return f"{image}:do_build" if _RECIPE.fullmatch(image) else ""


def path_of(read: Reader) -> str:
    """OCI_BASE_IMAGE if it is a path, else nothing."""
    image = read.text("OCI_BASE_IMAGE")
    return image if _PATH.fullmatch(image) else ""


def _places(read: Reader, recipe: str, tag: str) -> list[str]:
    """Where recipes deploy images, the likeliest first."""
    tagged = f"{recipe}-{file_name_of_tag(tag)}-oci"
    # The archive alone is there if a recipe of this class converts its layout and does not keep it.
    names = (tagged, f"{tagged}.tar", f"{recipe}-oci", f"{recipe}-oci.tar")
    return [os.path.join(read.text("DEPLOY_DIR_IMAGE"), name) for name in names]


def fetching_recipe(image: object) -> str:
    """The recipe to write instead of a reference to a registry, as lines after a message; empty for other text."""
    reference = _TRANSPORT.sub("", str(image))
    digest = _DIGEST.search(reference)
    reference = _DIGEST.sub("", reference)
    name, _ = split_tag(reference)
    try:
        check_name(name)
    except SpecError:
        return ""
    recipe = re.sub("[^a-z0-9]+", "-", name.rpartition("/")[2])
    lines = [
        f'An image of a registry is fetched by a recipe of its own. Write {recipe}.bb and OCI_BASE_IMAGE = "{recipe}":',
        '    LICENSE = "MIT"',
        "    inherit oci-fetch-rs",
        f'    OCI_FETCH_IMAGE = "{reference}"',
        f'    OCI_FETCH_DIGEST = "{digest[1] if digest else "sha256:..."}"',
    ]
    if digest is None:
        lines.append(f"This prints the digest: {digest_command(reference)}")
    return "".join(f"\n{line}" for line in lines)


def digest_command(reference: str) -> str:
    """The command that prints the digest of an image of a registry, of all its platforms if it has several."""
    return f"skopeo inspect --format '{{{{.Digest}}}}' docker://{reference}"
