"""Runs commands in turns, and keeps what each took: time, memory, bytes."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


def nothing() -> None:
    """For a job that needs no preparation."""


@dataclass(frozen=True)
class Job:
    """One way to pack one root filesystem.

    Attributes:
        key: Its name in goals and in --only.
        section: The part of the report to which it belongs.
        directory: Where the command runs and leaves everything it makes; emptied before and after.
        output: The file or directory in `directory` that is the result.
        clock: Whether the command measures itself, and prints seconds and bytes.
    """

    key: str
    section: str
    label: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    output: str = "image"
    clock: bool = False
    prepare: Callable[[], object] = nothing
    tidy: Callable[[], object] = nothing


@dataclass(frozen=True)
class Sample:
    """What one run took: seconds, most resident bytes of its largest process, bytes of its result."""

    seconds: float
    resident: int
    size: int


@dataclass(frozen=True)
class Measured:
    """All runs of one job."""

    job: Job
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def range(self) -> tuple[float, float]:
        """The fastest and the slowest run."""
        seconds = [sample.seconds for sample in self.samples]
        return min(seconds), max(seconds)

    @property
    def resident(self) -> int:
        """The most of all runs."""
        return max(sample.resident for sample in self.samples)

    @property
    def size(self) -> int:
        """The last run's; all should have the same, and what packs reproducibly has."""
        return self.samples[-1].size


class CommandFailed(Exception):
    """A command ended with an error; a measurement of it would mean nothing."""


def in_turns(jobs: Sequence[Job], rounds: int) -> list[Measured]:
    """Runs A B C A B C, so that a change of the machine's speed meets all of them alike."""
    samples: dict[str, list[Sample]] = {job.key: [] for job in jobs}
    for number in range(1, rounds + 1):
        for job in jobs:
            sample = _run(job)
            samples[job.key].append(sample)
            taken = f"{sample.seconds:8.2f} s {sample.resident / MIB:6.0f} MiB {sample.size / 1e6:8.1f} MB"
            print(f"round {number}: {taken}  {job.section}: {job.label}", file=sys.stderr, flush=True)
    return [Measured(job, tuple(samples[job.key])) for job in jobs]


def least_resident() -> int:
    """The least that can be measured: a new process begins as a copy of this one, which the kernel counts."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, directory: Path | None = None) -> str:
    """What a command that is not measured prints. It must succeed."""
    done = subprocess.run(
        list(command),
        env=environment,
        cwd=directory,
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandFailed(f"{command[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _run(job: Job) -> Sample:
    _empty(job.directory)
    job.prepare()
    try:
        # Nobody waits for what an earlier command left to be written.
        os.sync()
        seconds, resident, said = _timed(job)
        if job.clock:
            words = said.split()
            return Sample(float(words[0]), resident, int(words[1]))
        return Sample(seconds, resident, _size(job.directory / job.output))
    finally:
        job.tidy()
        _empty(job.directory)


def _timed(job: Job) -> tuple[float, int, str]:
    log = job.directory.with_name(job.directory.name + ".log")
    with log.open("w+", errors="replace") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(job.command),
            env=job.environment,
            cwd=job.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # Unlike the usage of all children, this is of one child and of those that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode != 0:
        raise CommandFailed(f"{job.section}: {job.label} ended with {process.returncode}: {said[-2000:]}")
    return seconds, usage.ru_maxrss * 1024, said


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())
