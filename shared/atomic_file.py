"""Files that are written completely or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LONGEST_KEPT: Final = 200  # bytes of a name, of 255


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which replaces `path` at the end of the block.

    If the block raises, the temporary file is deleted, and an existing file at `path` is unchanged.
    Raises OSError if the file cannot be renamed.
    """
    # A name of the maximum length leaves no room for a suffix.
    kept = os.fsencode(path.name)[:LONGEST_KEPT].decode("utf-8", "ignore")
    part = path.with_name(f".{kept}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
