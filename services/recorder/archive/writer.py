"""Every answered frame, observation and event, as rows in one SQLite file."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import msgpack

from emostream.services.recorder.archive.database import BUSY_TIMEOUT
from emostream.services.recorder.archive.labels import LabelColumns, insert_observation
from emostream.services.recorder.archive.schema import SCHEMA, SCHEMA_VERSION, UPGRADE
from emostream.services.recorder.private_files import make_file, make_folder
from emostream.shared.errors import MessageError, RecordingError
from emostream.shared.messages import Emotion, EmotionFace, Event, Header

Row: TypeAlias = tuple[str | int | float | bytes | None, ...]
States: TypeAlias = dict[str, bytes]

LARGEST: Final = 2**63 - 1

ADD_RUN: Final = "INSERT INTO runs (stream, run, began) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
END_RUN: Final = "UPDATE runs SET frames = ?, error = ? WHERE stream = ? AND run = ?"
KEEP_STATES: Final = "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)"
GET_STATES: Final = "SELECT seq, states FROM states WHERE stream = ? AND run = ?"
GET_END: Final = "SELECT frames FROM runs WHERE stream = ? AND run = ?"
ADD_FRAME: Final = """
INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
ON CONFLICT DO UPDATE SET faces = faces + excluded.faces, answered = answered + 1,
    degraded = max(degraded, excluded.degraded)
"""
ADD_EVENT: Final = f"INSERT INTO events VALUES ({', '.join('?' * 11)})"
PRUNE: Final = """
DELETE FROM {table} WHERE rowid IN (
    SELECT rowid FROM (SELECT rowid, t FROM {table} ORDER BY rowid LIMIT ?) WHERE t < ?)
"""


class ArchiveWriter:
    """The rows of all streams, batched; a commit is due `commit_every` s after the last one.

    Other programs may read at any time. A process that is killed loses only what was not committed.
    Raises RecordingError where the file cannot be opened or written. One process writes at a time.
    """

    def __init__(
        self,
        path: Path,
        commit_every: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._clock = clock
        self._commit_every = commit_every
        self._committed = float("-inf")
        self._batches: dict[str, list[Row]] = {}
        self._run: dict[str, str] = {}
        with _translated(path):
            make_folder(path.parent)
            make_file(path)
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
            with contextlib.ExitStack() as on_error:
                on_error.callback(self._connection.close)
                self._prepare()
                on_error.pop_all()

    @property
    def pending(self) -> bool:
        """Whether rows wait for the next commit."""
        return bool(self._batches)

    @property
    def due(self) -> bool:
        """Whether it is time to commit."""
        return self.pending and self._clock() - self._committed >= self._commit_every

    @property
    def bytes(self) -> int:
        """The size of the database, without its log of a few MB."""
        query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        with _translated(self.path):
            size: int = self._connection.execute(query).fetchone()[0]
        return size

    def add_emotion(self, header: Emotion) -> None:
        """Add one part of a frame's results; a part must not be added twice.

        Raises MessageError for a number or a label that cannot be stored.
        """
        check_numbers(header, header.parts, *(face.track for face in header.faces))
        # Before anything is batched: a message with a label that cannot be stored is refused whole.
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

    def keep_states(self, header: Header, seq: int, states: States) -> None:
        """Keep what the stages remember after frame `seq`, instead of what they did before."""
        packed = msgpack.packb(states)
        self._batch(KEEP_STATES, (header.stream, header.run, seq, packed))

    def position(self, stream: str, run: str) -> tuple[int, bool, States]:
        """Return the last `seq` of a run that was recorded without loss, -1 where none was.

        With it, whether the run's end was recorded, and the states kept there.
        """
        with _translated(self.path):
            state = self._connection.execute(GET_STATES, (stream, run)).fetchone()
            end = self._connection.execute(GET_END, (stream, run)).fetchone()
        seq, packed = state or (-1, msgpack.packb({}))
        return seq, bool(end and end[0] is not None), msgpack.unpackb(packed)

    def end_run(self, header: Header) -> None:
        """Note how many frames the run of an `end` message had."""
        check_numbers(header, header.frames)
        # A source that gave no picture has no row yet.
        self._add_run(header)
        self._batch(END_RUN, (header.frames, header.error or None, header.stream, header.run))

    def commit(self) -> None:
        """Write the rows that wait."""
        self._committed = self._clock()
        batches, self._batches = self._batches, {}
        if not batches:
            return
        with _translated(self.path), self._transaction():
            self._columns.add_new(self._connection)
            for statement, rows in batches.items():
                self._connection.executemany(statement, rows)

    def age_limit(self, rows: int) -> int | None:
        """Return the t that the oldest `rows` frames are older than; None when there are none."""
        query = "SELECT max(t) + 1 FROM (SELECT t FROM frames ORDER BY rowid LIMIT ?)"
        with _translated(self.path):
            limit: int | None = self._connection.execute(query, (rows,)).fetchone()[0]
        return limit

    def prune(self, table: str, before: int, limit: int) -> int:
        """Delete rows of one of the TABLES older than `before` (t), and give their space back.

        Returns how many. It deletes the oldest `limit` at most, so that the caller is not held up.
        """
        query = PRUNE.format(table=table)
        with _translated(self.path):
            with self._transaction():
                count = self._connection.execute(query, (limit, before)).rowcount
            if count:
                # It gives back one page a step, and execute() takes but one step.
                self._connection.executescript("PRAGMA incremental_vacuum")
        return count

    def close(self) -> None:
        """Commit and close; a second call does nothing."""
        with contextlib.closing(self._connection):
            self.commit()

    def _prepare(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version == 0 and tables == 0:
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._connection.execute("PRAGMA journal_mode = WAL")
            script = f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            self._connection.executescript(script)
        elif version in (1, 2):
            script = f"BEGIN; {UPGRADE} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            self._connection.executescript(script)
        elif version != SCHEMA_VERSION:
            raise RecordingError(
                f"{self.path} has version {version} of the tables, not {SCHEMA_VERSION}: it is "
                "another program's, or another release's. Move it away, or set recorder.folder to "
                "another place"
            )
        self._connection.execute("PRAGMA journal_mode = WAL")
        # With WAL this risks no damage, only the last commits, and only when the power fails.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._columns = LabelColumns(self._connection)

    def _observation(self, face: EmotionFace) -> tuple[str, Row]:
        """Return the statement for the labels that the face has, and its values."""
        raw = self._columns.values("p", face.probabilities)
        named = raw | self._columns.values("s", face.smoothed)
        fixed = (face.track, *face.box, face.score, face.label, face.confidence)
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
        except sqlite3.Error:
            self._connection.rollback()
            raise
        self._connection.execute("COMMIT")


def _frame_columns(header: Header) -> Row:
    return header.stream, header.run, header.seq, header.t, header.pts


def check_numbers(header: Header, *numbers: int) -> None:
    """Raise MessageError where the header or one of the numbers does not fit SQLite's 64 bits."""
    if any(abs(number) > LARGEST for number in (header.seq, header.t, header.pts, *numbers)):
        raise MessageError("header", "a number beyond 63 bits")


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise RecordingError(
            f"cannot use the database {path}: {error}. Make room or allow writing there; where it "
            "is damaged or no database, move it away; or set recorder.folder to another place"
        ) from error
