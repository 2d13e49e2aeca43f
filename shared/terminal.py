"""The terminal that a process was started from, and whether it is still there."""

import os


class Terminal:
    """Tells a SIGHUP of a terminal that was closed from one that somebody sent to reload.

    Without a terminal from the start, as under honcho or in a container, none can be closed.
    """

    def __init__(self) -> None:
        self._had_one = _has_one()

    @property
    def is_closed(self) -> bool:
        """Whether there was one when this was made, and is none now."""
        return self._had_one and not _has_one()


def _has_one() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
