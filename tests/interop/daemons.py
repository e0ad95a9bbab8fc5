"""containerd, dockerd and a registry of the tests' own: nothing of theirs lies outside a directory that is given."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from commands import ENVIRONMENT, CommandError, run

from image_oci_rs import Platform

SECONDS_TO_START = 60
SECONDS_TO_STOP = 20


class Daemon:
    """A process in the background, with its log.

    Attributes:
        address: How clients reach it.
    """

    def __init__(self, command: Sequence[str | Path], address: str, log: Path) -> None:
        """Starts it. It ends with this process, even if this process is killed."""
        self.address = address
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=TERM", *map(str, command)],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], object]) -> None:
        """Waits until `ready` no longer raises.

        Raises:
            RuntimeError: The daemon has ended, or takes too long; with the end of its log.
        """
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                ready()
                return
            except (CommandError, OSError) as error:
                if self._process.poll() is not None:
                    raise RuntimeError(f"exit status {self._process.returncode}\n{self.log_tail()}") from error
                if time.monotonic() > deadline:
                    raise RuntimeError(f"not ready after {SECONDS_TO_START} s\n{self.log_tail()}") from error
            time.sleep(0.05)

    def stop(self) -> None:
        """Asks it to end, and ends it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


class Containerd(Daemon):
    """containerd without the plugin for Kubernetes."""

    def ctr(self, *arguments: str | Path) -> str:
        """Runs ctr."""
        return run("ctr", "--address", self.address, "--namespace", "tests", *arguments)


class Docker(Daemon):
    """dockerd without network. Its storage driver is `vfs`, with layers as whole directories, or another one."""

    data_root: Path
    driver: str

    def docker(self, *arguments: str | Path) -> str:
        """Runs docker."""
        return run("docker", *arguments, environment={**ENVIRONMENT, "DOCKER_HOST": self.address})

    def layer_directory(self, *diff_ids: str) -> Path:
        """Where the highest of the layers with these diff_ids is unpacked; with `vfs`, over those below it."""
        algorithm, chain = diff_ids[0].split(":")
        for diff_id in diff_ids[1:]:
            # Source: image-spec v1.1.1, config.md, "Layer ChainID".
            chain = hashlib.sha256(f"{algorithm}:{chain} {diff_id}".encode()).hexdigest()
        cache_id = (self.data_root / "image" / self.driver / "layerdb" / algorithm / chain / "cache-id").read_text()
        directory = self.data_root / self.driver
        return directory / "dir" / cache_id if self.driver == "vfs" else directory / cache_id / "diff"

    @contextmanager
    def mounted(self, diff_ids: Sequence[str], place: Path) -> Iterator[Path]:
        """The layers with these diff_ids over one another, at `place` where the driver leaves it to the kernel."""
        if self.driver == "vfs":
            yield self.layer_directory(*diff_ids)
            return
        highest_first = [self.layer_directory(*diff_ids[:count]) for count in range(len(diff_ids), 0, -1)]
        place.mkdir()
        # From util-linux 2.39 on mount would use system calls that take 255 characters for one option.
        environment = {**ENVIRONMENT, "LIBMOUNT_FORCE_MOUNT2": "always"}
        lower = f"lowerdir={':'.join(map(str, highest_first))}"
        run("mount", "-t", "overlay", "overlay", "-o", lower, place, environment=environment)
        try:
            yield place
        finally:
            run("umount", place)


@contextmanager
def containerd(directory: Path) -> Iterator[Containerd]:
    """A containerd for the time of a `with`."""
    directory.mkdir()
    address = directory / "socket"
    config = directory / "config.toml"
    config.write_text(
        f"""
        version = 2
        root = "{directory}/root"
        state = "{directory}/state"
        disabled_plugins = ["io.containerd.grpc.v1.cri"]
        [grpc]
        address = "{address}"
        """
        # From release 2.0 on images are unpacked for the snapshotters that are named here.
        + "".join(
            f"""
        [[plugins."io.containerd.transfer.v1.local".unpack_config]]
        platform = "linux/{Platform.from_names(platform.machine()).architecture}"
        snapshotter = "{snapshotter}"
        """
            for snapshotter in ("native", "overlayfs")
        )
    )
    daemon = Containerd(["containerd", "--config", config], str(address), directory / "log")
    try:
        daemon.wait_until(lambda: daemon.ctr("version"))
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def dockerd(directory: Path, containerd: Containerd, driver: str = "vfs") -> Iterator[Docker]:
    """A dockerd on that containerd for the time of a `with`."""
    directory.mkdir()
    config = directory / "daemon.json"
    # Newer releases would else keep images in containerd, as `Containerd` shows it already.
    config.write_text(json.dumps({"features": {"containerd-snapshotter": False}}))
    address = f"unix://{directory}/socket"
    options = {
        "config-file": config,
        "data-root": directory / "data",
        "exec-root": directory / "run",
        "pidfile": directory / "pid",
        "host": address,
        "containerd": containerd.address,
        "storage-driver": driver,
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
        "ip-forward": "false",
    }
    command = ["dockerd", *(f"--{name}={value}" for name, value in options.items())]
    daemon = Docker(command, address, directory / "log")
    daemon.data_root = directory / "data"
    daemon.driver = driver
    try:
        daemon.wait_until(lambda: daemon.docker("version"))
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def registry(directory: Path) -> Iterator[Daemon]:
    """A registry on the loopback interface for the time of a `with`; without encryption."""
    directory.mkdir()
    address = f"127.0.0.1:{_free_port()}"
    config = directory / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(directory / "data")}}
    log = {"level": "error", "accesslog": {"disabled": True}}
    # YAML takes JSON.
    config.write_text(json.dumps({"version": "0.1", "log": log, "storage": storage, "http": {"addr": address}}))
    daemon = Daemon(["docker-registry", "serve", config], address, directory / "log")
    host, port = address.split(":")
    try:
        daemon.wait_until(lambda: socket.create_connection((host, int(port))).close())
        yield daemon
    finally:
        daemon.stop()


def can_mount_overlays(directory: Path) -> bool:
    """Whether the kernel lays directories below this one over one another, which it does not on every file system."""
    places = [directory / name for name in ("lower", "upper", "work", "merged")]
    for place in places:
        place.mkdir(parents=True)
    lower, upper, work, merged = places
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    try:
        run("mount", "-t", "overlay", "overlay", "-o", options, merged)
    except CommandError:
        return False
    run("umount", merged)
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, port = server.getsockname()
        return int(port)
