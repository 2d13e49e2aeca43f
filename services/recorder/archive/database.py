"""Opens a recorder's database for reading, even while a recorder writes to it."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from emostream.services.recorder.archive.schema import SCHEMA_VERSION, TABLES
from emostream.shared.errors import RecordingError

BUSY_TIMEOUT: Final = 5.0


def open_database(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading.

    SQLite itself may write: only a connection with write access leaves no log file next to an idle
    database.
    """
    if not path.exists():
        raise RecordingError(f"no database {path}: name the emostream.db in a recorder.folder")
    mode = "rw"
    if not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        # SQLite creates files next to the database even for reading, and fails if it cannot.
        mode = "ro&immutable=1"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with reading(path):
        return sqlite3.connect(uri, timeout=BUSY_TIMEOUT, isolation_level=None, uri=True)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise RecordingError if the tables are from another program or release."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if not tables.issuperset((*TABLES, "runs")):
        raise RecordingError(f"{path} is not a database of the emostream recorder")
    if version != SCHEMA_VERSION:
        raise RecordingError(_other_version(path, version))


def _other_version(path: Path, version: int) -> str:
    advice = (
        "start a recorder in its folder to upgrade it"
        if version < SCHEMA_VERSION
        else "read it with the release that wrote it"
    )
    return f"{path} has version {version} of the tables, not {SCHEMA_VERSION}: {advice}"


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert SQLite's errors to RecordingError."""
    try:
        yield
    except sqlite3.Error as error:
        raise RecordingError(f"cannot read the database {path}: {error}") from error
