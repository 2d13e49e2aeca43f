"""The file in which a process writes for its parent where it can be reached."""

import os
from pathlib import Path
from typing import Final

import msgspec

from emostream.shared.errors import ConfigError
from emostream.shared.whole_file import read_whole

VARIABLE: Final = "EMOSTREAM_ADDRESS_FILE"


class Addresses(msgspec.Struct, frozen=True):
    """The URL of a process's metrics, and the endpoints that it publishes at."""

    metrics: str
    endpoints: tuple[str, ...] = ()


def write_addresses(addresses: Addresses) -> None:
    """Write them as JSON, in one step, to the file that the environment variable names, if any.

    Raises ConfigError where that cannot be written.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return
    path = Path(name)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(msgspec.json.encode(addresses))
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{VARIABLE} {path} cannot be written: {error.strerror}") from error


def read_addresses(path: Path) -> Addresses | None:
    """Return what a process wrote; None while it has not.

    Raises ConfigError where something else is in the file.
    """
    try:
        return msgspec.json.decode(read_whole(path), type=Addresses)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: no addresses of a process: {error}") from error
