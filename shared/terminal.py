"""Whether the terminal that started a process still exists."""

import os


class Terminal:
    """Tells the SIGHUP of a closed terminal from one that was sent to reload.

    If there was no terminal at the start, as under honcho or in a container, none can be closed.
    """

    def __init__(self) -> None:
        self._had_one = _has_one()

    @property
    def is_closed(self) -> bool:
        """Whether there was a terminal when this object was created, and there is none now."""
        return self._had_one and not _has_one()


def _has_one() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
