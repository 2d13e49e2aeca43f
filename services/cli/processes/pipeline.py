"""A whole pipeline with ports of its own, beside any other: for benchmarks and tests."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Self

import msgspec
import psutil

from emostream.services.cli.processes.child_process import Process, arguments_of, stop
from emostream.services.cli.processes.config_file import write_config
from emostream.services.cli.processes.procfile import FILE, procfile
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import Config
from emostream.shared.errors import EmostreamError

STOP_WITHIN = 6.0


def with_private_addresses(config: Config, folder: Path) -> Config:
    """Return the configuration with free loopback ports and recordings below `folder`."""
    ports = iter(free_ports(11))

    def address(prefix: str = "") -> str:
        return f"{prefix}127.0.0.1:{next(ports)}"

    replace = msgspec.structs.replace
    stages = {
        stage: replace(getattr(config, stage), bind=address("tcp://"), metrics=address())
        for stage in STAGES
    }
    stages["recorder"] = replace(stages["recorder"], folder=str(folder / "recordings"))
    stages["display"] = replace(stages["display"], page=address())
    connect = replace(
        config.connect,
        frame=(stages["capture"].bind,),
        faces=(stages["detector"].bind,),
        emotion=(stages["classifier"].bind,),
        credit=(stages["recorder"].bind,),
        control=(stages["display"].bind,),
    )
    return replace(config, connect=connect, **stages)


class Pipeline:
    """Runs a Procfile with honcho, as a user does, and ends it when the context is left.

    Its output goes to `folder/log.txt`.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = with_private_addresses(config, folder)
        self.log = folder / "log.txt"
        self._file = folder / "config.toml"
        write_config(self.config, self._file)
        (folder / FILE).write_text(procfile(str(self._file)), "utf-8")
        self._output: IO[bytes] | None = None
        self._honcho: Process | None = None

    def __enter__(self) -> Self:
        binaries = Path(sys.executable).parent
        self._output = self.log.open("wb")
        self._honcho = subprocess.Popen(
            [str(binaries / "honcho"), "start", "--no-colour", "-d", str(self._file.parent)],
            env={
                **os.environ,
                "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
                "EMOSTREAM_CONFIG": str(self._file),
                "EMOSTREAM_ARGS": "",
            },
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        assert self._output is not None
        self._output.close()

    @property
    def honcho(self) -> Process:
        """Honcho's process."""
        assert self._honcho is not None
        return self._honcho

    def stop(self) -> int:
        """End it as Ctrl-C does, and return honcho's exit code."""
        below = self.processes()
        if stop([self.honcho], signal.SIGINT, STOP_WITHIN):
            for process in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        return self.honcho.returncode

    def processes(self) -> list[psutil.Process]:
        """Return all processes below honcho."""
        try:
            return psutil.Process(self.honcho.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def stage_processes(self) -> dict[str, psutil.Process]:
        """Return the process of each stage that runs."""
        found: dict[str, psutil.Process] = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if arguments := arguments_of(process.cmdline()):
                    found[arguments[0]] = process
        return found

    def memory(self) -> dict[str, float]:
        """Return what each stage that runs holds resident, in MB."""
        held: dict[str, float] = {}
        for stage, process in self.stage_processes().items():
            with contextlib.suppress(psutil.Error):
                held[stage] = process.memory_info().rss / 1e6
        return held

    def metrics_url(self, stage: str) -> str:
        """Return the address of a stage's metrics and health, without a path."""
        return f"http://{getattr(self.config, stage).metrics}"

    def missing(self, stage: str) -> dict[str, str]:
        """Return what the stage lacks to be ready; empty when it is ready."""
        try:
            with urllib.request.urlopen(f"{self.metrics_url(stage)}/readyz", timeout=2) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
        except OSError as error:
            return {"process": f"{stage} does not answer: {error}"}
        missing: dict[str, str] = json.loads(body)["missing"]
        return missing

    def wait_ready(self, timeout: float = 60.0) -> float:
        """Wait until every stage is ready, and return the seconds that it took.

        Raises EmostreamError with the end of the log where that does not happen in time.
        """
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            missing = {stage: lacks for stage in STAGES if (lacks := self.missing(stage))}
            if not missing:
                return time.monotonic() - start
            if self.honcho.poll() is not None:
                break
            time.sleep(0.1)
        tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-20:])
        raise EmostreamError(f"the pipeline is not ready: {missing}\n{tail}")


def free_ports(count: int) -> list[int]:
    """Return `count` loopback ports that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
