"""The tables of results: every frame with its faces, the events, and a summary of each track."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from emostream.services.cli.results.frame_times import with_durations
from emostream.services.cli.results.tables.columns import FACE, Column, Kind, Row, face_values
from emostream.services.cli.results.tables.files import FORMATS, table
from emostream.services.cli.results.tables.tracks import Tracks
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import EventRow, FrameRow, RecordedFrame, Run
from emostream.shared.left_out import REASONS

Tell: TypeAlias = Callable[[int], None]

TELL_EVERY: Final = 500
TRACKED_FACE: Final = (Column("track", Kind.COUNT), *FACE)
EVENT: Final = (
    Column("track", Kind.COUNT),
    *(Column(name, Kind.TEXT) for name in ("kind", "label", "previous")),
    Column("confidence", Kind.SHARE),
    Column("since_s", Kind.SECONDS),
)
SMALL: Final = ("events", "tracks")
COUNTED: Final = ("frames", "faces", "empty", "partial", "degraded", "pruned")


@dataclass(frozen=True, slots=True)
class TableSummary:
    """The tables of a stream written to `folder`.

    `runs` maps each run to why it failed, "" if it did not. Of the `frames`, `empty` are complete
    without a face; `partial`, `degraded` and `pruned` are in these states; `missing` frames have no
    row. `faces` counts the faces in all frames, `left_out` those left out, by reason; `tracks`
    counts the tracks of the others.
    """

    stream: str
    folder: str
    files: list[str]
    runs: dict[str, str]
    frames: int
    missing: int
    empty: int
    partial: int
    degraded: int
    pruned: int
    faces: int
    left_out: dict[str, int]
    tracks: int
    events: int


def write_tables(
    reader: ArchiveReader,
    runs: Sequence[Run],
    folder: Path,
    *,
    formats: Collection[str] = tuple(FORMATS),
    small: Collection[str] = ("csv",),
    live: bool = False,
    tell: Tell | None = None,
) -> TableSummary:
    """Write `observations`, in each of the formats, and `events` and `tracks` in the `small` ones.

    `runs` are one or more runs of one stream, and `folder` must exist. `live` adds the run and the
    capture time to each row. `tell` is called at intervals with the number of frames done. Raises
    RecordingError if the database cannot be read or a file cannot be written.
    """
    stream, tracks = runs[0].stream, Tracks(reader.labels)
    counts, changes = Counter[str](), Counter[int]()
    columns = _observation_columns(reader.labels, live=live)
    with table(folder, "observations", columns, formats) as observations:
        for frame, duration in _with_progress(with_durations(reader.recorded_frames(*runs)), tell):
            observations.add(_observations(stream, frame, len(reader.labels), live=live))
            tracks.add(frame.faces, duration)
            _count(counts, frame)
    with table(folder, "events", _event_columns(live=live), small) as events:
        for event in reader.event_rows(*runs):
            events.add([_event(stream, event, live=live)])
            changes[event.track] += event.kind == "change"
    with table(folder, "tracks", tracks.columns(live=live), small) as summed:
        summed.add(tracks.rows(stream, changes, live=live))
    return TableSummary(
        stream=stream,
        folder=str(folder),
        files=[
            *(f"observations.{form}" for form in FORMATS if form in formats),
            *(f"{name}.{form}" for name in SMALL for form in FORMATS if form in small),
        ],
        runs={run.id: run.error for run in runs},
        missing=sum(run.missing for run in runs),
        **{name: counts[name] for name in COUNTED},
        left_out={reason: counts[reason] for reason in REASONS},
        tracks=len(tracks),
        events=events.rows,
    )


def _observation_columns(labels: Sequence[str], *, live: bool) -> list[Column]:
    """Return the columns of the table with one row per face and frame."""
    shares = [f"{kind}_{label}" for kind in ("p", "smoothed") for label in labels]
    state = Column("state", Kind.TEXT)
    return [*_head(live=live), state, *TRACKED_FACE, *(Column(name, Kind.SHARE) for name in shares)]


def _event_columns(*, live: bool) -> list[Column]:
    """Return the columns of the table of events."""
    return [*_head(live=live), *EVENT]


def _head(*, live: bool) -> list[Column]:
    place = [Column("seq", Kind.COUNT), Column("pts_s", Kind.SECONDS)]
    if live:
        place = [Column("run", Kind.TEXT), *place, Column("time", Kind.MOMENT)]
    return [Column("stream", Kind.TEXT), *place]


def _frame_columns(stream: str, row: FrameRow | EventRow, *, live: bool) -> Row:
    if live:
        return stream, row.run, row.seq, row.pts, row.t
    return stream, row.seq, row.pts


def _observations(stream: str, frame: RecordedFrame, labels: int, *, live: bool) -> Iterator[Row]:
    """Yield one row per face, or one row up to the state if there is no face."""
    place = (*_frame_columns(stream, frame.row, live=live), frame.state)
    if not frame.faces:
        yield (*place, *[None] * (len(TRACKED_FACE) + 2 * labels))
    for face in frame.faces:
        found = (face.track, *face.box, face.score)
        shown = face_values(face.label, face.confidence, face.quality, face.left_out)
        yield (*place, *found, *shown, *face.probabilities, *face.smoothed)


def _event(stream: str, event: EventRow, *, live: bool) -> Row:
    what = (event.kind, event.label, event.previous, event.confidence, event.since)
    return (*_frame_columns(stream, event, live=live), event.track, *what)


def _count(counts: Counter[str], frame: RecordedFrame) -> None:
    """Add a frame to the counts in a TableSummary."""
    counts["frames"] += 1
    counts["faces"] += len(frame.faces)
    counts.update(face.left_out for face in frame.faces if face.left_out)
    if frame.state != "whole":
        counts[frame.state] += 1
    elif not frame.faces:
        counts["empty"] += 1


def _with_progress(
    frames: Iterator[tuple[RecordedFrame, int]], tell: Tell | None
) -> Iterator[tuple[RecordedFrame, int]]:
    done = 0
    for done, frame in enumerate(frames, 1):
        yield frame
        if tell and done % TELL_EVERY == 0:
            tell(done)
    if tell and done % TELL_EVERY:
        tell(done)
