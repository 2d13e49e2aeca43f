"""Paths as users write and read them."""

import os
import stat
from pathlib import Path


def user_path(text: str) -> Path:
    """Return the path that `text` means; `~` and `~user` at its beginning are home folders.

    What exists under the name as it is written wins, so `~$scan.png` is a file in the current
    folder. Where there is no such user the path stays as written.
    """
    path = Path(text)
    if not text.startswith("~") or path_exists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def path_exists(path: Path) -> bool:
    """Return whether something of that name is there, as far as this user may know.

    It never raises, as `Path.exists` does where a folder may not be read or a name is too long.
    """
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def is_folder(path: Path) -> bool:
    """Return whether a folder of that name is there, as far as this user may know; never raises."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def path_text(path: str | Path) -> str:
    """Return a path as text that can be written as UTF-8, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")
