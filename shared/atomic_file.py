"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LONGEST_KEPT: Final = 200  # bytes of a name, of 255


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to; it becomes `path` where the block ends well.

    Where the block raises, nothing is left of it, and a file that was at `path` stays as it was.
    OSError if it cannot take its name.
    """
    # A name that is as long as a file system takes leaves no room for more.
    kept = os.fsencode(path.name)[:LONGEST_KEPT].decode("utf-8", "ignore")
    part = path.with_name(f".{kept}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
