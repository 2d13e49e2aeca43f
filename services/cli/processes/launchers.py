"""Honcho's two processes above a supervisor; the supervisor must end with them."""

import os

import psutil

from emostream.shared.logs import HONCHO_PROCESS


class Launchers:
    """The current honcho and its worker, the parent of `process`; empty without honcho.

    The worker outlives a killed honcho, so watching only the parent is not enough.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._processes: list[psutil.Process] = []
        self._are_whole = True
        if HONCHO_PROCESS in os.environ:
            worker = _parent(process)
            honcho = worker and _parent(worker)
            self._processes = [process for process in (worker, honcho) if process]
            # A missing one ended before this check.
            self._are_whole = len(self._processes) == 2

    @property
    def exist(self) -> bool:
        """Whether honcho started this process."""
        return bool(self._processes) or not self._are_whole

    @property
    def live(self) -> bool:
        """Whether all of them are still running."""
        return self._are_whole and all(map(lives, self._processes))


def lives(process: psutil.Process) -> bool:
    """Whether the process is running; zombies are not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _parent(process: psutil.Process) -> psutil.Process | None:
    """Return the parent; None if either is gone."""
    try:
        return process.parent()
    except psutil.NoSuchProcess:
        return None
