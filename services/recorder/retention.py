"""What of the recordings is deleted, and when: limits by age and by total size."""

import contextlib
import shutil
import time
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from emostream.services.recorder.archive.faults import WriteError, writing_file
from emostream.services.recorder.archive.schema import TABLES
from emostream.services.recorder.archive.video_files import video_files
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.fault_status import FaultStatus
from emostream.services.recorder.metrics import RecorderMetrics

# A file that changed so lately may be another recorder's, which still writes it.
QUIET_S: Final = 60.0
PRUNE_ROWS: Final = 2_000
DAY_S: Final = 86_400.0
# Of the times of the rows: one for each day and more, as long as rows are kept.
SAMPLES: Final = 1_000
LIMITS: Final = "limits"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: `max_bytes` in all, the rows at most half of them, for `max_age` s."""

    max_bytes: float
    max_age: float

    @property
    def max_database_bytes(self) -> float:
        """The rows' share, so that they never drive out all video."""
        return self.max_bytes / 2


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A video file; `changed` is in s since the epoch."""

    path: Path
    bytes: int
    changed: float

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the file as it is now."""
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime)


def age_reference(times: Iterable[float], max_age: float) -> float:
    """Return the moment from which age counts: the newest of the recordings' times, s.

    A clock that is ahead must not make everything else too old. So a newest day that would do so is
    believed only once it is over; until then age counts from the last recording before it.
    """
    times = list(times)
    newest = max(times, default=0.0)
    before = max((time for time in times if time <= newest - DAY_S), default=newest)
    return newest if newest - before <= max(max_age, 2 * DAY_S) else before


def expired(
    files: Sequence[StoredFile],
    limits: Limits,
    now: float,
    busy: Set[Path],
    database_bytes: int,
    too_old: float,
) -> list[StoredFile]:
    """Choose what to delete, oldest first: what changed before `too_old`, then until all fits.

    Times are s since the epoch. The files in `busy` are being written and stay, as do those that
    changed just before `now`.
    """
    total = database_bytes + sum(file.bytes for file in files)
    chosen = []
    for file in sorted(files, key=lambda file: (file.changed, file.path)):
        if file.path in busy or abs(now - file.changed) < QUIET_S:
            continue
        if file.changed < too_old or total > limits.max_bytes:
            chosen.append(file)
            total -= file.bytes
    return chosen


class Retention:
    """Keeps the recordings in the folder, and the rows in their database, within the limits."""

    def __init__(
        self, folder: Path, limits: Limits, metrics: RecorderMetrics, faults: FaultStatus
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._metrics = metrics
        self._faults = faults
        metrics.disk.labels("limit").set(limits.max_bytes)

    def enforce(
        self, archive: ArchiveWriter | None, busy: Set[Path], now: float | None = None
    ) -> bool:
        """Delete what is beyond the limits; return whether all of it is gone.

        It deletes a slice of the rows at a time, so that recording is not held up: call it again
        soon where it returns False. Without an `archive` rows stay. `now` is in s since the epoch;
        age counts from the newest recording instead, and the newest day is never deleted for it.
        Raises WriteError if rows cannot be deleted or the folder cannot be read; files that cannot
        be deleted are noted as a fault.
        """
        now = time.time() if now is None else now
        files = _stored_files(self._folder)
        row_times = archive.sample_times(SAMPLES) if archive else []
        database_bytes = archive.bytes if archive else 0
        times = [file.changed for file in files] + [t / 1e9 for t in row_times]
        max_age = max(self._limits.max_age, DAY_S)
        too_old = age_reference(times, max_age) - max_age
        gone = self._delete(expired(files, self._limits, now, busy, database_bytes, too_old))
        left = sum(file.bytes for file in files) - sum(file.bytes for file in gone)
        self._metrics.stored.labels("video").set(left)
        self._metrics.stored.labels("database").set(database_bytes)
        self._tell_free()
        if archive is None:
            return True
        return _prune(archive, int(max(0.0, too_old) * 1e9), TABLES) and self._prune_large(archive)

    def _delete(self, files: Iterable[StoredFile]) -> list[StoredFile]:
        """Delete the files; return those that are gone."""
        gone, errors = [], []
        for file in files:
            try:
                with writing_file(file.path):
                    file.path.unlink(missing_ok=True)
            except WriteError as error:
                errors.append(error)
            else:
                gone.append(file)
                self._metrics.deleted.inc()
        if errors:
            self._faults.begin(LIMITS, errors[0], f"{len(errors)} old videos cannot be deleted")
        else:
            self._faults.end(LIMITS, "deleting old videos again")
        return gone

    def _tell_free(self) -> None:
        # A folder that was deleted is the archive's to tell.
        with contextlib.suppress(OSError):
            self._metrics.disk.labels("free").set(shutil.disk_usage(self._folder).free)

    def _prune_large(self, archive: ArchiveWriter) -> bool:
        if archive.bytes <= self._limits.max_database_bytes:
            return True
        before = archive.age_limit(PRUNE_ROWS)
        if before is None:
            return True
        # Events are few, and what people look for: they go by age alone.
        _prune(archive, before, ("observations", "frames"))
        return False


def _prune(archive: ArchiveWriter, before: int, tables: Sequence[str]) -> bool:
    """Delete a slice of what is older; a table's turn comes when those before it are done."""
    return all(archive.prune(table, before, PRUNE_ROWS) < PRUNE_ROWS for table in tables)


def _stored_files(folder: Path) -> list[StoredFile]:
    """Return the video files of all streams, without those that were just deleted."""
    files = []
    with writing_file(folder):
        for path in video_files(folder):
            with contextlib.suppress(FileNotFoundError):
                files.append(StoredFile.at(path))
    return files
