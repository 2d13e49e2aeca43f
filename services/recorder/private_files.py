"""Recordings show people, so folders and files of them are made for their owner alone."""

import os
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def make_folder(path: Path) -> None:
    """Make the folder and those above it; one that is there keeps its permissions."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def open_file(path: Path) -> int:
    """Open the file to read and write, made where it is missing; return its descriptor.

    One that is there keeps its content and its permissions. SQLite gives the files that it makes
    next to a database the database's own permissions.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def make_file(path: Path) -> None:
    """Make an empty file; one that is there keeps its content and its permissions."""
    os.close(open_file(path))
