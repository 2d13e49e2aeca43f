"""Checks whether a writer's open file is still the one at its path."""

import os
from pathlib import Path
from typing import Final, TypeAlias

from emostream.services.recorder.archive.faults import Fault, WriteError
from emostream.services.recorder.private_files import make_folder, open_file

# A file's device and inode; None if there is no file.
Identity: TypeAlias = tuple[int, int] | None
MAGIC: Final = b"SQLite format 3\0"


class DatabaseFile:
    """A database's file, created if missing, opened in addition to SQLite's own descriptors.

    SQLite keeps writing to files that were deleted or replaced, so its writes may be lost. Close
    this after the connection: closing a file releases all of the process's locks on it, including
    SQLite's. Raises OSError if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log_path = path.with_name(f"{path.name}-wal")
        make_folder(path.parent)
        self._descriptor = open_file(path)
        self._file: Identity = _identity(os.fstat(self._descriptor))
        self._log: Identity = None

    def note_log(self) -> None:
        """Remember the write-ahead log, which SQLite has opened by now if it uses one."""
        self._log = _identity_at(self._log_path)

    def check(self) -> None:
        """Raise WriteError if the file at the path is not the open one, or was overwritten."""
        found = _identity_at(self._path), _identity_at(self._log_path)
        if found != (self._file, self._log):
            reason = "its files were replaced" if all(found) else "its files were deleted"
            raise WriteError(Fault.DELETED, self._shown, reason)
        if os.pread(self._descriptor, len(MAGIC), 0) != MAGIC:
            raise WriteError(Fault.DAMAGED, self._shown, "it was overwritten")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    @property
    def _shown(self) -> str:
        return f"the database {self._path}"


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _identity_at(path: Path) -> Identity:
    try:
        return _identity(path.stat())
    except FileNotFoundError:
        return None
