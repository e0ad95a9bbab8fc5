"""The process that runs tasks: what bitbake-worker does, for one recipe and one task at a time.

    pseudo python -m bitbake_harness.worker TOPDIR RECIPE [TASK]...

Started under pseudo, with PSEUDO_DISABLED=1. A task that is to run as root gets pseudo's variables
before the fork, which is when pseudo looks at them.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import bb
import bb.build
import bb.data
import bb.event
import bb.msg
import bb.utils

from .datastore import parse, task_hashes, task_order


def main() -> int:
    top, recipe, *tasks = sys.argv[1:]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(bb.msg.BBLogFormatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("BitBake")
    logger.addHandler(handler)
    d = parse(Path(top), Path(recipe))
    if d.getVar("__SKIPPED"):
        print(f"ERROR: {d.getVar('PN')} was skipped: {d.getVar('__SKIPPED')}")
        return 1
    # What a task logs goes into its log file, and to the user interface as events.
    logger.removeHandler(handler)
    logger.addHandler(bb.event.LogHandler())
    for task in tasks or task_order(d):
        if run(Path(top), recipe, task, d) != 0:
            log = Path(d.getVar("T"), f"log.{task}")
            print(f"{task} failed:", log.read_text() if log.exists() else "it has no log", sep="\n")
            return 1
    return 0


def run(top: Path, recipe: str, task: str, d: Any) -> int:
    """Runs a task in a process of its own."""
    as_root = d.getVarFlag(task, "fakeroot") == "1"
    pseudo = dict(word.split("=", 1) for word in d.getVar("FAKEROOTENV" if as_root else "FAKEROOTNOENV").split())
    before = dict(os.environ)
    os.environ.update(pseudo)
    if as_root:
        bb.utils.mkdirhier(d.getVar("FAKEROOTDIRS"))
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _task(top, recipe, task, d, pseudo)
        finally:
            if as_root:
                # pseudo's daemon ends when its clients have.
                stop = [*shlex.split(d.getVar("FAKEROOTCMD")), "-S"]
                subprocess.run(stop, check=False, capture_output=True)
            sys.stdout.flush()
            os._exit(code)
    os.environ.clear()
    os.environ.update(before)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _task(top: Path, recipe: str, task: str, d: Any, pseudo: dict[str, str]) -> int:
    with open(top / "events.jsonl", "a", buffering=1) as events:

        def tell(event: Any, _: Any) -> None:
            told = {"task": task, "event": type(event).__name__, "pid": os.getpid()}
            if isinstance(event, bb.build.TaskProgress):
                told |= {"progress": event.progress, "words": event.rate}
            if isinstance(event, logging.LogRecord):
                told |= {"level": event.levelname, "message": event.getMessage()}
            events.write(json.dumps(told) + "\n")

        bb.event.worker_fire = tell
        bb.utils.signal_on_parent_exit("SIGTERM")
        os.setsid()
        signal.signal(signal.SIGTERM, _end_process_group)
        os.umask(0o022)
        d.setVar("BB_WORKERCONTEXT", "1")
        d.setVar("BB_CURRENTTASK", task.removeprefix("do_"))
        d.setVar("BB_TASKHASH", task_hashes(d)[task])
        d.setVarFlag(task, "nostamp", "1")
        exported = dict(bb.data.exported_vars(d))
        bb.utils.empty_environment()
        os.environ.update(exported)
        for name, value in pseudo.items():
            os.environ[name] = value
            d.setVar(name, value)
            d.setVarFlag(name, "export", "1")
        return int(bb.build.exec_task(recipe, task, d))


def _end_process_group(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.killpg(0, signal.SIGTERM)
    sys.exit()


if __name__ == "__main__":
    sys.exit(main())
