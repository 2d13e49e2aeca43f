"""The disk of the recordings: a tmpfs in its own mount namespace, which can be full."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from emostream.shared.errors import EmostreamError

ROOM: Final = "4g"
# Seconds that a commit of the recorder may take before the lock is ours.
LOCK_WITHIN_S: Final = 10.0


def enter_namespace(arguments: Sequence[str]) -> bool:
    """Restart this program in a mount namespace; return False if that is not possible.

    Mounts in it are invisible to others, and disappear with its last process.
    """
    unshare = shutil.which("unshare")
    ways = (["--mount"], ["--user", "--map-root-user", "--mount"])
    for way in ways if unshare else ():
        words = [str(unshare), *way]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            program = [sys.executable, "-m", "benchmarks.chaos", *arguments]
            os.execv(words[0], [*words, *program])
    return False


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount a tmpfs with plenty of space, while the context lasts.

    Raises EmostreamError if that fails.
    """
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder))
    try:
        yield
    finally:
        # Unmount immediately, even if a file in it is still open.
        _run("umount", "--lazy", str(folder))


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill the tmpfs, while the context lasts."""
    state = os.statvfs(folder)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize
    _run("mount", "-o", f"remount,size={used}", str(folder))
    try:
        yield
    finally:
        _run("mount", "-o", f"remount,size={ROOM}", str(folder))


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Lock the database against writing, while the context lasts."""
    with contextlib.closing(
        sqlite3.connect(database, timeout=LOCK_WITHIN_S, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmostreamError(f"{' '.join(words)}: {done.stderr.strip()}")
