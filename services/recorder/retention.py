"""Deletes old recordings: limits by age and total size."""

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

# Another recorder may still be writing a file that changed this recently.
QUIET_S: Final = 60.0
PRUNE_ROWS: Final = 2_000
DAY_S: Final = 86_400.0
# How many row times are sampled: at least one per day for as long as rows are kept.
SAMPLES: Final = 1_000
LIMITS: Final = "limits"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits: `max_bytes` in total (rows at most half of it), and `max_age` s."""

    max_bytes: float
    max_age: float

    @property
    def max_database_bytes(self) -> float:
        """The rows' share, so that they never displace all video."""
        return self.max_bytes / 2


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A video file; `changed` is in s since the epoch."""

    path: Path
    bytes: int
    changed: float

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the current state of the file."""
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime)


def age_reference(times: Iterable[float], max_age: float) -> float:
    """Return the time from which age counts: the newest of the recordings' times, s.

    A clock that is ahead must not make everything else too old. So a newest day that would do that
    counts only after it is over; until then, age counts from the last recording before it.
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
    """Choose files to delete, oldest first: those before `too_old`, then more until all fits.

    Times are s since the epoch. Files in `busy` are being written and stay, like those that changed
    just before `now`.
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
    """Enforces the limits for the recordings in the folder and the rows in their database."""

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

        It deletes rows in slices, so that recording is not held up; call it again soon if it
        returns False. Without an `archive`, rows stay. `now` is in s since the epoch; age counts
        from the newest recording, and the newest day is never deleted for its age. Raises
        WriteError if rows cannot be deleted or the folder cannot be read; files that cannot be
        deleted are recorded as a fault.
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
        """Delete the files; return those that were deleted."""
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
        # The archive reports a deleted folder.
        with contextlib.suppress(OSError):
            self._metrics.disk.labels("free").set(shutil.disk_usage(self._folder).free)

    def _prune_large(self, archive: ArchiveWriter) -> bool:
        if archive.bytes <= self._limits.max_database_bytes:
            return True
        before = archive.age_limit(PRUNE_ROWS)
        if before is None:
            return True
        # Events are few and important, so they are deleted only by age.
        _prune(archive, before, ("observations", "frames"))
        return False


def _prune(archive: ArchiveWriter, before: int, tables: Sequence[str]) -> bool:
    """Delete a slice of older rows, one table after the other."""
    return all(archive.prune(table, before, PRUNE_ROWS) < PRUNE_ROWS for table in tables)


def _stored_files(folder: Path) -> list[StoredFile]:
    """Return the video files of all streams, without those that were just deleted."""
    files = []
    with writing_file(folder):
        for path in video_files(folder):
            with contextlib.suppress(FileNotFoundError):
                files.append(StoredFile.at(path))
    return files
