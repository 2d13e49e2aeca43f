"""Files that hold a secret: a password or a token."""

import secrets
from pathlib import Path
from typing import Final

from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import ConfigError
from emostream.shared.whole_file import read_whole

OTHERS_MAY_READ = 0o004
OTHERS: Final = 0o077
# Encoded as 43 letters and digits; nobody has to remember them.
RANDOM_BYTES: Final = 32


def read_secret(path: Path, setting: str) -> str:
    """Return the content of the file, without surrounding whitespace or a byte order mark.

    Raises ConfigError, which names the setting, if the file is unreadable or empty.
    """
    try:
        secret = read_whole(path).decode("utf-8-sig").strip()
    except OSError as error:
        raise ConfigError(f"{setting}: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{setting}: {path} is not UTF-8 text") from error
    if not secret:
        raise ConfigError(f"{setting}: {path} is empty; write the secret into it")
    return secret


def create_secret(path: Path, setting: str) -> bool:
    """Write a random secret, readable only by its owner, if there is no file yet.

    Returns whether it wrote one. Raises ConfigError, which names the setting, if it cannot.
    """
    if path.exists():
        return False
    write_secret(path, setting)
    return True


def write_secret(path: Path, setting: str) -> None:
    """Write a random secret, readable only by its owner, and replace an existing one.

    Raises ConfigError, which names the setting, if it cannot.
    """
    try:
        with atomic_file(path) as part:
            part.touch(0o600, exist_ok=False)
            part.write_text(f"{secrets.token_urlsafe(RANDOM_BYTES)}\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"{setting}: {path} cannot be written: {error.strerror}") from error


def check_private(path: Path, setting: str) -> None:
    """Raise ConfigError, which names the setting, if other users may read or write the file."""
    if path.stat().st_mode & OTHERS:
        raise ConfigError(f"{setting}: {path} is readable by other users; run chmod 600 {path}")


def is_world_readable(path: Path) -> bool:
    """Whether every user of this machine may read the file."""
    return bool(path.stat().st_mode & OTHERS_MAY_READ)
