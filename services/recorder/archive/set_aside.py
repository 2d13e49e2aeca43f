"""Renames a damaged database, so that a new one can be created."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

TIME: Final = "%Y%m%dT%H%M%SZ"
# Files next to the database: its write-ahead log, which contains its last rows, and the log's
# index.
LOG: Final = "-wal"
COMPANIONS: Final = (LOG, "-shm")


def set_aside(database: Path) -> Path | None:
    """Rename the database and its log to `<name>.damaged-<UTC time>`; return the new path.

    An empty database is deleted, and None returned. Raises OSError if this fails.
    """
    if not any(_holds_something(database.with_name(database.name + one)) for one in ("", LOG)):
        for suffix in ("", *COMPANIONS):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        return None
    base = f"{database.name}.damaged-{datetime.now(UTC):{TIME}}"
    target = database.with_name(base)
    number = 1
    while target.exists():
        number += 1
        target = database.with_name(f"{base}-{number}")
    database.rename(target)
    for suffix in COMPANIONS:
        companion = database.with_name(database.name + suffix)
        if companion.exists():
            companion.rename(target.with_name(target.name + suffix))
    return target


def _holds_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
