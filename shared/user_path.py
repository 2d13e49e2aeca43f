"""Converts between paths and user-facing text."""

import os
import stat
from pathlib import Path


def user_path(text: str) -> Path:
    """Return the path for `text`; a leading `~` or `~user` is a home folder.

    An existing file with the literal name has priority, so `~$scan.png` is a file in the current
    folder. If there is no such user, the path stays as written.
    """
    path = Path(text)
    if not text.startswith("~") or path_exists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def path_exists(path: Path) -> bool:
    """Return whether the path exists, as far as this user can tell.

    Unlike `Path.exists`, it does not raise for unreadable folders or names that are too long.
    """
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def is_folder(path: Path) -> bool:
    """Return whether the path is a folder, as far as this user can tell. Never raises."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def path_text(path: str | Path) -> str:
    """Return a path as text that can be encoded as UTF-8, even if its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")
