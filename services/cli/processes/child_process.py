"""Starts processes that end together with this one, and stops processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, Final, TypeAlias

from emostream.shared import address_file, parent_process

# Ctrl-C must end everything within 5 s, so a stage has this long before it is killed.
GRACE: Final = 3.5

# -P: do not import modules from the current folder (such as queue.py).
PROGRAM: Final = (sys.executable, "-P", "-m", "emostream")

Process: TypeAlias = subprocess.Popen[bytes]


def stage_command(stage: str, *arguments: str) -> list[str]:
    """Return the command that runs a stage."""
    return [*PROGRAM, stage, *arguments]


def arguments_of(command_line: Sequence[str]) -> list[str]:
    """Return the arguments of an `emostream` process, stage first; [] for other processes."""
    words = list(command_line[1:])
    if words[:1] == ["-P"]:
        words.pop(0)
    return words[2:] if words[:2] == ["-m", "emostream"] else []


def start(
    command: Sequence[str], *, log: IO[bytes] | None = None, addresses: Path | None = None
) -> Process:
    """Start a stage's command that ends with this process, however this one ends.

    With `log`, it is detached from this terminal: its output goes to the log, and Ctrl-C does not
    reach it. It writes its addresses to the file `addresses`, if given.
    """
    environment = {**os.environ, parent_process.VARIABLE: str(os.getpid())}
    if addresses:
        environment[address_file.VARIABLE] = str(addresses)
    if log is None:
        return subprocess.Popen(command, env=environment)
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stop(
    processes: Collection[Process], request: int = signal.SIGTERM, grace: float = GRACE
) -> list[Process]:
    """Send `request` to all running processes, wait for `grace` seconds in total, kill the rest.

    Returns the killed processes. All processes have been waited for.
    """
    for process in processes:
        if process.poll() is None:
            process.send_signal(request)
    deadline = time.monotonic() + grace
    killed = []
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed.append(process)
    return killed
