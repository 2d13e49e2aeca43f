"""Recordings show people, so folders and files of them are made for their owner alone."""

import os
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def make_folder(path: Path) -> None:
    """Make the folder and those above it; one that is there keeps its permissions."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file; one that is there keeps its content and its permissions.

    SQLite gives the files that it makes beside a database the database's own permissions.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE))
