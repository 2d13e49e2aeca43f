"""The processes of one analysis: started, restarted and stopped together."""

import contextlib
import functools
from pathlib import Path
from typing import IO, Final, Self

import psutil

from emostream.services.cli.processes.child_process import Process, stage_command, start, stop
from emostream.services.cli.processes.liveness import LivenessWatch
from emostream.services.cli.processes.restarts import RestartPolicy, end_of
from emostream.shared.address_file import Addresses, read_addresses
from emostream.shared.errors import DeliveryError, TemporaryFolderError
from emostream.shared.logs import message_of
from emostream.shared.temporary_folder import naming_temporary_files

# More than a stage needs for its log and addresses.
ROOM_FOR_FILES: Final = 64 * 1024
START_ORDER: Final = ("recorder", "classifier", "detector", "capture")


class StageGroup:
    """Runs the stages of a configuration file; a context manager that stops them all.

    Their output goes to `<stage>.log` in `folder`, which is used for nothing else. A stage whose
    loop has not run for `hung_after` s hangs, and is killed.
    """

    def __init__(self, config: Path, folder: Path, hung_after: float) -> None:
        self._config = config
        self._folder = folder
        self._hung_after = hung_after
        self._processes: dict[str, Process] = {}
        self._watches: dict[str, LivenessWatch] = {}
        self._policies = {stage: RestartPolicy("analysis") for stage in START_ORDER}
        self._logs: dict[str, IO[bytes]] = {}
        self.restarts = dict.fromkeys(START_ORDER, 0)

    def __enter__(self) -> Self:
        try:
            for stage in START_ORDER:
                with naming_temporary_files():
                    self._logs[stage] = (self._folder / f"{stage}.log").open("ab", buffering=0)
                self._start(stage)
        except (DeliveryError, TemporaryFolderError):
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches.values():
            watch.close()
        stop(self._processes.values())
        for log in self._logs.values():
            log.close()

    def watch(self) -> None:
        """Restart stages that exited or hang; DeliveryError if a stage cannot be restarted.

        Raises TemporaryFolderError if there is no disk space for its log.
        """
        for stage, process in self._processes.items():
            self._kill_hung(stage, process)
            code = process.poll()
            if code is None:
                continue
            if self._policies[stage].after(end_of(code)) is None:
                raise DeliveryError(f"{stage} cannot continue: {self._last_line(stage)}")
            self.restarts[stage] += 1
            self._start(stage)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time of each running stage."""
        seconds = {}
        for stage, process in self._processes.items():
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(process.pid).cpu_times()
                seconds[stage] = times.user + times.system
        return seconds

    def addresses(self, stage: str) -> Addresses | None:
        """Return the addresses of a stage; None until they are known."""
        return read_addresses(self._address_file(stage))

    def _kill_hung(self, stage: str, process: Process) -> None:
        """Kill the stage if it hangs; a later check finds that it exited."""
        watch = self._watches[stage]
        if watch.reason:
            # Kill it even if there is no disk space for its log.
            with contextlib.suppress(OSError):
                self._logs[stage].write(f"error: hung; killing it: {watch.reason}\n".encode())
            watch.reason = ""
            process.kill()

    def _metrics_address(self, stage: str) -> tuple[str, int] | None:
        addresses = self.addresses(stage)
        return addresses.metrics_address if addresses else None

    def _last_line(self, stage: str) -> str:
        log = (self._folder / f"{stage}.log").read_text("utf-8", "replace")
        lines = log.strip().splitlines()
        if lines:
            return message_of(lines[-1])
        # There may have been no disk space for its output.
        with naming_temporary_files():
            (self._folder / "room").write_bytes(bytes(ROOM_FOR_FILES))
        return "it printed nothing"

    def _address_file(self, stage: str) -> Path:
        return self._folder / f"{stage}.json"

    def _start(self, stage: str) -> None:
        # The address of a dead process may belong to another program by now.
        self._address_file(stage).unlink(missing_ok=True)
        self._policies[stage].started()
        try:
            process = start(
                stage_command(stage, "--config", str(self._config)),
                log=self._logs[stage],
                addresses=self._address_file(stage),
            )
        except OSError as error:
            raise DeliveryError(f"{stage} cannot be started: {error.strerror}") from error
        self._processes[stage] = process
        if stage in self._watches:
            self._watches[stage].close()
        self._watches[stage] = LivenessWatch(
            process.pid, functools.partial(self._metrics_address, stage), self._hung_after
        )
