"""Analysis with an estimated prior: fits it to the rows of a first pass, and reweights these.

The first pass runs the stages with the model's probabilities as trained and without the baseline.
The second pass reads its rows, reweights each frame's probabilities, and repeats everything after
them: baseline, smoothing, labels, events. The rows equal those of a run with that prior, and no
picture is analyzed twice.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from emostream.models.prior import Reweighting
from emostream.services.classifier.baseline import neutral_index
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.tracks import PartTracks
from emostream.services.cli.analysis.estimated_prior import face_seconds, fitted, unestimated
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import FrameRow, ObservationRow, Run
from emostream.services.recorder.archive.schema import DATABASE
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.config import Classifier as Settings
from emostream.shared.config import Config
from emostream.shared.messages import (
    Emotion,
    EmotionFace,
    EmotionPrior,
    Event,
    Face,
    Faces,
    common_fields,
)

FIRST_PASS: Final = "first-pass"  # the folder of its database, below that of the analysis
TELL_EVERY: Final = 500


def first_pass_config(config: Config) -> Config:
    """Return the configuration whose rows have the model's probabilities as trained."""
    classifier = msgspec.structs.replace(
        config.classifier, prior=None, prior_strength=0.0, baseline=False
    )
    return msgspec.structs.replace(config, classifier=classifier)


def write_second_pass(
    folder: Path, run_id: str, settings: Settings, tell: Callable[[int], None]
) -> dict[str, Any]:
    """Write the database of an analysis from its first pass; return facts about the prior.

    `tell` is called at intervals with the number of frames done. Repeating it is safe.
    """
    prior = unestimated(settings)
    part = folder / FIRST_PASS / "second" / DATABASE
    shutil.rmtree(part.parent, ignore_errors=True)
    count = 0
    with ArchiveReader(folder / FIRST_PASS / DATABASE) as reader:
        run = next((run for run in reader.runs() if run.id == run_id), None)
        archive = ArchiveWriter(part)
        try:
            if run is not None:
                observed = face_seconds(reader, run)
                count = len(observed)
                prior = fitted(prior, observed, reader.labels)
                _write_run(reader, run, archive, prior, settings, tell)
            archive.commit()
        finally:
            archive.close()
    part.replace(folder / DATABASE)
    return {**prior.facts(), "faces": count, "unit": "face-seconds"}


def _write_run(
    reader: ArchiveReader,
    run: Run,
    archive: ArchiveWriter,
    prior: Reweighting,
    settings: Settings,
    tell: Callable[[int], None],
) -> None:
    """Write a run's frames and events as the classifier would have sent them with the prior."""
    for done, (events, header) in enumerate(_answers(reader, run, prior, settings), 1):
        for event in events:
            archive.add_event(event)
        if header.end:
            archive.end_run(header)
        else:
            archive.add_emotion(header)
            # The end has the number of frames.
            archive.keep_states(header, header.seq, {})
        if done % TELL_EVERY == 0:
            archive.commit()
            tell(done)


def _answers(
    reader: ArchiveReader, run: Run, prior: Reweighting, settings: Settings
) -> Iterator[tuple[list[Event], Emotion]]:
    """Yield each frame's events and emotions, and finally the end of a recorded run."""
    rules = SmoothingRules.of(settings)
    labels = prior.labels
    neutral = neutral_index(labels, settings.model) if settings.baseline else None
    applied = EmotionPrior(prior.name, prior.strength, prior.shares)
    places = [reader.labels.index(label) for label in labels if label in reader.labels]
    criteria = InclusionCriteria(settings.min_quality, settings.enter_frames)
    tracks: PartTracks | None = None
    present: tuple[Face, ...] = ()
    header: Faces | None = None
    for frame in reader.recorded_frames(run):
        header = _header(run, frame.row, frame.faces)
        tracks = tracks or PartTracks(labels, rules, header, neutral, criteria)
        emotions: list[EmotionFace] = []
        if frame.row.degraded:
            # The present tracks were not recorded; assume those of the frame before.
            events = tracks.update_unclassified(msgspec.structs.replace(header, faces=present))
        else:
            present = header.faces
            rows = np.array([face.probabilities for face in frame.faces], np.float32)
            given = prior.apply(rows.reshape(len(frame.faces), len(reader.labels))[:, places])
            events, emotions = tracks.update(header, given)
        yield events, _emotion(header, frame.row, emotions, applied)
    if run.frames is None:
        return
    header = header or _header(run, FrameRow(run.id, 0, run.began, 0, 0, 1, 1, False, ""), ())
    end = msgspec.structs.replace(header, end=True, frames=run.frames, error=run.error)
    yield tracks.leave() if tracks else [], _emotion(end, None, [], applied)


def _header(run: Run, row: FrameRow, faces: Sequence[ObservationRow]) -> Faces:
    """Return the header that the classifier got for a recorded frame, with the fields it reads.

    An analysis has one shard, and its source is not live.
    """
    return Faces(
        stream=run.stream,
        run=run.id,
        seq=row.seq,
        t=row.t,
        pts=row.pts,
        marks={},
        width=1,
        height=1,
        faces=tuple(
            Face(face.track_id, face.box, face.score or 0.0, (), face.quality) for face in faces
        ),
        crop=(1, 1),
        part=0,
        parts=1,
        recorded=True,
    )


def _emotion(
    header: Faces, row: FrameRow | None, faces: Sequence[EmotionFace], prior: EmotionPrior
) -> Emotion:
    return Emotion(
        **common_fields(header),
        model=row.model if row else "",
        faces=tuple(faces),
        part=0,
        parts=1,
        degraded=bool(row and row.degraded),
        prior=prior,
    )
