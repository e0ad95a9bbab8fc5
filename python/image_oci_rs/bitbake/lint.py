"""What seems to be wrong with a recipe and does not keep it from being built; errors are reported by `image.problem`.

Called by the classes when a recipe is parsed. Each text becomes a warning of BitBake.
"""

from __future__ import annotations

from . import hooks, spelling


def warnings(d: spelling.Listed) -> list[str]:
    """Every sentence, with the name of the recipe in front."""
    if d.getVar("BB_WORKERCONTEXT"):
        # BitBake parses a recipe once more for each task; it has been warned of by then.
        return []
    return [f"{d.getVar('PN')}: {sentence}" for sentence in (*spelling.warnings(d), *hooks.warnings(d))]
