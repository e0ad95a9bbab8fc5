"""Where and when it was measured, and with which versions of the peers."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path

from measure import CommandFailed, run

PEERS = ("umoci", "buildah", "tar", "gzip", "pigz", "zstd", "pseudo")


def describe() -> str:
    """The processor, the memory and the system, in a sentence."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = models[0] if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    used, all_of_them = len(os.sched_getaffinity(0)), os.cpu_count()
    processors = f"{used} of its {all_of_them} processors" if used != all_of_them else f"{used} processors"
    return f"{model}, {processors}, {memory:.0f} GiB of memory, Linux {platform.release()}, {system}"


def versions() -> str:
    """The peers with their packages' versions."""
    found = []
    for package in PEERS:
        try:
            found.append(f"{package} {run(['dpkg-query', '--show', '--showformat=${Version}', package])}")
        except CommandFailed:
            found.append(f"{package} of unknown version")
    return ", ".join(found)


def date(repository: Path) -> str:
    """The day: of SOURCE_DATE_EPOCH if it is set, else of the commit that was measured."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        # Git asks who owns the repository; here it is only read.
        command = ["git", "-c", f"safe.directory={repository}", "-C", str(repository)]
        epoch = run([*command, "log", "-1", "--format=%ct"])
    return datetime.fromtimestamp(int(epoch), timezone.utc).strftime("%Y-%m-%d")


def use_two_processors() -> None:
    """Keeps this process and all it starts on two processors, so that everybody has as many."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
