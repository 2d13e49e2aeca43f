"""Writes every answered frame, observation and event to one SQLite file."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import msgpack
from msgspec.structs import astuple

from emostream.services.recorder.archive.accounts import KEEP_ACCOUNT, restore_accounts
from emostream.services.recorder.archive.database_file import DatabaseFile
from emostream.services.recorder.archive.faults import writing_database
from emostream.services.recorder.archive.labels import LabelColumns, insert_observation
from emostream.services.recorder.archive.schema import MEASURES, prepare
from emostream.services.recorder.archive.statements import (
    ADD_EVENT,
    ADD_FRAME,
    ADD_RUN,
    END_RUN,
    FRAMES_RANGE,
    GET_END,
    GET_STATES,
    KEEP_STATES,
    PRUNE,
    SAMPLE_TIMES,
)
from emostream.shared.accounts import Accounts
from emostream.shared.errors import MessageError
from emostream.shared.messages import Emotion, EmotionFace, Event, Header

Row: TypeAlias = tuple[str | int | float | bytes | None, ...]
States: TypeAlias = dict[str, bytes]

LARGEST: Final = 2**63 - 1
# How long a write waits for another program's lock, s; short, because the caller has other work.
BUSY_TIMEOUT: Final = 0.1


class ArchiveWriter:
    """The rows of all streams, in batches: added rows wait for the next commit.

    Other programs may read at any time. A killed process loses only uncommitted rows. Opening waits
    `open_timeout` s for another program's lock. Raises WriteError if the file cannot be opened or
    written, or is no longer at its path. Only one process may write at a time.
    """

    def __init__(self, path: Path, open_timeout: float = BUSY_TIMEOUT) -> None:
        self.path = path
        self._batches: dict[str, list[Row]] = {}
        self._run: dict[str, str] = {}
        with writing_database(path), contextlib.ExitStack() as opened:
            self._file = DatabaseFile(path)
            opened.callback(self._file.close)
            self._connection = sqlite3.connect(path, timeout=open_timeout, isolation_level=None)
            opened.callback(self._connection.close)
            prepare(self._connection, path)
            self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_TIMEOUT)}")
            self._columns = LabelColumns(self._connection)
            self._file.note_log()
            self._opened = opened.pop_all()

    @property
    def pending(self) -> bool:
        """Whether rows wait for the next commit."""
        return bool(self._batches)

    @property
    def bytes(self) -> int:
        """The size of the database in bytes, without its log of a few MB."""
        query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        with writing_database(self.path):
            size: int = self._connection.execute(query).fetchone()[0]
        return size

    def add_emotion(self, header: Emotion) -> None:
        """Add one part of a frame's results; do not add a part twice.

        Raises MessageError for a number or label that cannot be stored.
        """
        check_numbers(header, header.parts, *(face.track for face in header.faces))
        # Check first, so that a message with an invalid label is refused as a whole.
        observations = [self._observation(face) for face in header.faces]
        self._add_run(header)
        at = _frame_columns(header)
        counts = (len(header.faces), header.parts, header.degraded, header.model)
        self._batch(ADD_FRAME, (*at, *counts))
        for statement, values in observations:
            self._batch(statement, (*at, *values))

    def add_event(self, header: Event) -> None:
        """Add an event."""
        check_numbers(header, header.track, header.since)
        self._add_run(header)
        what = (header.kind, header.track, header.label, header.previous)
        self._batch(ADD_EVENT, (*_frame_columns(header), *what, header.confidence, header.since))

    def forget(self, stream: str) -> None:
        """Forget that the stream's run already has a row."""
        self._run.pop(stream, None)

    def keep_states(self, header: Header, seq: int, states: States) -> None:
        """Store the stages' states after frame `seq`, replacing earlier ones."""
        packed = msgpack.packb(states)
        self._batch(KEEP_STATES, (header.stream, header.run, seq, packed))

    def position(self, stream: str, run: str) -> tuple[int, bool, States]:
        """Return the last `seq` of a lossless run (-1 for none), whether it ended, and its states.

        The end counts once it is recorded; the states are those after that `seq`.
        """
        with writing_database(self.path):
            state = self._connection.execute(GET_STATES, (stream, run)).fetchone()
            end = self._connection.execute(GET_END, (stream, run)).fetchone()
        seq, packed = state or (-1, msgpack.packb({}))
        return seq, bool(end and end[0] is not None), msgpack.unpackb(packed)

    def end_run(self, header: Header) -> None:
        """Record the number of frames in the run of an `end` message."""
        check_numbers(header, header.frames)
        # A source without pictures has no row yet.
        self._add_run(header)
        self._batch(END_RUN, (header.frames, header.error or None, header.stream, header.run))

    def keep(self, accounts: Accounts) -> None:
        """Store the accounts together with the waiting rows, which they count as answered."""
        for state in accounts.states():
            self._batch(KEEP_ACCOUNT, state)

    def restore(self, accounts: Accounts) -> None:
        """Continue with the accounts that an earlier recorder saved, and its later rows."""
        with writing_database(self.path):
            restore_accounts(self._connection, accounts)

    def commit(self) -> None:
        """Write the waiting rows; if that fails, none is written, and all keep waiting."""
        if not self._batches:
            return
        with writing_database(self.path):
            self._file.check()
            with self._transaction():
                self._columns.add_new(self._connection)
                for statement, rows in self._batches.items():
                    self._connection.executemany(statement, rows)
            # Rows in a file that was deleted in the meantime must not count as written.
            self._file.check()
        self._columns.confirm_new()
        self._batches = {}

    def check(self) -> None:
        """Raise WriteError if the committed rows are no longer at the path."""
        with writing_database(self.path):
            self._file.check()

    def sample_times(self, count: int) -> list[int]:
        """Return the times (t) of up to `count` frames, spread evenly from the first to the last.

        The last frame is included; without frames, there are none.
        """
        with writing_database(self.path):
            first, last = self._connection.execute(FRAMES_RANGE).fetchone()
            if first is None:
                return []
            step = max(1, (last - first) // count)
            rows = self._connection.execute(SAMPLE_TIMES, (last, step, count, first))
            return [t for (t,) in rows]

    def age_limit(self, rows: int) -> int | None:
        """Return a t above that of the oldest `rows` frames; None if there are no frames."""
        query = "SELECT max(t) + 1 FROM (SELECT t FROM frames ORDER BY rowid LIMIT ?)"
        with writing_database(self.path):
            limit: int | None = self._connection.execute(query, (rows,)).fetchone()[0]
        return limit

    def prune(self, table: str, before: int, limit: int) -> int:
        """Delete rows older than `before` (t) from one of the TABLES, and free their space.

        Returns the number of rows. Deletes at most the oldest `limit`, so that the caller is not
        held up.
        """
        query = PRUNE.format(table=table)
        with writing_database(self.path):
            with self._transaction():
                count = self._connection.execute(query, (limit, before)).rowcount
            if count:
                # It frees one page per step, and execute() takes only one step.
                self._connection.executescript("PRAGMA incremental_vacuum")
        return count

    def close(self) -> None:
        """Commit and close; a second call does nothing."""
        try:
            self.commit()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close without writing the waiting rows."""
        self._batches = {}
        self._opened.close()

    def _observation(self, face: EmotionFace) -> tuple[str, Row]:
        """Return the statement for the face's labels, and its values."""
        raw = self._columns.values("p", face.probabilities)
        named = raw | self._columns.values("s", face.smoothed)
        found = (face.track, *face.box, face.score, face.label, face.confidence)
        quality = face.quality
        measures = astuple(quality) if quality else [None] * len(MEASURES)
        fixed = (*found, *measures, face.left_out or None)
        return insert_observation(tuple(named)), (*fixed, *named.values())

    def _add_run(self, header: Header) -> None:
        if self._run.get(header.stream) != header.run:
            self._run[header.stream] = header.run
            self._batch(ADD_RUN, (header.stream, header.run, header.t))

    def _batch(self, statement: str, row: Row) -> None:
        self._batches.setdefault(statement, []).append(row)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            # Some errors have already rolled it back.
            if self._connection.in_transaction:
                self._connection.rollback()
            raise


def _frame_columns(header: Header) -> Row:
    return header.stream, header.run, header.seq, header.t, header.pts


def check_numbers(header: Header, *numbers: int) -> None:
    """Raise MessageError if the header or one of the numbers does not fit SQLite's 64 bits."""
    if any(abs(number) > LARGEST for number in (header.seq, header.t, header.pts, *numbers)):
        raise MessageError("header", "a number beyond 63 bits")
