"""The recorded data of each frame, and the messages to replay it."""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import (
    EventRow,
    FrameRow,
    ObservationRow,
    RecordedFrame,
    Run,
)
from emostream.shared.fields import LONGEST_REASON
from emostream.shared.messages import Emotion, EmotionFace, Event, Message


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """A recorded frame of a run; with `end`, the end of the run.

    `t` is ns since the epoch, `pts` ns in the source; `frame` is None if only events remain.
    """

    run: Run
    seq: int
    t: int
    pts: int
    frame: RecordedFrame | None = None
    events: Sequence[EventRow] = ()
    end: bool = False

    @property
    def parts(self) -> int:
        """The expected number of answers."""
        return self.frame.row.parts if self.frame else 1


def replay_steps(reader: ArchiveReader, run: Run) -> Iterator[ReplayStep]:
    """Yield a run's frames in order, each with its events, and then its end."""
    rows: Iterator[EventRow | RecordedFrame]
    rows = heapq.merge(reader.event_rows(run), reader.recorded_frames(run), key=_place)
    last = ReplayStep(run, -1, run.began, 0)
    for seq, group in itertools.groupby(rows, key=lambda row: _place(row)[0]):
        here = list(group)
        events = [row for row in here if isinstance(row, EventRow)]
        frame = next((row for row in here if isinstance(row, RecordedFrame)), None)
        at = frame.row if frame else events[0]
        last = ReplayStep(run, seq, at.t, at.pts, frame, events)
        yield last
    frames = last.seq + 1 if run.frames is None else run.frames
    yield ReplayStep(run, frames, last.t, last.pts, last.frame, end=True)


def step_times(reader: ArchiveReader, run: Run) -> Iterator[ReplayStep]:
    """Yield a run's frames and events in order, with only their positions and times."""
    rows: Iterator[EventRow | FrameRow]
    rows = heapq.merge(reader.event_rows(run), reader.frame_rows(run), key=lambda row: row.seq)
    return (ReplayStep(run, row.seq, row.t, row.pts) for row in rows)


def step_messages(
    step: ReplayStep, labels: Sequence[str], stream: str, run: str, t: int
) -> Iterator[Message]:
    """Yield the step's messages with this name and run, as captured at `t`.

    Events come before emotions, as in live delivery, except for a face that left after the frame in
    which it was last seen, as at the end of a run.
    """
    common = {"stream": stream, "run": run, "seq": step.seq, "t": t, "pts": step.pts}
    if step.end:
        yield from _ends(step, common)
        return
    seen = {face.track_id for face in step.frame.faces} if step.frame else set()
    after = [event for event in step.events if event.kind == "leave" and event.track_id in seen]
    before = [event for event in step.events if event not in after]
    yield from (_event(event, common) for event in before)
    if step.frame:
        yield from _emotions(step.frame, labels, common)
    yield from (_event(event, common) for event in after)


def _place(row: EventRow | RecordedFrame) -> tuple[int, bool]:
    """Sort key: events before their frame."""
    return (row.row.seq, True) if isinstance(row, RecordedFrame) else (row.seq, False)


def _ends(step: ReplayStep, common: dict[str, Any]) -> Iterator[Message]:
    model = step.frame.row.model if step.frame else ""
    error = step.run.error[:LONGEST_REASON]
    for part in range(step.parts):
        yield Message(
            Emotion(
                **common, marks={}, end=True, frames=step.seq, error=error,
                model=model, faces=(), part=part, parts=step.parts, degraded=False,
            )
        )  # fmt: skip


def _event(row: EventRow, common: dict[str, Any]) -> Message:
    return Message(
        Event(
            **common, marks={}, kind=cast(Any, row.kind), track=row.track_id, label=row.label,
            previous=row.previous, confidence=_number(row.confidence), since=row.since,
        )
    )  # fmt: skip


def _emotions(
    frame: RecordedFrame, labels: Sequence[str], common: dict[str, Any]
) -> Iterator[Message]:
    row = frame.row
    for part, rows in _by_part(row, frame.faces).items():
        faces = tuple(_face(face, labels) for face in rows)
        yield Message(
            Emotion(
                **common, marks={}, model=row.model, faces=faces, part=part, parts=row.parts,
                degraded=row.degraded,
            )
        )  # fmt: skip


def _by_part(frame: FrameRow, faces: Sequence[ObservationRow]) -> dict[int, list[ObservationRow]]:
    """Distribute the faces to the parts that answered, like the detector.

    It is not recorded which parts did not answer; parts with a face did.
    """
    theirs = [face.track_id % frame.parts for face in faces]
    parts = [*dict.fromkeys([*theirs, *range(frame.parts)])][: frame.answered]
    dealt: dict[int, list[ObservationRow]] = {part: [] for part in sorted(parts)}
    for face, part in zip(faces, theirs, strict=True):
        # Another detector may distribute them differently.
        dealt[part if part in dealt else parts[0]].append(face)
    return dealt


def _face(row: ObservationRow, labels: Sequence[str]) -> EmotionFace:
    return EmotionFace(
        track=row.track_id,
        box=row.box,
        probabilities=_named(labels, row.probabilities),
        smoothed=_named(labels, row.smoothed),
        label=row.label,
        confidence=_number(row.confidence),
        score=row.score or 0.0,
        quality=row.quality,
        left_out=row.left_out,
    )


def _named(labels: Sequence[str], values: Sequence[float | None]) -> dict[str, float]:
    """Return the values by label, without labels that the frame's model did not have."""
    return {label: value for label, value in zip(labels, values, strict=True) if value is not None}


def _number(value: float | None) -> float:
    # An earlier release recorded NaN, which SQLite stores as NULL.
    return 0.0 if value is None else value
