"""Honcho's two processes above a supervisor, with which the supervisor has to end."""

import os

import psutil

from emostream.shared.logs import HONCHO_PROCESS


class Launchers:
    """Honcho and its worker, the parent of `process`, as they are now; none without honcho.

    The worker outlives a honcho that is killed, so the parent's end alone is no sign.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._processes: list[psutil.Process] = []
        self._are_whole = True
        if HONCHO_PROCESS in os.environ:
            worker = _parent(process)
            honcho = worker and _parent(worker)
            self._processes = [process for process in (worker, honcho) if process]
            # Where one is missing it ended before this looked.
            self._are_whole = len(self._processes) == 2

    @property
    def exist(self) -> bool:
        """Whether honcho started this process."""
        return bool(self._processes) or not self._are_whole

    @property
    def live(self) -> bool:
        """Whether all of them still run."""
        return self._are_whole and all(map(lives, self._processes))


def lives(process: psutil.Process) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _parent(process: psutil.Process) -> psutil.Process | None:
    """Return the parent; None if either is gone by now."""
    try:
        return process.parent()
    except psutil.NoSuchProcess:
        return None
