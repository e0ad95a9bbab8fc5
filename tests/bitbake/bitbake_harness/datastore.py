"""The real parser and the real hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bb
import bb.cookerdata
import bb.data
import bb.parse


def parse(top: Path, recipe: Path) -> Any:
    """The datastore of a recipe in a build directory."""
    configuration = bb.cookerdata.CookerConfiguration()
    configuration.env = {"BBPATH": str(top)}
    configuration.postfile = [str(top / "conf/last.conf")]
    # Files may change within the resolution of their times.
    bb.parse.clear_cache()
    builder = bb.cookerdata.CookerDataBuilder(configuration, worker=True)
    builder.parseBaseConfiguration(worker=True)
    return builder.parseRecipe(str(recipe), [], "stand-in")


def task_hashes(d: Any) -> dict[str, str]:
    """The base hash of every task, by which BitBake decides whether it has to run again."""
    ignored = set(d.getVar("BB_BASEHASH_IGNORE_VARS").split())
    tasks, dependencies, values = bb.data.generate_dependencies(d, ignored)
    _, hashes = bb.data.generate_dependency_hash(tasks, dependencies, values, ignored, "recipe")
    return {key.partition(":")[2]: value for key, value in hashes.items()}


def task_order(d: Any, last: str = "do_build") -> list[str]:
    """The tasks that a task needs, and itself, each after those that it needs."""
    order: list[str] = []

    def visit(task: str) -> None:
        if task in order or task not in d.getVar("__BBTASKS", False):
            return
        for earlier in d.getVarFlag(task, "deps", False) or []:
            visit(earlier)
        order.append(task)

    visit(last)
    return order
