"""The progress of a lossless recording, read while the recorder writes it."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any, Final, NamedTuple

from emostream.services.recorder.archive.database import open_database
from emostream.shared.errors import RecordingError

FRAMES_WRITTEN: Final = "SELECT coalesce(max(seq), -1) + 1 FROM states"
RUN_END: Final = "SELECT frames, error FROM runs WHERE run = ? AND frames IS NOT NULL"


class RunEnd(NamedTuple):
    """The end of a run: its source's number of frames, and why it failed ("" if it did not)."""

    frames: int
    error: str


def frames_written(database: Path) -> int:
    """Return the number of frames in the database, 0 while there is no database."""
    row = _first_row(database, FRAMES_WRITTEN)
    return row[0] if row else 0


def run_end(database: Path, run: str) -> RunEnd | None:
    """Return the end of the run; None while it continues, or while there is no database."""
    row = _first_row(database, RUN_END, run)
    return RunEnd(row[0], row[1] or "") if row else None


def _first_row(database: Path, query: str, *values: str) -> tuple[Any, ...] | None:
    # While the recorder starts, there may be no file or table yet. It reports a damaged database
    # itself.
    with contextlib.suppress(RecordingError, sqlite3.DatabaseError):
        with contextlib.closing(open_database(database)) as connection:
            row: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
            return row
    return None
