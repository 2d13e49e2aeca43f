"""The file in which a process tells its parent the addresses that it listens on."""

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
    """The URL of a process's metrics, and the endpoints that it publishes on."""

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
    """Atomically write the addresses as JSON to the file in the environment variable, if it is set.

    Raises ConfigError if the file can never be written, EmostreamError if it cannot be written now.
    """
    path = given_address_file()
    if path is None:
        return
    try:
        with atomic_file(path) as part:
            part.write_bytes(msgspec.json.encode(addresses))
    except OSError as error:
        # A full disk may get space again, while a ConfigError ends the whole pipeline.
        kind = ConfigError if isinstance(error, WRONG_PLACE) else EmostreamError
        raise kind(f"{VARIABLE} {path} cannot be written: {error.strerror}") from error


def read_addresses(path: Path) -> Addresses | None:
    """Return the addresses that a process wrote; None if there are none yet, or not readable."""
    try:
        return msgspec.json.decode(read_whole(path), type=Addresses)
    except (OSError, ConfigError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
