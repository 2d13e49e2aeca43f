"""Running one stage under honcho: it is started again when it dies, and ends with honcho."""

import logging
import os
import shlex
import signal
import time
from collections.abc import Sequence

import psutil

from emostream.services.cli.processes.child_process import GRACE, Process, start, stop
from emostream.services.cli.processes.restarts import FINAL, RESTARTS, WITHIN, RestartLimit
from emostream.shared.errors import ExitCode
from emostream.shared.terminal import Terminal

PAUSE = 0.5
POLL = 0.1
log = logging.getLogger("emostream.supervise")


class Supervisor:
    """Runs a command for as long as it is wanted; SIGHUP goes on to it.

    Only a SIGHUP that says that the terminal was closed ends both.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._stopping = False
        self._hung_up = False
        self._terminal = Terminal()
        self._launchers = _launchers()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)

    def run(self) -> int:
        """Return the exit code: OK when told to stop, otherwise the command's last."""
        limit = RestartLimit()
        while True:
            code = self._run_once()
            if self._stopping or code == ExitCode.OK:
                return ExitCode.OK
            reason = f"signal {-code}" if code < 0 else f"exit code {code}"
            if not limit.allows(code):
                if code not in FINAL:
                    times = RESTARTS + 1
                    log.error("died with %s, %d times in %g s: giving up", reason, times, WITHIN)
                return code if code > 0 else ExitCode.FAILURE
            log.warning("died with %s: starting it again", reason)
            time.sleep(PAUSE)

    def _run_once(self) -> int:
        log.debug("starting %s", shlex.join(self._command))
        process = start(self._command)
        try:
            while process.poll() is None and not self._stopping:
                if not all(map(_lives, self._launchers)):
                    self._stopping = True
                time.sleep(POLL)
                self._pass_on(process)
        finally:
            if stop([process]):
                log.warning("did not stop within %g s: killed", GRACE)
        return process.returncode

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _hang_up(self, *_: object) -> None:
        self._hung_up = True

    def _pass_on(self, process: Process) -> None:
        if not self._hung_up:
            return
        self._hung_up = False
        if self._terminal.is_closed:
            self._stopping = True
        else:
            process.send_signal(signal.SIGHUP)


def _launchers() -> list[psutil.Process]:
    """Return honcho's two processes above this one, which must both live.

    Honcho's worker, our parent, outlives a honcho that is killed, so our parent's end is no sign.
    """
    if "HONCHO_PROCESS_NAME" not in os.environ:
        return []
    return psutil.Process().parents()[:2]


def _lives(process: psutil.Process) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
