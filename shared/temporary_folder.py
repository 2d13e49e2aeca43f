"""Temporary folders, and the error if they cannot be written."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emostream.shared.errors import TemporaryFolderError


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder, deleted at the end; TemporaryFolderError if it cannot be created.

    Writing to it may also fail: see `naming_temporary_files`.
    """
    with naming_temporary_files():
        folder = tempfile.TemporaryDirectory(prefix="emostream-", ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


@contextlib.contextmanager
def naming_temporary_files() -> Iterator[None]:
    """Convert errors about writing temporary files in the block to TemporaryFolderError."""
    try:
        yield
    except OSError as error:
        raise TemporaryFolderError(
            f"cannot write temporary files: {error.strerror}. "
            "Free some space, or set TMPDIR to another folder"
        ) from error
