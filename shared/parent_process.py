"""Ending a process together with the one that started it."""

import os
import signal
import threading
import time
from typing import Final

POLL: Final = 0.5
GRACE: Final = 3.0


def exit_with_parent() -> None:
    """End with the supervisor that started this process, however that one ends.

    PR_SET_PDEATHSIG exists on Linux alone; a look at the parent twice a second works everywhere.
    """
    supervisor = os.environ.get("EMOSTREAM_SUPERVISOR")
    if supervisor is None:
        return

    def watch() -> None:
        while os.getppid() == int(supervisor):
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
