"""Reads small files that a user names whole, and nothing that might not end."""

import os
import select
import stat
import time
from pathlib import Path
from typing import Final

# Far beyond any configuration, secret or list of checksums; a recording named by mistake is not.
MAX_BYTES: Final = 16 * 2**20
# For what a pipe's other end writes.
MAX_SECONDS: Final = 5.0
_CHUNK: Final = 65_536


def read_whole(path: Path, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS) -> bytes:
    """Return the bytes of a file, or of a pipe.

    OSError, with a `strerror` to show, where it cannot be read, is a folder, has more than
    `max_bytes` (a device may never end), or does not come to its end in `max_seconds` (a pipe into
    which nobody writes).
    """
    # Opened without waiting for a pipe's other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is a folder")
        return _read(descriptor, max_bytes, time.monotonic() + max_seconds)
    finally:
        os.close(descriptor)


def file_state(path: Path) -> tuple[int, ...] | None:
    """Return what changes when the file, or who may read it, does; None if there is none."""
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
