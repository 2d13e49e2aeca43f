"""A whole pipeline with separate ports, for benchmarks and tests."""

import contextlib
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, Self

import msgspec
import psutil

from emostream.services.cli.processes.child_process import Process, arguments_of, stop
from emostream.services.cli.processes.config_file import write_config
from emostream.services.cli.processes.procfile import FILE, procfile
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import Classifier, Config
from emostream.shared.errors import EmostreamError
from emostream.shared.metrics_client import MetricsClient

STOP_WITHIN = 6.0
PORTS: Final = range(20_000, 32_768)


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


def _another(settings: Classifier) -> Classifier:
    """Return the settings of an additional classifier, on free ports."""
    bind, metrics = free_ports(2)
    return msgspec.structs.replace(
        settings, bind=f"tcp://127.0.0.1:{bind}", metrics=f"127.0.0.1:{metrics}"
    )


def _with_classifiers(
    config: Config, more: Sequence[Classifier], standbys: Sequence[Classifier]
) -> Config:
    """Return the configuration with additional classifiers; some are `standbys`."""
    replace = msgspec.structs.replace
    emotion = (*config.connect.emotion, *(each.bind for each in more))
    watch = (*config.display.watch, *(each.metrics for each in more))
    return replace(
        config,
        connect=replace(config.connect, emotion=emotion),
        display=replace(config.display, watch=watch),
        classifier=replace(config.classifier, standbys=tuple(each.bind for each in standbys)),
    )


class Pipeline:
    """Runs a Procfile with honcho, like a user, and stops it at the end of the context.

    Its output goes to `folder/log.txt`. Each of `more_classifiers` has the options of an additional
    classifier; `classifiers` are the settings of all classifiers. Only the stages in `stages` run.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        more_classifiers: Sequence[Sequence[str]] = (),
        *,
        stages: Sequence[str] = tuple(STAGES),
    ) -> None:
        self._stages = tuple(stages)
        config = with_private_addresses(config, folder)
        more = [_another(config.classifier) for _ in more_classifiers]
        self.classifiers = (config.classifier, *more)
        chosen = zip(more, more_classifiers, strict=True)
        standbys = [each for each, options in chosen if "--standby" in options]
        self.config = _with_classifiers(config, more, standbys)
        self.log = folder / "log.txt"
        self._file = folder / "config.toml"
        write_config(self.config, self._file)
        lines = [procfile(str(self._file), self._stages)]
        for number, (settings, options) in enumerate(zip(more, more_classifiers, strict=True), 2):
            words = [*options, "--set", f"classifier.bind={settings.bind}"]
            words += ["--set", f"classifier.metrics={settings.metrics}"]
            line = procfile(str(self._file), ["classifier"]).removeprefix("classifier").strip()
            lines.append(f"classifier{number}{line} {shlex.join(words)}\n")
        (folder / FILE).write_text("".join(lines), "utf-8")
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
        """Stop it like Ctrl-C, and return honcho's exit code."""
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
        """Return the process of each running stage; for classifiers, the first one."""
        found: dict[str, psutil.Process] = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                arguments = arguments_of(process.cmdline())
                # Only additional classifiers get an address option.
                if arguments and not any("classifier.bind=" in word for word in arguments):
                    found[arguments[0]] = process
        return found

    def memory(self) -> dict[str, float]:
        """Return the resident memory of each running stage, in MB."""
        held: dict[str, float] = {}
        for stage, process in self.stage_processes().items():
            with contextlib.suppress(psutil.Error):
                held[stage] = process.memory_info().rss / 1e6
        return held

    def metrics_url(self, stage: str) -> str:
        """Return the address of a stage's metrics and health, without a path."""
        return f"http://{getattr(self.config, stage).metrics}"

    def missing(self, stage: str) -> dict[str, str]:
        """Return why the stage is not ready; empty if it is."""
        return missing_at(self.config, self.metrics_url(stage), stage)

    def wait_ready(self, timeout: float = 60.0) -> float:
        """Wait until every stage is ready, and return the time in seconds.

        Raises EmostreamError, with the end of the log, if it takes too long.
        """
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            missing = {stage: lacks for stage in self._stages if (lacks := self.missing(stage))}
            for settings in self.classifiers[1:]:
                if lacks := missing_at(self.config, f"http://{settings.metrics}", "classifier"):
                    missing[settings.metrics] = lacks
            if not missing:
                return time.monotonic() - start
            if self.honcho.poll() is not None:
                break
            time.sleep(0.1)
        tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-20:])
        raise EmostreamError(f"the pipeline is not ready: {missing}\n{tail}")


def missing_at(config: Config, url: str, stage: str) -> dict[str, str]:
    """Return why the stage with metrics at `url` is not ready; empty if it is."""
    try:
        with MetricsClient(config).open(f"{url}/readyz", any_status=True) as answer:
            body = answer.read()
    except OSError as error:
        return {"process": f"{stage} does not answer: {error}"}
    missing: dict[str, str] = json.loads(body)["missing"]
    return missing


def free_ports(count: int) -> list[int]:
    """Return `count` currently free loopback ports.

    They lie below the range from which systems take the ports of outgoing connections, so that no
    connection takes one before it is bound.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.sample(PORTS, len(PORTS)):
            if len(found) == count:
                break
            candidate = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                found.append(port)
    return found
