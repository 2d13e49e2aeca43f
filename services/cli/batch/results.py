"""The results of a recording: partitioned Parquet tables, and its run file, written last."""

import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from emostream.services.classifier.baseline import neutral_index
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.tracks import PartTracks
from emostream.services.cli.analysis.run_file import NAME, RunFile
from emostream.services.cli.batch.chunk_rows import FoundFrame
from emostream.services.cli.batch.store import Store
from emostream.services.cli.results.tables.recording import write_tables
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.schema import DATABASE
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.config import Classifier as Settings
from emostream.shared.messages import Emotion, EmotionFace, Event, Face, Faces, common_fields

TABLES: Final = ("observations", "events", "tracks")
# Frames per commit, so that memory use stays constant.
COMMIT_EVERY: Final = 500


def run_name(recording: str) -> str:
    """Return the name of a recording's run file in the store."""
    return f"runs/recording={recording}/{NAME}"


def table_name(table: str, recording: str) -> str:
    """Return the name of a recording's table in the store."""
    return f"{table}/recording={recording}/{table}.parquet"


def finished_key(store: Store, recording: str) -> str | None:
    """Return the key of a recording's results, None if there are none yet."""
    tree = store.read_json(run_name(recording))
    return None if tree is None else str(tree["batch"]["key"])


def write_recording(
    frames: Iterable[FoundFrame],
    labels: tuple[str, ...],
    settings: Settings,
    record: RunFile,
    facts: dict[str, Any],
    store: Store,
) -> None:
    """Write the tables of a recording like `analyze`, and then its run file with `facts`.

    `frames` are all frames of the recording, in order, with continuous tracks, and `labels` those
    of the model. The counts are added to `record`. Repeating it is safe.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = ArchiveWriter(folder / DATABASE)
        try:
            _write_rows(frames, labels, settings, record, archive)
        finally:
            archive.close()
        with ArchiveReader(folder / DATABASE) as reader:
            (run,) = reader.runs()
            summary = write_tables(reader, [run], folder, formats=("parquet",), small=("parquet",))
        record.frames_read = record.frames_analysed = summary.frames
        record.frames_degraded, record.observations = summary.degraded, summary.faces
        record.tracks, record.events = summary.tracks, summary.events
        record.left_out = summary.left_out
        for table in TABLES:
            store.put(folder / f"{table}.parquet", table_name(table, record.stream))
    record.files = [
        run_name(record.stream), *(table_name(table, record.stream) for table in TABLES)
    ]  # fmt: skip
    store.put_json({**dataclasses.asdict(record), "batch": facts}, run_name(record.stream))


def _write_rows(
    frames: Iterable[FoundFrame],
    labels: tuple[str, ...],
    settings: Settings,
    record: RunFile,
    archive: ArchiveWriter,
) -> None:
    """Write each frame and its events as the stages would have sent them.

    Everything that depends on earlier frames, such as smoothing, baselines and labels, is computed
    here for the whole recording, because no single chunk could.
    """
    rules = SmoothingRules.of(settings)
    neutral = neutral_index(labels, settings.model) if settings.baseline else None
    criteria = InclusionCriteria(settings.min_quality, settings.enter_frames)
    header = _header(record, 0, FoundFrame(0, False, ()))
    tracks = PartTracks(labels, rules, header, neutral, criteria)
    count = 0
    for count, frame in enumerate(frames, 1):
        header = _header(record, count - 1, frame)
        emotions: list[EmotionFace] = []
        if frame.degraded:
            events = tracks.update_unclassified(header)
        else:
            given = np.array([face.probabilities for face in frame.faces], np.float32)
            events, emotions = tracks.update(header, given.reshape(len(frame.faces), len(labels)))
        _add_events(archive, events)
        archive.add_emotion(_emotion(header, record, emotions, degraded=frame.degraded))
        if count % COMMIT_EVERY == 0:
            archive.commit()
    _add_events(archive, tracks.leave())
    end = msgspec.structs.replace(header, end=True, frames=count, error=record.message)
    archive.end_run(end)


def _add_events(archive: ArchiveWriter, events: Iterable[Event]) -> None:
    for event in events:
        archive.add_event(event)


def _header(record: RunFile, seq: int, frame: FoundFrame) -> Faces:
    """Return the header of a frame, with the fields that tracks and rows read."""
    return Faces(
        stream=record.stream,
        run=record.run,
        seq=seq,
        t=0,
        pts=frame.pts,
        marks={},
        width=1,
        height=1,
        faces=tuple(
            Face(face.track, face.box, face.score, (), face.quality) for face in frame.faces
        ),
        crop=(1, 1),
        part=0,
        parts=1,
        recorded=True,
    )


def _emotion(
    header: Faces, record: RunFile, faces: list[EmotionFace], *, degraded: bool
) -> Emotion:
    return Emotion(
        **common_fields(header),
        model=record.model["name"],
        faces=tuple(faces),
        part=0,
        parts=1,
        degraded=degraded,
    )
