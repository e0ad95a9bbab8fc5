"""The datastore of a BitBake task in, an OCI image out.

Called by classes/image-oci-rs.bbclass: `problem` when a recipe is parsed, `build_image` in the task do_image_oci, where
whatever is wrong ends in `bb.fatal`. Both name the variable or file it is about.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import bb  # type: ignore[import-not-found,import-untyped,unused-ignore]
import bb.progress  # type: ignore[import-not-found,import-untyped,unused-ignore]

from .api import BuildResult, Progress, build
from .compare import Difference, diff
from .datastore import Answered, Datastore, Reader, file_name_of_tag, reference_of
from .display import cache_notes, difference_text, error_text, packages_text, printable
from .errors import ImageError, SpecError
from .other_python import run_in_nativepython3
from .outputs import Outputs
from .parsing import check_created
from .provenance import labels_of_origin
from .spec import (
    Base,
    Cache,
    Compression,
    Config,
    ImageSpec,
    Layers,
    Platform,
    Source,
    expand_label_key,
    parse_layer_rules,
    parse_size,
)

# Where the value of a field comes from, for messages.
_VARIABLES: Mapping[str, str] = {
    "sources.path": "IMAGE_ROOTFS",
    "name": "OCI_IMAGE_NAME",
    "tag": "OCI_IMAGE_TAG",
    "platform.architecture": "OCI_IMAGE_ARCH",
    "platform.os": "OCI_IMAGE_OS",
    "platform.variant": "OCI_IMAGE_SUBARCH",
    "config.user": "OCI_IMAGE_RUNTIME_UID",
    "config.exposed_ports": "OCI_IMAGE_PORTS",
    "config.env": "OCI_IMAGE_ENV_VARS",
    "config.entrypoint": "OCI_IMAGE_ENTRYPOINT",
    "config.cmd": "OCI_IMAGE_CMD",
    "config.volumes": "OCI_IMAGE_VOLUMES",
    "config.working_dir": "OCI_IMAGE_WORKINGDIR",
    "config.labels": "OCI_IMAGE_LABELS",
    "config.stop_signal": "OCI_IMAGE_STOPSIGNAL",
    "author": "OCI_IMAGE_AUTHOR",
    "created": "REPRODUCIBLE_TIMESTAMP_ROOTFS",
    "annotations": "OCI_IMAGE_ANNOTATIONS",
    "compression.algorithm": "OCI_LAYER_COMPRESSION",
    "compression.level": "OCI_LAYER_COMPRESSION_LEVEL",
    "base.path": "OCI_BASE_IMAGE",
    "base.tag": "OCI_BASE_IMAGE_TAG",
    "base.mode": "OCI_BASE_MODE",
    "layers.mode": "OCI_LAYER_MODE",
    "layers.rules": "OCI_LAYERS",
    "layers.rules.name": "OCI_LAYERS",
    "layers.rules.type": "OCI_LAYERS",
    "layers.rules.content": "OCI_LAYERS",
    "layers.max": "OCI_LAYER_MAX",
    "layers.lock": "OCI_LAYER_LOCK",
    "layers.lock_output": "OCI_LAYER_LOCK",
    "layers.packages": "OCI_LAYER_PACKAGES",
    "layers.installed": "IMAGE_MANIFEST",
    "output": "IMGDEPLOYDIR",
    "threads": "OCI_THREADS",
    "cache.directory": "OCI_CACHE_DIR",
    "cache.limit": "OCI_CACHE_LIMIT",
}

# Variables of image-oci.bbclass that choose between its engines, or that it does not use itself.
_WITHOUT_MEANING = (
    "OCI_IMAGE_APP_RECIPE",
    "OCI_IMAGE_BACKEND",
    "OCI_LAYER_CACHE",
    "OCI_LAYER_CACHE_DIR",
)


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
        for variable in _WITHOUT_MEANING:
            if d.getVar(variable):
                bb.note(f"{variable} is set, and has no meaning for image-oci-rs")
        outputs = Outputs.of(d, suffix)
        spec = image_spec(d, outputs)
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
        bb.fatal(error_text(error))


def _sentence(error: SpecError) -> str:
    return printable(f"{_VARIABLES.get(error.field, error.field)}: {error.detail}")


def image_spec(d: Datastore, outputs: Outputs) -> ImageSpec:
    """The build that the variables describe.

    Raises:
        SpecError: A value is wrong; `field` is a field of the specification, or a variable.
    """
    read = Reader(d)
    name, tag = reference_of(read)
    created = _created(read)
    labels = labels_of_origin(read, created)
    labels |= {expand_label_key(key): value for key, value in read.entries("OCI_IMAGE_LABELS")}
    return ImageSpec(
        sources=(Source(read.text("IMAGE_ROOTFS")),),
        name=name + outputs.suffix,
        tag=tag,
        platform=Platform.from_names(
            read.text("OCI_IMAGE_ARCH"),
            read.text("OCI_IMAGE_OS"),
            read.text("OCI_IMAGE_SUBARCH") or None,
        ),
        config=Config(
            user=read.optional("OCI_IMAGE_RUNTIME_UID"),
            exposed_ports=read.optional_words("OCI_IMAGE_PORTS"),
            env=tuple(f"{key}={value}" for key, value in read.entries("OCI_IMAGE_ENV_VARS")),
            entrypoint=_entrypoint(read),
            cmd=_command(read),
            volumes=read.optional_words("OCI_IMAGE_VOLUMES"),
            working_dir=read.optional("OCI_IMAGE_WORKINGDIR"),
            labels=labels,
            stop_signal=read.optional("OCI_IMAGE_STOPSIGNAL"),
        ),
        author=_author(read),
        created=created,
        annotations=dict(read.entries("OCI_IMAGE_ANNOTATIONS")),
        compression=Compression(read.text("OCI_LAYER_COMPRESSION"), read.number("OCI_LAYER_COMPRESSION_LEVEL")),
        base=_base(read),
        layers=_layers(read, outputs),
        output=outputs.spec(),
        threads=read.number("OCI_THREADS"),
        cache=_cache(read),
    )


def _entrypoint(read: Reader) -> tuple[str, ...] | None:
    """The words; None for the default on top of a base image. Somebody who writes an empty value clears the base's."""
    words = read.words("OCI_IMAGE_ENTRYPOINT")
    return words if words or read.d.getVar("OCI_IMAGE_ENTRYPOINT", False) == "" else None


