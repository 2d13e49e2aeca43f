"""The processes of one analysis: started together, started again when they die, ended together."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final, Self

import psutil

from emostream.services.cli.processes.supervise import FINAL, GRACE, RestartLimit
from emostream.shared.errors import DeliveryError

ORDER: Final = ("recorder", "classifier", "detector", "capture")
METRICS: Final = re.compile(r"metrics on (http://\S+)")


class Stages:
    """Runs the stages of a configuration file; a context manager that ends them all.

    What they print goes to `<stage>.log` in `folder`.
    """

    def __init__(self, config: Path, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._limits = {stage: RestartLimit() for stage in ORDER}
        self._logs: dict[str, IO[bytes]] = {}
        self.restarts = dict.fromkeys(ORDER, 0)

    def __enter__(self) -> Self:
        for stage in ORDER:
            self._logs[stage] = (self._folder / f"{stage}.log").open("ab")
            self._start(stage)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for log in self._logs.values():
            log.close()

    def watch(self) -> None:
        """Start again what died; DeliveryError where a stage cannot be started again."""
        for stage, process in self._processes.items():
            code = process.poll()
            if code is None:
                continue
            # No stage ends by itself: with 0 it was told to, by somebody else.
            if code in FINAL[1:] or not self._limits[stage].allows():
                raise DeliveryError(f"{stage} cannot go on: {self.last_words(stage)}")
            self.restarts[stage] += 1
            self._start(stage)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time of each stage that runs."""
        seconds = {}
        for stage, process in self._processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = psutil.Process(process.pid).cpu_times()
                seconds[stage] = times.user + times.system
        return seconds

    def metrics(self, stage: str) -> str | None:
        """Return the address of a stage's metrics, once it said so."""
        found = METRICS.findall(self._log(stage))
        return found[-1] if found else None

    def last_words(self, stage: str) -> str:
        """Return the last line that a stage printed."""
        lines = self._log(stage).strip().splitlines()
        return lines[-1].removeprefix("error: ") if lines else "it printed nothing"

    def _log(self, stage: str) -> str:
        return (self._folder / f"{stage}.log").read_text("utf-8", "replace")

    def _start(self, stage: str) -> None:
        self._processes[stage] = subprocess.Popen(
            [sys.executable, "-m", "emostream", stage, "--config", str(self._config)],
            env={**os.environ, "EMOSTREAM_SUPERVISOR": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=self._logs[stage],
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
