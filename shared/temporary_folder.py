"""Folders for files that are not kept, and what is said where those cannot be written."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emostream.shared.errors import TemporaryFolderError


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder, which is deleted at the end; TemporaryFolderError if none can be made.

    Writing into it may fail too: see `naming_temporary_files`.
    """
    with naming_temporary_files():
        folder = tempfile.TemporaryDirectory(prefix="emostream-", ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


@contextlib.contextmanager
def naming_temporary_files() -> Iterator[None]:
    """Turn what keeps the block from writing temporary files into a TemporaryFolderError."""
    try:
        yield
    except OSError as error:
        raise TemporaryFolderError(
            f"cannot write temporary files: {error.strerror}. "
            "Free some space, or set TMPDIR to another folder"
        ) from error
