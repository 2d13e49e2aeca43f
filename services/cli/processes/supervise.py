"""`emostream supervise STAGE`: starts a stage, and starts it again when it dies."""

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

import psutil

from emostream.services.cli.processes.stages import STAGES
from emostream.shared.terminal import Terminal

RESTARTS = 5
WITHIN = 60.0
PAUSE = 0.5
# Ctrl-C ends everything within 5 s, so a stage has this long before it is killed.
GRACE = 3.5
POLL = 0.1
# Exit codes that a restart cannot mend: the end of the work, a configuration that is wrong, an
# address in use or weights that are missing, delivery that stopped (see shared/errors.py).
FINAL = (0, 2, 3, 4)
log = logging.getLogger("emostream")


class RestartLimit:
    """Allows `RESTARTS` restarts in any `WITHIN` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._restarts: deque[float] = deque(maxlen=RESTARTS)

    def allows(self) -> bool:
        """Whether one more restart is allowed now; if so, it is counted."""
        now = self._clock()
        if len(self._restarts) == RESTARTS and now - self._restarts[0] < WITHIN:
            return False
        self._restarts.append(now)
        return True


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
        """Return the exit code: 0 when told to stop, otherwise the command's last."""
        limit = RestartLimit()
        while True:
            code = self._run_once()
            if self._stopping or code in FINAL:
                return 0 if self._stopping else code
            reason = f"signal {-code}" if code < 0 else f"exit code {code}"
            if not limit.allows():
                log.error("died with %s, %d times in %g s: giving up", reason, RESTARTS + 1, WITHIN)
                return code if code > 0 else 1
            log.warning("died with %s: starting it again", reason)
            time.sleep(PAUSE)

    def _run_once(self) -> int:
        environment = {**os.environ, "EMOSTREAM_SUPERVISOR": str(os.getpid())}
        process = subprocess.Popen(self._command, env=environment)
        try:
            while process.poll() is None and not self._stopping:
                if not all(map(_lives, self._launchers)):
                    self._stopping = True
                time.sleep(POLL)
                self._pass_on(process)
        finally:
            _end(process)
        return process.returncode

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _hang_up(self, *_: object) -> None:
        self._hung_up = True

    def _pass_on(self, process: "subprocess.Popen[bytes]") -> None:
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


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        log.warning("did not stop within %g s: killed", GRACE)
        process.kill()
        process.wait()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="those of the stage")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `emostream STAGE ARGUMENTS` and return the exit code for it."""
    program = [sys.executable, "-m", "emostream"]
    return Supervisor([*program, options.stage, *options.arguments]).run()
