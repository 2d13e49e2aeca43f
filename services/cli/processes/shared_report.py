"""Reports an error in a shared configuration once for all stages under one honcho."""

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from typing import Final

from emostream.shared.logs import HONCHO_PROCESS

# By then, even slow stages have noticed that another one reports. Honcho stops all stages as soon
# as one has exited, so this time rarely passes.
HOLD: Final = 2.0


def report_once(report: Callable[[], None]) -> None:
    """Call `report`, unless another stage under the same honcho is doing so.

    A lock on the shared working folder decides, which leaves nothing behind.
    """
    if HONCHO_PROCESS not in os.environ:
        report()
        return
    # The holder of the lock must report before the others end everything.
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
