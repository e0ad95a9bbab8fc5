"""Warnings about a recipe that can be built but is probably not meant so; `image.problem` reports errors.

The classes call it when a recipe is parsed, and hand each sentence to bb.warn.
"""

from __future__ import annotations

from . import hooks, spelling


def warnings(d: spelling.Listed) -> list[str]:
    """Every sentence, with the name of the recipe in front."""
    if d.getVar("BB_WORKERCONTEXT"):
        # A worker parses the recipe again for each task, long after the warnings.
        return []
    return [f"{d.getVar('PN')}: {sentence}" for sentence in (*spelling.warnings(d), *hooks.warnings(d))]
