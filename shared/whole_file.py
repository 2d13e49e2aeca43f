"""Reads small user-supplied files completely, and refuses anything that may not end."""

import os
import select
import stat
import time
from pathlib import Path
from typing import Final

# Far beyond any configuration, secret or list of checksums, but not beyond a recording named by
# mistake.
MAX_BYTES: Final = 16 * 2**20
# The time limit for the writer of a pipe.
MAX_SECONDS: Final = 5.0
_CHUNK: Final = 65_536


def read_whole(path: Path, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS) -> bytes:
    """Return the bytes of a file or pipe.

    Raises OSError, with a `strerror` for users, if it cannot be read, is a folder, has more than
    `max_bytes` (a device may never end), or does not end within `max_seconds` (a pipe without a
    writer).
    """
    # Opened without waiting for the writer of a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is a folder")
        return _read(descriptor, max_bytes, time.monotonic() + max_seconds)
    finally:
        os.close(descriptor)


def file_state(path: Path) -> tuple[int, ...] | None:
    """Return a value that changes with the file or its permissions; None if there is no file."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size, facts.st_mode


def _read(descriptor: int, max_bytes: int, deadline: float) -> bytes:
    data = bytearray()
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise OSError(0, "it never ends, like a pipe that nobody writes to")
        chunk = os.read(descriptor, _CHUNK)
        if not chunk:
            return bytes(data)
        data += chunk
        if len(data) > max_bytes:
            raise OSError(0, f"it is larger than {max_bytes / 2**20:g} MiB")
