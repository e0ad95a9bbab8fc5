"""Functions and shell code of a recipe that use what only the umoci backend of image-oci.bbclass has.

Recipes change images by functions around do_image_oci, and by code appended to it. What they do to files, links, the
variables of the recipe or IMAGE_ROOTFS works here too. But single layers have no root filesystem, there is no bundle of
umoci, and umoci does not build the image. Code for these does nothing or fails, so it is reported when the recipe is
parsed. It is only read, never run.

A task of its own after do_image_oci is not read: it declares what it needs, and the image is complete by then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from . import shell_text
from .datastore import Datastore
from .python_text import PythonText

HANDLED: Mapping[str, str] = {
    "oci_nonroot_inject_user": "container-nonroot-user.bbclass: the user is one of IMAGE_ROOTFS",
    "fix_oci_home_perms": "container-nonroot-user.bbclass: owners in IMAGE_ROOTFS are kept",
}
"""Functions of other classes that need no warning, and why."""

_TASKS = ("do_image", "do_image_oci", "do_image_complete")
_LISTS = (
    "ROOTFS_PREPROCESS_COMMAND",
    "ROOTFS_POSTINSTALL_COMMAND",
    "ROOTFS_POSTPROCESS_COMMAND",
    "ROOTFS_POSTUNINSTALL_COMMAND",
    "IMAGE_PREPROCESS_COMMAND",
    "IMAGE_POSTPROCESS_COMMAND",
)

_ROOTFS = (
    "All layers are made of IMAGE_ROOTFS: make the change there, in a function of ROOTFS_POSTPROCESS_COMMAND or"
    " IMAGE_PREPROCESS_COMMAND."
)
_REMOVE = "image-oci-rs makes the whole image: remove the call."
# Calls that change an image, and what to do instead.
_WRITING: Mapping[str, str] = {
    "config": "Set the variable for it instead, such as OCI_IMAGE_LABELS, OCI_IMAGE_ENV_VARS or OCI_IMAGE_ENTRYPOINT.",
    "tag": "Set OCI_IMAGE_TAG instead, or OCI_IMAGE_EXTRA_TAGS for further tags.",
    "insert": _ROOTFS,
    "repack": _ROOTFS,
    "add-layer": _ROOTFS,
    **dict.fromkeys(("gc", "init", "new", "remove", "rm"), _REMOVE),
}
_READING = ("list", "ls", "runtime-config", "stat", "unpack")

_COMPUTED_NUMBER = r"(?:%[ds]|\{[^}]*\}|\$\{?\w+\}?)"
_INTERNALS = (
    re.compile(rf"\bOCI_LAYER_(?:COUNT|NAME|ROOTFS|(?:[0-9]+|{_COMPUTED_NUMBER})_(?:NAME|ROOTFS)|$)(?!\w)"),
    re.compile(r"(?<![\w.-])oci-layer-rootfs(?![\w.-])"),
    re.compile(r"(?:(?<=IMAGE_NAME_SUFFIX\}-)|(?<=IMAGE_NAME\}-))oci-bundle\b"),
    re.compile(r"(?:(?<=\$)|(?<=\$\{))image_bundle_name\b"),
)
# Found among the arguments of a call that is about the image of the recipe, and not about another one.
_THIS_IMAGE = re.compile(
    "IMAGE_NAME|image_name|IMAGE_BASENAME|IMAGE_LINK_NAME|OCI_IMAGE_|IMGDEPLOYDIR|DEPLOY_DIR_IMAGE|-oci\\b"
)
# Their words are shown and not used.
_SHOWING = frozenset("bbdebug bberror bbfatal bbfatal_log bbnote bbplain bbverbnote bbwarn echo printf".split())


class Recipe(Datastore, Protocol):
    """The part of BitBake's `d` that this module needs when a recipe is parsed."""

    def getVarFlag(self, name: str, flag: str, expand: bool = True) -> Any:
        """The value of a varflag, expanded or as it was written, or None."""


def warnings(d: Recipe) -> list[str]:
    """A sentence for each function, and each thing in it, that cannot work with image-oci-rs."""
    sentences: dict[str, None] = {}
    seen: set[str] = set(HANDLED)
    for function, place in _functions(d):
        for name, code, is_python in _reachable(d, function, seen):
            where = f"{name}, of {place}" if name == function else f"{name}, called by {function} of {place}"
            for use in _uses(d, code, is_python):
                sentences[f"{where}, {use}"] = None
    # The class has moved there what a recipe appends to do_image_oci.
    for use in _uses(d, d.getVar("IMAGE_CMD:oci", False) or "", False):
        sentences[f"IMAGE_CMD:oci:append or do_image_oci:append {use}"] = None
    return list(sentences)


