"""Runs one stage under honcho: restarts it when it exits, and stops with honcho."""

import contextlib
import logging
import shlex
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from emostream.services.cli.processes.child_process import GRACE, Process, start, stop
from emostream.services.cli.processes.down_page import answer_as_down
from emostream.services.cli.processes.launchers import Launchers
from emostream.services.cli.processes.liveness import LivenessWatch
from emostream.services.cli.processes.restarts import (
    RESTARTS,
    WITHIN_S,
    End,
    Restart,
    RestartPolicy,
    end_of,
)
from emostream.shared.address_file import given_address_file, read_addresses
from emostream.shared.errors import ExitCode
from emostream.shared.terminal import Terminal

if TYPE_CHECKING:
    from emostream.shared.http_access import HttpAccess


def _open() -> "HttpAccess":
    # Imported here: few supervisors ever need it.
    from emostream.shared.http_access import OPEN

    return OPEN


POLL: Final = 0.1
# The shell's exit code for a program killed by this signal.
BY_SIGNAL: Final = 128
log = logging.getLogger("emostream.supervise")


@dataclass(frozen=True)
class Supervised:
    """A stage, its command, its metrics address, and the access to it.

    Port 0 is chosen by the system. `hung_after` is in s. With `is_https`, metrics and health use
    HTTPS.
    """

    stage: str
    command: Sequence[str]
    host: str
    port: int
    hung_after: float
    find_access: Callable[[], "HttpAccess"] = _open
    is_https: bool = False


@dataclass(frozen=True)
class Ended:
    """How a stage exited: for the policy, as our exit code, and in words."""

    end: End
    code: int
    reason: str


class Supervisor:
    """Runs a stage until stopped, and passes SIGHUP on to it.

    Only the SIGHUP of a closed terminal stops both.
    """

    def __init__(self, supervised: Supervised) -> None:
        self._supervised = supervised
        self._stop_signal = 0
        self._stopping = False
        self._hung_up = False
        self._terminal = Terminal()
        self._launchers = Launchers(psutil.Process())
        self._policy = RestartPolicy("pipeline")
        self._addresses: Path | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)

    def run(self) -> int:
        """Return the exit code: the stage's if it is final, otherwise by who stopped it.

        Without honcho, that is OK. Honcho returns the code of the first process to exit, and a
        process must not report success while the others should still run.
        """
        with contextlib.ExitStack() as stack:
            if not self._supervised.port:
                self._addresses = given_address_file() or self._own_address_file(stack)
            while True:
                ended = self._run_once()
                if self._stopping:
                    asked = self._stop_signal and self._launchers.exist
                    return BY_SIGNAL + self._stop_signal if asked else ExitCode.OK
                restart = self._policy.after(ended.end)
                if restart is None:
                    return ended.code
                self._wait(restart, ended.reason)

    def _run_once(self) -> Ended:
        """Run the stage until it exits or the supervisor is stopped; return how it exited."""
        log.debug("starting %s", shlex.join(self._supervised.command))
        self._policy.started()
        self._forget_addresses()
        try:
            process = start(self._supervised.command, addresses=self._addresses)
        except OSError as error:
            reason = f"cannot be started: {error.strerror}"
            return Ended(End.NOT_STARTED, ExitCode.FAILURE, reason)
        # A stage also runs without a file for its address.
        address = self._address if self._supervised.port or self._addresses else None
        try:
            watch = LivenessWatch(
                process.pid,
                address,
                self._supervised.hung_after,
                is_https=self._supervised.is_https,
            )
            with contextlib.closing(watch):
                self._watch(process, watch)
        finally:
            if stop([process]):
                log.warning("did not stop within %g s; killed it", GRACE)
        code = process.returncode
        reason = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        return Ended(end_of(code), code, reason)

    def _watch(self, process: Process, watch: LivenessWatch) -> None:
        is_killed = False
        while process.poll() is None and self._is_wanted():
            if watch.reason and not is_killed:
                log.error("hung; killing it: %s", watch.reason)
                process.kill()
                is_killed = True
            if self._policy.recovers():
                log.info("recovered: running for %g s", WITHIN_S)
            time.sleep(POLL)
            self._pass_on(process)

    def _wait(self, restart: Restart, reason: str) -> None:
        """Wait until the stage should be restarted; SIGHUP restarts it immediately."""
        if not restart.wait:
            log.warning("%s; restarting it", reason)
            return
        state = f"{reason}; next try in {restart.wait:g} s"
        with contextlib.ExitStack() as stack:
            if restart.is_down:
                log.error("down: %s, after %d restarts in %g s", state, RESTARTS, WITHIN_S)
                self._answer_as_down(stack, reason)
            else:
                log.warning("%s", state)
            deadline = time.monotonic() + restart.wait
            while time.monotonic() < deadline and self._is_wanted() and not self._hung_up:
                time.sleep(POLL)
            self._pass_on(None)

    def _answer_as_down(self, stack: contextlib.ExitStack, reason: str) -> None:
        it = self._supervised
        if it.port:
            shown = f"{reason}; the supervisor retries within a minute"
            page = answer_as_down(it.stage, it.host, it.port, shown, it.find_access)
            stack.enter_context(page)

    def _is_wanted(self) -> bool:
        if not self._launchers.live:
            self._stopping = True
        return not self._stopping

    def _address(self) -> tuple[str, int] | None:
        """Return the stage's metrics address, None while unknown."""
        if self._addresses is None:
            return self._supervised.host, self._supervised.port
        addresses = read_addresses(self._addresses)
        return addresses.metrics_address if addresses else None

    def _own_address_file(self, stack: contextlib.ExitStack) -> Path | None:
        try:
            folder = tempfile.TemporaryDirectory(prefix="emostream-", ignore_cleanup_errors=True)
        except OSError as error:
            log.warning("cannot detect hangs: no folder for its address file: %s", error)
            return None
        return Path(stack.enter_context(folder)) / f"{self._supervised.stage}.json"

    def _forget_addresses(self) -> None:
        if self._addresses:
            # The previous process's address may belong to another program by now.
            with contextlib.suppress(OSError):
                self._addresses.unlink(missing_ok=True)

    def _stop(self, number: int, *_: object) -> None:
        self._stop_signal = number
        self._stopping = True

    def _hang_up(self, *_: object) -> None:
        self._hung_up = True

    def _pass_on(self, process: Process | None) -> None:
        if not self._hung_up:
            return
        self._hung_up = False
        if self._terminal.is_closed:
            self._stopping = True
        elif process:
            process.send_signal(signal.SIGHUP)
