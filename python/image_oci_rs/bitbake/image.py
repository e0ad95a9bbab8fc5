"""The datastore of a BitBake task in, an OCI image out.

Called by classes/image-oci-rs.bbclass: `problem` when a recipe is parsed, `build_image` in the task do_image_oci, where
whatever is wrong ends in `bb.fatal`. Both name the variable or file it is about.
"""

from __future__ import annotations

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]
import bb.progress  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..api import BuildResult, Progress, build
from ..compare import Difference, diff
from ..display import cache_notes, difference_text, error_text, packages_text, printable
from ..errors import ImageError, SpecError
from ..spec import ImageSpec, parse_size
from . import backend
from .base_image import fetching_recipe, require_deployed
from .datastore import Answered, Datastore, Reader
from .deploy import Outputs
from .description import VARIABLES, image_spec
from .entrypoint import missing_shell
from .nativepython import run_in_nativepython3
from .platform import missing_variant_note
from .reference import reference_of
from .remedy import with_remedy


def problem(d: Datastore) -> str | None:
    """What is wrong with the variables, as far as their text tells; None if nothing.

    For the time of parsing, when nothing is built. What the task asks git and the clock of the root filesystem is not
    asked here.
    """
    later = {"OCI_IMAGE_REVISION": "none", "OCI_IMAGE_BRANCH": "none", "BBLAYERS": ""}
    known = Answered(d, later)
    try:
        image_spec(known, Outputs.of(known))
        _budget(Reader(known))
        Reader(known).switch("OCI_CONTAINER_ROOTFS")
    except SpecError as error:
        return _sentence(error)
    return None


def build_image(d: Datastore, suffix: str = "") -> None:
    """Builds the image that the variables describe, and links to it; the work of a task.

    Args:
        d: The task's datastore.
        suffix: What sets the image apart from the recipe's other one: "-dbg" in the task for the
            root filesystem of debug files.

    Raises:
        bb.BBHandledException: Something is wrong; the log says what.
    """
    try:
        for sentence in backend.notes(d):
            bb.note(sentence)
        outputs = Outputs.of(d, suffix)
        spec = image_spec(d, outputs)
        require_deployed(Reader(d), spec.base)
        no_shell = None if suffix else missing_shell(spec)
        notes = (*reference_of(Reader(d)).notes, missing_variant_note(d, spec.platform), no_shell)
        for note in filter(None, notes):
            bb.note(printable(note))
        for variable, mode in (("OCI_LAYERS", "multi"), ("OCI_LAYER_LOCK", "auto")):
            # The image of debug files has one layer in every mode.
            if not suffix and d.getVar(variable) and spec.layers.mode != mode:
                bb.note(f'{variable} is set, and has no meaning as long as OCI_LAYER_MODE is not "{mode}"')
        outputs.remove_stale()
        budget = _budget(Reader(d))
        result = _build(d, spec)
        _log(spec, result)
        if not suffix:
            # What was released is the other image.
            _check_update(Reader(d), spec, budget)
        outputs.link()
    except SpecError as error:
        bb.fatal(_sentence(error))
    except (ImageError, OSError) as error:
        bb.fatal(with_remedy(error_text(error)))


def link_docker_archive(d: Datastore, suffix: str = "") -> None:
    """Makes the file of the image type docker-archive, out of what do_image_oci has written; the work of a task.

    Args:
        d: The task's datastore.
        suffix: "-dbg" for the root filesystem of debug files.

    Raises:
        bb.BBHandledException: There is no archive; the log says what to do.
    """
    outputs = Outputs.of(d, suffix)
    try:
        outputs.link_docker_archive(Reader(d).text("IMAGE_LINK_NAME"))
    except FileNotFoundError:
        file = outputs.directory / outputs.docker_archive_file
        bb.fatal(f"{file}: do_image_oci has left no archive to make it of; run: bitbake -C image_oci {d.getVar('PN')}")
    except OSError as error:
        bb.fatal(error_text(error))


def _sentence(error: SpecError) -> str:
    remedy = fetching_recipe(error.value) if error.field == "OCI_BASE_IMAGE" else ""
    return printable(f"{VARIABLES.get(error.field, error.field)}: {error.detail}") + remedy


