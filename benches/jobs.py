"""What is measured: the peers, ours, and the compressors alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import debian
from measure import Job, nothing, run
from reference import Reference
from workspace import Workspace

AS_ROOT = "As root"
UNDER_PSEUDO = "Under pseudo, as a build user"
AGAIN = "Again, with a cache"
SMALL = "Small files"
ALONE = "The compressors and SHA-256 alone, in memory"

# meta-virtualization, classes/image-oci-umoci.inc, IMAGE_CMD:oci, with the configuration of a plain recipe. The class
# also writes two archives and removes the bundle; neither is counted.
UMOCI_FLOW = """
umoci init --layout image
umoci new --image image:latest
umoci unpack --rootless --image image:latest bundle
cp -r -a --no-preserve=ownership "$1"/* bundle/rootfs
umoci repack --image image:latest bundle
umoci config --image image:latest --os linux
umoci config --image image:latest --architecture amd64
umoci config --image image:latest --config.entrypoint sh
umoci config --image image:latest --author builder@example.com
"""
UMOCI_INSERT = """
umoci init --layout image
umoci new --image image:latest
umoci insert --image image:latest "$1" /
umoci config --image image:latest --config.entrypoint sh
"""
BUILDAH = """
buildah() { command buildah --root "$PWD/storage" --runroot "$PWD/run" "$@"; }
container=$(buildah from scratch)
buildah add --quiet "$container" "$1" /
buildah config --entrypoint '["sh"]' "$container"
buildah commit --quiet --disable-compression=false "$container" oci:image:latest
"""
# The storage is a mount point of its own, which must go before the directory can.
BUILDAH_TIDY = """
command buildah --root "$PWD/storage" --runroot "$PWD/run" rm --all
! mountpoint -q storage/overlay || umount storage/overlay
"""
TAR_GZIP = 'tar -C "$1" -cf - . | gzip -6 >image'
TAR_PIGZ = 'tar -C "$1" -cf - . | pigz -6 -p 2 >image'
TAR_ZSTD = 'tar -C "$1" --xattrs --acls -cf - . | zstd -q -3 -T2 >image'


def all_jobs(workspace: Workspace, reference: Reference) -> list[Job]:
    """Every job, in the order of a round."""
    defaults = reference.defaults()
    gzip, zstd = defaults["gzip"].level, defaults["zstd"].level
    maker = _Maker(workspace)
    jobs = [
        maker.script("umoci", "umoci as in image-oci.bbclass", UMOCI_FLOW),
        maker.script("umoci-insert", "umoci insert", UMOCI_INSERT),
        maker.script("buildah", "buildah add, commit", BUILDAH, BUILDAH_TIDY),
        maker.script("tar-gzip", "tar | gzip -6", TAR_GZIP),
        maker.script("tar-pigz", "tar | pigz -6", TAR_PIGZ),
        maker.script("tar-zstd", "tar --xattrs --acls | zstd -3 -T2", TAR_ZSTD),
    ]
    for threads in (2, 1):
        for algorithm, level in (("gzip", gzip), ("zstd", zstd)):
            jobs.append(maker.ours(f"{algorithm}-{threads}", algorithm, level, threads))
        jobs.append(maker.ours(f"none-{threads}", "none", None, threads))
        if threads == 2 and gzip != 6:
            jobs.append(maker.ours("gzip6-2", "gzip", 6, threads))
    for algorithm, level in (("gzip", gzip), ("zstd", zstd)):
        jobs += [maker.alone(f"{algorithm}-{threads}", reference, algorithm, level, threads) for threads in (2, 1)]
    if gzip != 6:
        jobs.append(maker.alone("gzip6-1", reference, "gzip", 6, 1))
    jobs.append(maker.digest(reference))
    jobs += [
        maker.script_of_user("pseudo-umoci", "umoci as in image-oci.bbclass", UMOCI_FLOW),
        maker.script_of_user("pseudo-tar-zstd", "tar --xattrs --acls | zstd -3 -T2", TAR_ZSTD),
        maker.ours_of_user("pseudo-gzip-2", "gzip", gzip),
        maker.ours_of_user("pseudo-zstd-2", "zstd", zstd),
    ]
    jobs += maker.with_cache(gzip)
    jobs += [maker.small(files, gzip) for files in (workspace.few, workspace.many)]
    return jobs


class _Maker:
    """Makes jobs that run in one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def script(self, key: str, label: str, script: str, tidy: str = "") -> Job:
        """A shell script that gets the root filesystem as its argument."""
        place = self._workspace
        command = _shell(script, place.debian)
        after = partial(run, _shell(tidy or "true", place.debian), place.environment, place.out)
        return Job(key, AS_ROOT, label, command, place.environment, place.out, tidy=after)

    def script_of_user(self, key: str, label: str, script: str) -> Job:
        """The same under pseudo."""
        place = self._workspace
        return self._of_user(key, label, _shell(script, place.user_debian))

    def ours(self, key: str, algorithm: str, level: int | None, threads: int) -> Job:
        place = self._workspace
        command = place.build(place.debian, *_options(algorithm, level, threads))
        return Job(key, AS_ROOT, _label(algorithm, level, threads), command, place.environment, place.out)

    def ours_of_user(self, key: str, algorithm: str, level: int) -> Job:
        place = self._workspace
        command = place.build(place.user_debian, *_options(algorithm, level, 2))
        return self._of_user(key, _label(algorithm, level, 2), command)

    def alone(self, key: str, reference: Reference, algorithm: str, level: int, threads: int) -> Job:
        place = self._workspace
        command = reference.once(algorithm, level, threads, place.tar)
        name = {"gzip": "libdeflate", "zstd": "libzstd"}[algorithm]
        label = f"{name} -{level}, {_threads(threads)}"
        return Job(f"alone-{key}", ALONE, label, command, place.environment, place.out, clock=True)

    def digest(self, reference: Reference) -> Job:
        place = self._workspace
        command = reference.digest(place.tar)
        return Job("alone-sha256", ALONE, "SHA-256, 1 thread", command, place.environment, place.out, clock=True)

    def small(self, files: int, level: int) -> Job:
        place = self._workspace
        kind = "few" if files == place.few else "many"
        command = place.build(place.small(files), *_options("gzip", level, 2))
        label = f"{files:,} files, {_label('gzip', level, 2)}"
        return Job(f"small-{kind}", SMALL, label, command, place.environment, place.out)

    def with_cache(self, level: int) -> list[Job]:
        """A first build, and one after an update of one package."""
        place = self._workspace
        cache = place.directory / "cache"
        options = [*_options("gzip", level, 2), "--cache", str(cache)]
        command = place.build(place.debian, *options)

        def forget() -> None:
            shutil.rmtree(cache, ignore_errors=True)

        update = ExitStack()

        def update_after_a_first_build() -> None:
            if not cache.exists():
                run(command, place.environment, place.out)
                shutil.rmtree(place.out / "image")
            update.enter_context(debian.updated_package(place.debian))

        def job(key: str, what: str, before: Callable[[], object], after: Callable[[], object] = nothing) -> Job:
            label = f"{_label('gzip', level, 2)}: {what}"
            return Job(key, AGAIN, label, command, place.environment, place.out, prepare=before, tidy=after)

        return [
            job("cache-first", "first build", forget),
            job("cache-again", f"{debian.UPDATED} updated", update_after_a_first_build, update.close),
        ]

    def _of_user(self, key: str, label: str, command: list[str]) -> Job:
        place = self._workspace
        user = place.user
        words = user.under_pseudo(command)
        return Job(
            key,
            UNDER_PSEUDO,
            label,
            words,
            user.environment,
            place.user_out,
            prepare=partial(user.start, place.user_debian),
        )


def _shell(script: str, rootfs: Path) -> list[str]:
    return ["bash", "-eo", "pipefail", "-c", script, "bash", str(rootfs)]


def _options(algorithm: str, level: int | None, threads: int) -> list[str]:
    leveled = [] if level is None else ["--level", str(level)]
    return ["--compression", algorithm, *leveled, "--threads", str(threads)]


def _label(algorithm: str, level: int | None, threads: int) -> str:
    return f"image-oci-rs {algorithm}{'' if level is None else f' -{level}'}, {_threads(threads)}"


def _threads(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"
