"""Ends a process together with its parent."""

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
    """End this process when the parent ends that set its own pid in the environment variable.

    PR_SET_PDEATHSIG exists only on Linux; checking the parent twice a second works everywhere.
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
