"""Files that hold a secret: a password or a token."""

from pathlib import Path

from emostream.shared.errors import ConfigError
from emostream.shared.whole_file import read_whole

OTHERS_MAY_READ = 0o004


def read_secret(path: Path, setting: str) -> str:
    """Return what is in the file, without white space around it.

    Raises ConfigError, which names the setting, where the file cannot be read or holds nothing.
    """
    try:
        secret = read_whole(path).decode("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{setting}: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{setting}: {path} is no text in UTF-8") from error
    if not secret:
        raise ConfigError(f"{setting}: {path} is empty; write the secret into it")
    return secret


def is_world_readable(path: Path) -> bool:
    """Whether every user of this machine may read the file."""
    return bool(path.stat().st_mode & OTHERS_MAY_READ)
