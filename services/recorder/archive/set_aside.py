"""Giving a damaged database another name, so that a new one can begin in its place."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

TIME: Final = "%Y%m%dT%H%M%SZ"
# Beside the database: its write-ahead log, without which its last rows are lost, and the index.
COMPANIONS: Final = ("-wal", "-shm")


def set_aside(database: Path) -> Path:
    """Rename the database and what belongs to it to `<name>.damaged-<UTC time>`; return that.

    Raises OSError where it cannot be renamed.
    """
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
