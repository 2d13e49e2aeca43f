"""The processes of one analysis: started together, restarted when they die, stopped together."""

import contextlib
from pathlib import Path
from typing import IO, Final, Self

import psutil

from emostream.services.cli.processes.child_process import Process, stage_command, start, stop
from emostream.services.cli.processes.restarts import RestartLimit
from emostream.shared.address_file import Addresses, read_addresses
from emostream.shared.errors import DeliveryError
from emostream.shared.logs import message_of

START_ORDER: Final = ("recorder", "classifier", "detector", "capture")


class StageGroup:
    """Runs the stages of a configuration file; a context manager that stops them all.

    What they print goes to `<stage>.log` in `folder`, which is for nothing else.
    """

    def __init__(self, config: Path, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._processes: dict[str, Process] = {}
        self._limits = {stage: RestartLimit() for stage in START_ORDER}
        self._logs: dict[str, IO[bytes]] = {}
        self.restarts = dict.fromkeys(START_ORDER, 0)

    def __enter__(self) -> Self:
        for stage in START_ORDER:
            self._logs[stage] = (self._folder / f"{stage}.log").open("ab")
            self._start(stage)
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._processes.values())
        for log in self._logs.values():
            log.close()

    def watch(self) -> None:
        """Start again what died; DeliveryError where a stage cannot be started again."""
        for stage, process in self._processes.items():
            code = process.poll()
            if code is None:
                continue
            # No stage ends by itself: with 0 somebody else stopped it, so it is started again too.
            if not self._limits[stage].allows(code):
                raise DeliveryError(f"{stage} cannot go on: {self._last_line(stage)}")
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

    def addresses(self, stage: str) -> Addresses | None:
        """Return where a stage can be reached; None until it can."""
        return read_addresses(self._address_file(stage))

    def _last_line(self, stage: str) -> str:
        log = (self._folder / f"{stage}.log").read_text("utf-8", "replace")
        lines = log.strip().splitlines()
        return message_of(lines[-1]) if lines else "it printed nothing"

    def _address_file(self, stage: str) -> Path:
        return self._folder / f"{stage}.json"

    def _start(self, stage: str) -> None:
        # The one of a process that died would name a port that may be another's by now.
        self._address_file(stage).unlink(missing_ok=True)
        self._processes[stage] = start(
            stage_command(stage, "--config", str(self._config)),
            log=self._logs[stage],
            addresses=self._address_file(stage),
        )
