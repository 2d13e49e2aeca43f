"""Reporting once what all stages below one honcho find wrong in the configuration they share."""

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from typing import Final

from emostream.shared.logs import HONCHO_PROCESS

# By then the other stages have found that somebody reports, however slowly they start; honcho ends
# all as soon as one of them has ended, so this time rarely passes.
HOLD: Final = 2.0


def report_once(report: Callable[[], None]) -> None:
    """Call `report`, unless another stage below the same honcho is doing so.

    A lock on the working folder, which they share, decides: nothing is left behind, whatever ends.
    """
    if HONCHO_PROCESS not in os.environ:
        report()
        return
    # The holder of the lock must report, however soon the others end everything.
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    folder = os.open(".", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    except OSError:
        report()  # a file system without locks
        return
    report()
    ended.wait(HOLD)
