"""Ending a process together with the one that started it."""

import os
import signal
import threading
import time
from typing import Final

from emostream.shared.errors import ExitCode

VARIABLE: Final = "EMOSTREAM_SUPERVISOR"
POLL: Final = 0.5
GRACE: Final = 3.0


def exit_with_parent() -> None:
    """End with the process that started this one and named its own id in the environment variable.

    PR_SET_PDEATHSIG exists on Linux alone; a look at the parent twice a second works everywhere.
    """
    supervisor = os.environ.get(VARIABLE)
    if supervisor is None:
        return

    def watch() -> None:
        while os.getppid() == int(supervisor):
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(ExitCode.FAILURE)

    threading.Thread(target=watch, name="parent", daemon=True).start()
