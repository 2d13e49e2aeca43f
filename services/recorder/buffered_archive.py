"""The rows of a live recording, which wait in memory while the database cannot be written."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from emostream.services.recorder.archive.faults import Fault, WriteError
from emostream.services.recorder.archive.set_aside import set_aside
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.fault_status import ROWS, FaultStatus
from emostream.services.recorder.metrics import RecorderMetrics
from emostream.services.recorder.row_buffer import Result, RowBuffer, row_count
from emostream.shared.errors import IncompleteRecordingError, MessageError
from emostream.shared.messages import Event

COMMIT_EVERY_S: Final = 0.5
# Long enough that a poll every second sees a fault that the next attempt resolves.
RETRY_AFTER_S: Final = 2.0
# If the database is damaged repeatedly, each attempt leaves a file behind. The wait doubles up to
# this, which is half of the default of `recorder.buffer_s`.
LONGEST_RETRY_S: Final = 60.0
# A database that stayed intact for this long was healthy.
WELL_AFTER_S: Final = 300.0
# How many rows are written at once, so that a full buffer does not hold up the pictures.
ROWS_AT_ONCE: Final = 2_000
# Each attempt briefly waits for a lock, and a process has 3.5 s to exit.
TRIES_AT_END: Final = 10
CLOSE_WITHIN_S: Final = 1.0
BACKLOG: Final = "backlog"
log = logging.getLogger("emostream")


class BufferedArchive:
    """Writes results to the database at `path` as soon as possible.

    Until then, they wait in `buffer`. A missing or damaged database is replaced by a new one; a
    damaged one is kept under another name. `bad` is called with the error of a result that cannot
    be stored. `clock` is steady, in s.
    """

    def __init__(
        self,
        path: Path,
        buffer: RowBuffer,
        faults: FaultStatus,
        metrics: RecorderMetrics,
        bad: Callable[[MessageError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._buffer = buffer
        self._faults = faults
        self._metrics = metrics
        self._bad = bad
        self._clock = clock
        self._writer: ArchiveWriter | None = None
        self._error: WriteError | None = None
        self._dropped = 0
        self._closing = False
        self._due = self._damaged_at = float("-inf")
        self._damage_wait = RETRY_AFTER_S
        with self.noting_faults():
            self._writer = ArchiveWriter(path)
            self._writer.restore(metrics.accounts)

    @property
    def writer(self) -> ArchiveWriter | None:
        """The open database; None while it cannot be written."""
        return self._writer

    def add(self, result: Result) -> None:
        """Add a result to write at the next commit."""
        self._drop(self._buffer.add(result, self._clock()))
        self._metrics.waiting_rows.set(self._buffer.rows)

    def forget(self, stream: str) -> None:
        """Forget the stream; its waiting results are still written."""
        if self._writer:
            self._writer.forget(stream)

    def write_due(self) -> list[Result]:
        """Write waiting results if it is time to; return those written."""
        if not self._buffer or self._clock() < self._due:
            return []
        written = self._write()
        if self._error:
            self._drop(self._buffer.expire(self._clock()))
            self._tell(self._error)
        elif written and not self._buffer:
            self._due = self._clock() + COMMIT_EVERY_S
        self._metrics.waiting_rows.set(self._buffer.rows)
        return written or []

    @contextlib.contextmanager
    def noting_faults(self) -> Iterator[None]:
        """Record a WriteError of the database instead of raising it; results are retried."""
        try:
            yield
        except WriteError as error:
            self._close()
            self._error = error
            self._due = self._clock() + self._retry_after(error.fault)
            self._tell(error)
            if error.fault is Fault.DAMAGED and not self._closing:
                self._replace()

    def close(self) -> None:
        """Write all waiting results; IncompleteRecordingError if that is impossible."""
        until = self._clock() + CLOSE_WITHIN_S
        self._closing = True
        tries = TRIES_AT_END
        while self._buffer and tries and self._clock() < until:
            if self._write() is None:
                tries -= 1
        self._close()
        if lost := self._buffer.rows:
            self._drop(self._buffer.clear())
            raise IncompleteRecordingError(f"{lost:,} rows are lost: {self._error}")

    def _write(self) -> list[Result] | None:
        """Write the oldest results in one transaction; return them, None if that failed."""
        taken = list(self._buffer.oldest(ROWS_AT_ONCE))
        written: list[Result] | None = None
        with self.noting_faults():
            self._writer = writer = self._writer or ArchiveWriter(self._path)
            refused = dict(_refused(writer, taken))
            if len(taken) == len(self._buffer):
                # Everything that the accounts count as answered is written with them.
                writer.keep(self._metrics.accounts)
            with self._metrics.commit_seconds.time():
                writer.commit()
            self._buffer.remove(len(taken))
            if not self._buffer:
                self._tell_recovery()
            for number, error in refused.items():
                self._bad(error)
                self._metrics.not_written(taken[number], "bad")
            written = [result for number, result in enumerate(taken) if number not in refused]
            for result in written:
                self._metrics.count_rows(result)
        return written

    def _retry_after(self, fault: Fault) -> float:
        """Return the seconds until the next attempt after a fault."""
        if fault is not Fault.DAMAGED:
            return RETRY_AFTER_S
        now, before = self._clock(), self._damaged_at
        self._damaged_at = now
        longer = min(LONGEST_RETRY_S, 2 * self._damage_wait)
        self._damage_wait = longer if now - before < WELL_AFTER_S else RETRY_AFTER_S
        return self._damage_wait

    def _drop(self, results: Iterable[Result]) -> None:
        reason = self._error.fault if self._error else BACKLOG
        for result in results:
            self._metrics.count_dropped_rows(result, reason)
            self._dropped += row_count(result)

    def _tell(self, error: WriteError) -> None:
        dropped = f", {self._dropped:,} were dropped" if self._dropped else ""
        waiting = f"{self._buffer.rows:,} rows wait in memory"
        self._faults.begin(ROWS, error, waiting + dropped)

    def _tell_recovery(self) -> None:
        if self._error:
            dropped = f"; {self._dropped:,} were dropped" if self._dropped else ""
            self._faults.end(ROWS, f"writing rows again{dropped}")
            self._error, self._dropped = None, 0

    def _replace(self) -> None:
        """Rename the damaged database, so that a new one is created."""
        try:
            kept = set_aside(self._path)
        except OSError:
            return  # retried when the database is
        if kept:
            log.warning("renamed the damaged database to %s and started a new one", kept)
        else:
            log.warning("the database %s was empty; started a new one", self._path)

    def _close(self) -> None:
        if self._writer:
            self._writer.abandon()
        self._writer = None


def _refused(
    writer: ArchiveWriter, results: Iterable[Result]
) -> Iterator[tuple[int, MessageError]]:
    """Add the results to the writer; yield the index and error of refused ones."""
    for number, result in enumerate(results):
        try:
            if isinstance(result, Event):
                writer.add_event(result)
            elif result.end:
                writer.end_run(result)
            else:
                writer.add_emotion(result)
        except MessageError as error:
            yield number, error
