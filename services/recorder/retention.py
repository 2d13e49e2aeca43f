"""What of the recordings is deleted, and when: limits by age and by total size."""

import shutil
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from emostream.services.recorder.archive.schema import TABLES
from emostream.services.recorder.archive.video_files import video_files
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.shared.errors import RecordingError

# A file that changed so lately may be another recorder's, which still writes it.
QUIET_S: Final = 60.0
PRUNE_ROWS: Final = 2_000
DAY_S: Final = 86_400.0


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


def expired(
    files: Sequence[StoredFile], limits: Limits, now: float, busy: Set[Path], database_bytes: int
) -> list[StoredFile]:
    """Choose what to delete, oldest first: what is too old, and then until the rest fits.

    `now` is in s since the epoch; the files in `busy` are being written and stay.
    """
    total = database_bytes + sum(file.bytes for file in files)
    chosen = []
    for file in sorted(files, key=lambda file: (file.changed, file.path)):
        if file.path in busy or now - file.changed < QUIET_S:
            continue
        if now - file.changed > limits.max_age or total > limits.max_bytes:
            chosen.append(file)
            total -= file.bytes
    return chosen


class Retention:
    """Keeps the recordings in the folder, and the rows in the database, within the limits."""

    def __init__(
        self, folder: Path, archive: ArchiveWriter, limits: Limits, metrics: RecorderMetrics
    ) -> None:
        self._folder = folder
        self._archive = archive
        self._limits = limits
        self._metrics = metrics
        metrics.disk.labels("limit").set(limits.max_bytes)

    def enforce(self, busy: Set[Path], now: float | None = None) -> bool:
        """Delete what is beyond the limits; return whether all of it is gone.

        It deletes a slice of the rows at a time, so that recording is not held up: call it again
        soon where it returns False. `now` is in s since the epoch. Raises RecordingError where a
        file cannot be deleted.
        """
        now = time.time() if now is None else now
        files = [StoredFile.at(path) for path in video_files(self._folder)]
        gone = expired(files, self._limits, now, busy, self._archive.bytes)
        for file in gone:
            _delete(file.path)
            self._metrics.deleted.inc()
        left = sum(file.bytes for file in files) - sum(file.bytes for file in gone)
        self._metrics.stored.labels("video").set(left)
        self._metrics.stored.labels("database").set(self._archive.bytes)
        self._metrics.disk.labels("free").set(shutil.disk_usage(self._folder).free)
        too_old = int(max(0.0, now - self._limits.max_age) * 1e9)
        return self._prune(too_old, TABLES) and self._prune_large()

    def _prune_large(self) -> bool:
        if self._archive.bytes <= self._limits.max_database_bytes:
            return True
        before = self._archive.age_limit(PRUNE_ROWS)
        if before is None:
            return True
        # Events are few, and what people look for: they go by age alone.
        self._prune(before, ("observations", "frames"))
        return False

    def _prune(self, before: int, tables: Sequence[str]) -> bool:
        """Delete a slice of what is older; a table's turn comes when those before it are done."""
        return all(self._archive.prune(table, before, PRUNE_ROWS) < PRUNE_ROWS for table in tables)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RecordingError(
            f"cannot delete {path}, which is beyond recorder.max_gb or max_days: {error.strerror}. "
            "Allow writing in its folder, or set recorder.folder to another place"
        ) from error
