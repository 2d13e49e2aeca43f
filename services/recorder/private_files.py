"""Creates folders and files that only their owner can read, because recordings show people."""

import os
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def make_folder(path: Path) -> None:
    """Create the folder and its parents; an existing one keeps its permissions."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def open_file(path: Path) -> int:
    """Open the file for reading and writing, created if missing; return its descriptor.

    An existing file keeps its content and permissions. SQLite gives the files next to a database
    the same permissions as the database.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def make_file(path: Path) -> None:
    """Create an empty file; an existing one keeps its content and permissions."""
    os.close(open_file(path))
