"""The file in which a process writes for its parent where it can be reached."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from emostream.shared.atomic_file import atomic_file
from emostream.shared.errors import ConfigError, EmostreamError
from emostream.shared.whole_file import read_whole

VARIABLE: Final = "EMOSTREAM_ADDRESS_FILE"
WRONG_PLACE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


class Addresses(msgspec.Struct, frozen=True):
    """The URL of a process's metrics, and the endpoints that it publishes at."""

    metrics: str
    endpoints: tuple[str, ...] = ()

    @property
    def metrics_address(self) -> tuple[str, int]:
        """The host and the port of the metrics."""
        where = urlsplit(self.metrics)
        return where.hostname or "", where.port or 0


def given_address_file() -> Path | None:
    """Return the file that the environment variable names, if any."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


def write_addresses(addresses: Addresses) -> None:
    """Write them as JSON, in one step, to the file that the environment variable names, if any.

    Raises ConfigError if it can never be written there, EmostreamError if it cannot now.
    """
    path = given_address_file()
    if path is None:
        return
    try:
        with atomic_file(path) as part:
            part.write_bytes(msgspec.json.encode(addresses))
    except OSError as error:
        # A full disk may have room again; a configuration that is wrong ends the whole pipeline.
        kind = ConfigError if isinstance(error, WRONG_PLACE) else EmostreamError
        raise kind(f"{VARIABLE} {path} cannot be written: {error.strerror}") from error


def read_addresses(path: Path) -> Addresses | None:
    """Return what a process wrote; None while it has not, or while that cannot be read."""
    try:
        return msgspec.json.decode(read_whole(path), type=Addresses)
    except (OSError, ConfigError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
