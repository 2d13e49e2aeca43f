"""Reads a recorder's database: runs, frames, faces and events, in order and constant memory."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from emostream.services.recorder.archive.database import check, open_database, reading
from emostream.services.recorder.archive.labels import RecordedLabels
from emostream.services.recorder.archive.queries import (
    ADD_NUMBERS,
    EVENT,
    FACE,
    FRAME,
    NUMBERED,
    NUMBERS,
    READ,
    RUNS,
)
from emostream.services.recorder.archive.rows import (
    EventRow,
    FrameRow,
    ObservationRow,
    RecordedFrame,
    Run,
)
from emostream.services.recorder.archive.schema import MEASURES
from emostream.shared.errors import RecordingError
from emostream.shared.messages import Quality

# The fields of FACE: detection and label, quality, and why it was left out.
SHOWN: Final = 13
BEFORE_LABELS: Final = SHOWN + len(MEASURES) + 1


class ArchiveReader:
    """A snapshot of a recorder's database, while the recorder may keep writing.

    `labels` are those of all its models, in column order. Methods that read rows take one or more
    runs of one stream, and yield rows ordered by the runs' start, `seq`, and track. Close it soon:
    while it is open, the recorder's log keeps growing. Raises RecordingError if there is no such
    database or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbered: set[str] = set()
        self._connection = open_database(path)
        with contextlib.ExitStack() as on_error:
            on_error.callback(self._connection.close)
            with reading(self.path):
                self._recorded_labels = self._begin()
            on_error.pop_all()
        self.labels = self._recorded_labels.labels

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._connection.close()

    def runs(self) -> list[Run]:
        """Return all runs by stream and start, including those without remaining rows."""
        with reading(self.path):
            return [Run(*row) for row in self._connection.execute(RUNS)]

    def recorded_frames(self, *runs: Run) -> Iterator[RecordedFrame]:
        """Yield every frame with its faces."""
        faces = self.observation_rows(*runs)
        face = next(faces, None)
        for row in self.frame_rows(*runs):
            here = []
            while face is not None and (face.run, face.seq) == (row.run, row.seq):
                here.append(face)
                face = next(faces, None)
            yield RecordedFrame(row, here)
        if face is not None:
            raise RecordingError(
                f"{self.path} is damaged: frame {face.seq} of run {face.run} has a face, but no row"
            )

    def frame_rows(self, *runs: Run) -> Iterator[FrameRow]:
        """Yield the answered frames."""
        for run, seq, t, pts, faces, parts, answered, degraded, model in self._read(
            FRAME, "frames", "a.seq", *runs
        ):
            yield FrameRow(run, seq, t, pts, faces, parts, answered, bool(degraded), model)

    def observation_rows(self, *runs: Run) -> Iterator[ObservationRow]:
        """Yield the faces."""
        selected = self._recorded_labels.selected
        columns = ", ".join((FACE, *selected("p", "a"), *selected("s", "a")))
        middle = BEFORE_LABELS + len(self.labels)
        for row in self._read(columns, "observations", "a.seq, n.number", *runs):
            run, seq, t, pts, number, track, *box, score, label, confidence = row[:SHOWN]
            *measures, left_out = row[SHOWN:BEFORE_LABELS]
            quality = Quality(*measures) if measures[-1] is not None else None
            shares, smoothed = row[BEFORE_LABELS:middle], row[middle:]
            yield ObservationRow(
                run, seq, t, pts, number, track, tuple(box), score, label, confidence, shares,
                smoothed, quality, left_out,
            )  # fmt: skip

    def event_rows(self, *runs: Run) -> Iterator[EventRow]:
        """Yield the events; within a frame by track, and within a track in order of arrival."""
        for row in self._read(EVENT, "events", "a.seq, n.number, a.rowid", *runs):
            yield EventRow(*row)

    def _read(self, columns: str, table: str, order: str, *runs: Run) -> Iterator[Any]:
        if not runs:
            return
        (stream,) = {run.stream for run in runs}
        numbered = "" if table == "frames" else NUMBERED
        marks = ", ".join("?" * len(runs))
        query = READ.format(
            columns=columns, table=table, numbered=numbered, marks=marks, order=order
        )
        with reading(self.path):
            if numbered:
                self._number(stream)
            # No `yield from`: that would close the cursor of an abandoned reader, and closing a
            # cursor after the database is an error.
            cursor = self._connection.execute(query, (stream, *(run.id for run in runs)))
            for row in cursor:  # noqa: UP028
                yield row

    def _number(self, stream: str) -> None:
        if stream not in self._numbered:
            self._connection.execute(ADD_NUMBERS, (stream,))
            self._numbered.add(stream)

    def _begin(self) -> RecordedLabels:
        """Begin a transaction for a consistent snapshot; return its labels."""
        self._connection.execute("BEGIN")
        check(self._connection, self.path)
        self._connection.execute(NUMBERS)
        return RecordedLabels(self._connection)