def _build(d: Datastore, spec: ImageSpec) -> BuildResult:
    """Runs the engine in this process, or where that can't load it in BitBake's own Python."""
    bar = bb.progress.ProgressHandler(d)

    def show(progress: Progress) -> None:
        fraction = progress.fraction
        if fraction is None:
            # Less than zero draws a bar that says that something is going on.
            bar.update(-progress.entries)
        else:
            # What comes after the last file has no number: it is compressed, synced, and written to archives.
            bar.update(int(100 * fraction), "finishing" if fraction == 1.0 else None)

    try:
        return build(spec, show)
    except ImportError as error:
        words = ("build", "--spec", "-")
        return BuildResult.loads(run_in_nativepython3(d.getVar("PATH"), error, words, spec.dumps(), bb.note))


def _budget(read: Reader) -> int | None:
    text = read.text("OCI_UPDATE_BUDGET")
    if not text:
        return None
    if not read.text("OCI_UPDATE_FROM"):
        raise SpecError("must stand beside OCI_UPDATE_FROM", "OCI_UPDATE_BUDGET", text)
    return parse_size(text, "OCI_UPDATE_BUDGET")


def _check_update(read: Reader, spec: ImageSpec, budget: int | None) -> None:
    """Tells what the update from the last release costs, and stops where that is too much."""
    last = read.text("OCI_UPDATE_FROM")
    if not last:
        return
    image = spec.output.layout or ""
    # pkgdata knows this build's packages only, so of the last release's just the names that are the same.
    packages = spec.layers.packages if spec.layers.mode != "single" else "none"
    try:
        difference = diff(last, image, packages)
    except ImportError as error:
        words = ("diff", last, image, "--packages", packages)
        difference = Difference.loads(run_in_nativepython3(read.text("PATH"), error, words, "", bb.note))
    bb.note(f"update from {last}:\n{difference_text(difference)}")
    bb.plain(f"{spec.name}:{spec.tag}: the update from {last} is {difference.pulled} of {difference.total} bytes")
    if budget is not None and difference.pulled > budget:
        new = printable(", ".join(layer.name or layer.digest for layer in difference.layers if not layer.stays))
        bb.fatal(
            f"OCI_UPDATE_BUDGET: the update from {last} is {difference.pulled} bytes of layers, and {budget} are"
            f" allowed. New layers: {new}. Files that changed are in the log of this task."
        )


def _log(spec: ImageSpec, result: BuildResult) -> None:
    entries = sum(layer.entries for layer in result.layers)
    bb.note(
        f"{result.name}: {entries} entries, {result.content_bytes} bytes of content, out of"
        f" {spec.sources[0].path} in {result.seconds:.2f} s"
    )
    bb.note(f"manifest {result.manifest.digest}, config {result.config.digest}")
    for rule in spec.layers.rules:
        if rule.type == "host":
            bb.warn(
                f"OCI_LAYERS: the layer {rule.name} brings files of the build machine into the image, so another"
                f" machine builds another image: {' '.join(rule.content)}"
            )
    for warning in result.warnings:
        bb.warn(printable(f"OCI_LAYERS: {warning}"))
    if result.packages is not None:
        bb.note(f"packages: {packages_text(result.packages)}")
    if result.lock is not None:
        bb.plain(
            f"OCI_LAYER_LOCK: there is something new for {spec.layers.lock}. To keep the layers of the next releases"
            f" as they are now, copy {result.lock} over it and commit it."
        )
    for layer in result.layers:
        name = f"{printable(layer.name)} " if layer.name else ""
        bb.note(
            f"layer {name}{layer.digest}: {layer.entries} entries, {layer.size} bytes;"
            f" uncompressed {layer.diff_id}: {layer.uncompressed_size} bytes"
        )
    if spec.cache and result.cache:
        bb.note(f"cache {spec.cache.directory}: {result.cache.hits} hits, {result.cache.misses} misses")
        for note in cache_notes(result.cache):
            bb.warn(f"{spec.cache.directory}: {note}")
    for path in spec.output.paths:
        bb.note(f"wrote {path}")
    for note in result.notes:
        bb.note(printable(note))