def _functions(d: Recipe) -> Iterator[tuple[str, str]]:
    """The functions around the tasks, and the variable or flag that lists them."""
    for task in _TASKS:
        for flag in ("prefuncs", "postfuncs"):
            for name in (d.getVarFlag(task, flag) or "").split():
                yield name, f"{task}[{flag}]"
    for variable in _LISTS:
        for name in (d.getVar(variable) or "").replace(";", " ").split():
            if _is_function(d, name):
                yield name, variable


def _is_function(d: Recipe, name: str) -> bool:
    return bool(re.fullmatch(r"\w[\w-]*", name) and d.getVarFlag(name, "func", False))


def _reachable(d: Recipe, function: str, seen: set[str]) -> Iterator[tuple[str, str, bool]]:
    """Names and texts of a function and all functions that it calls, each once."""
    waiting = [function]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        code, is_python = d.getVar(name, False) or "", bool(d.getVarFlag(name, "python", False))
        yield name, code, is_python
        waiting += sorted(called for called in _called(code, is_python) if _is_function(d, called))


def _called(code: str, is_python: bool) -> set[str]:
    if is_python:
        text = PythonText.of(code)
        # bb.build.exec_func takes the name as a string.
        return text.names.union(text.strings)
    return {command.name for command in shell_text.commands(code)}


def _uses(d: Recipe, code: str, is_python: bool) -> Iterator[str]:
    """Each use of umoci's internals in a text, with the replacement."""
    if is_python:
        text = PythonText.of(code)
        words = text.strings
        calls = text.commands + [
            (command.name, *command.arguments)
            for string in text.strings
            if "umoci" in string or "sloci" in string
            for command in shell_text.commands(string)
        ]
    else:
        commands = shell_text.commands(code)
        words = [
            word for command in commands for word in command.files + (() if command.name in _SHOWING else command.words)
        ]
        values = dict(word.split("=", 1) for word in words if re.match(r"[A-Za-z_]\w*=", word))
        calls = [(command.name, *(_expanded(word, values) for word in command.arguments)) for command in commands]
    internals = ", ".join(dict.fromkeys(_internals(words)))
    if internals:
        yield f"uses {internals}, which image-oci-rs does not have. {_ROOTFS}"
    yield from dict.fromkeys(filter(None, (_call(d, call) for call in calls)))


def _internals(words: list[str]) -> Iterator[str]:
    has_own_bundle = any(word.startswith("image_bundle_name=") for word in words)
    for word in words:
        for pattern in _INTERNALS:
            for name in pattern.findall(word):
                if name != "image_bundle_name" or not has_own_bundle:
                    yield re.sub(f"^OCI_LAYER_{_COMPUTED_NUMBER}_", "OCI_LAYER_<n>_", name)


def _call(d: Recipe, call: tuple[str, ...]) -> str | None:
    """The warning about a call of umoci or sloci-image, if it needs one."""
    program = call[0].rpartition("/")[2]
    if program == "sloci-image" and len(call) > 2:
        return f"calls sloci-image. {_REMOVE}"
    verb = next((word for word in call[1:] if word in _WRITING or word in _READING), None)
    if program != "umoci" or verb is None:
        return None
    shown = f"raw {verb}" if "raw" in call else verb
    # A function that uses umoci for another image declares that it needs it.
    is_this_image = not all(call) or any(map(_THIS_IMAGE.search, call))
    if verb in _WRITING and (is_this_image or not _has_umoci(d)):
        return f"calls umoci {shown}, but umoci does not make the image and its archives. {_WRITING[verb]}"
    if _has_umoci(d):
        return None
    return (
        f"calls umoci {shown}, but nothing that the recipe depends on provides umoci. Add"
        f' do_image_oci[depends] += "umoci-native:do_populate_sysroot".'
    )


def _expanded(word: str, values: Mapping[str, str]) -> str:
    """A word with the values of shell variables that the same code has assigned."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: values.get(match[1] or match[2], match[0]), word)


def _has_umoci(d: Recipe) -> bool:
    """Whether a task of the image finds umoci: the recipe asks for it, or it is the build machine's."""
    depends = [d.getVar("DEPENDS"), *(d.getVarFlag(task, "depends") for task in ("do_rootfs", *_TASKS))]
    programs = [d.getVar("HOSTTOOLS"), d.getVar("HOSTTOOLS_NONFATAL")]
    return any("umoci-native" in (text or "") for text in depends) or any(
        "umoci" in (text or "").split() for text in programs
    )