def _command(read: Reader) -> tuple[str, ...] | None:
    """The command, or the entrypoint's arguments: recipes that give those empty it. Empty alone clears the base's."""
    command = read.optional_words("OCI_IMAGE_CMD")
    return command or read.words("OCI_IMAGE_ENTRYPOINT_ARGS") or command


def _base(read: Reader) -> Base | None:
    image, tag, mode = map(read.text, ("OCI_BASE_IMAGE", "OCI_BASE_IMAGE_TAG", "OCI_BASE_MODE"))
    deployed = read.text("DEPLOY_DIR_IMAGE")
    if not image:
        return None
    if "/" in image:
        # The default is also what counts where no tag is said; an image that stands alone may have any.
        return Base(image, tag if tag not in ("", "latest") else None, mode)
    if re.fullmatch("[A-Za-z0-9][A-Za-z0-9.+_-]*", image) is None:
        raise SpecError(
            "must be the name of a recipe, its tag in OCI_BASE_IMAGE_TAG, or a path with a slash",
            "OCI_BASE_IMAGE",
            image,
        )
    # As another recipe of this class has deployed it; the link has the tag in its name.
    link = f"{image}-{file_name_of_tag(tag)}-oci"
    return Base(os.path.join(deployed, link), mode=mode)


def _layers(read: Reader, outputs: Outputs) -> Layers:
    if outputs.suffix:
        # Layers are those of the other image: this one has other packages, and no release follows upon it.
        return Layers()
    mode = read.text("OCI_LAYER_MODE")
    packages = read.text("OCI_LAYER_PACKAGES")
    installed = _installed(read, packages)
    # They are checked in the other modes too.
    rules = parse_layer_rules(read.words("OCI_LAYERS"))
    if mode == "auto":
        lock = read.text("OCI_LAYER_LOCK") or None
        # A task does not write beside a recipe: people decide when a new plan gets into version control.
        new_lock = str(outputs.directory / outputs.layer_lock) if lock else None
        most = read.number("OCI_LAYER_MAX")
        return Layers(
            mode,
            max=Layers.max if most is None else most,
            lock=lock,
            lock_output=new_lock,
            packages=packages,
            installed=installed,
        )
    return Layers(mode, rules=() if mode == "single" else rules, packages=packages, installed=installed)


def _installed(read: Reader, packages: str) -> str | None:
    """The list of installed packages that do_rootfs has made, if it has."""
    # IMAGE_NAME may have another time in it than when do_rootfs ran; the link has none.
    link = os.path.join(read.text("IMGDEPLOYDIR"), f"{read.text('IMAGE_LINK_NAME')}.manifest")
    files = (read.text("IMAGE_MANIFEST"), link)
    return next((file for file in files if packages.startswith("pkgdata:") and os.path.isfile(file)), None)


def _cache(read: Reader) -> Cache | None:
    directory = read.text("OCI_CACHE_DIR")
    if not directory:
        return None
    # In a variable of pseudo's it stands in a list with commas, and that among others with blanks.
    if re.fullmatch(r"/[^\s,]*", directory) is None:
        raise SpecError("must be an absolute path without blanks and commas", "OCI_CACHE_DIR", directory)
    return Cache(directory, parse_size(read.text("OCI_CACHE_LIMIT"), "OCI_CACHE_LIMIT"))


def _author(read: Reader) -> str | None:
    email = read.text("OCI_IMAGE_AUTHOR_EMAIL")
    parts = (read.text("OCI_IMAGE_AUTHOR"), f"<{email}>" if email else "")
    return " ".join(filter(None, parts)) or None


def _created(read: Reader) -> int | None:
    """The one time of the image, which image.bbclass has given to all files of the root filesystem."""
    seconds = read.number("REPRODUCIBLE_TIMESTAMP_ROOTFS")
    if seconds is not None:
        return check_created(seconds)
    # Then image.bbclass asks git for a time. SOURCE_DATE_EPOCH would be that of a recipe without sources: 2011.
    try:
        return int(os.lstat(read.text("IMAGE_ROOTFS")).st_mtime)
    except OSError:
        # There is none when the recipe is parsed. In the task, the engine says that there is none.
        return None


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
