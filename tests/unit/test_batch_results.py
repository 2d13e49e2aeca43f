"""The tables of a batch: those that the classifier's stage and the recorder would have made."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from pyarrow import parquet

from emostream.models.prior import Reweighting
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.services.cli.analysis.run_file import RunFile
from emostream.services.cli.batch.chunk_rows import FoundFace, FoundFrame
from emostream.services.cli.batch.results import TABLES, finished_key, table_name, write_recording
from emostream.services.cli.batch.store import Store
from emostream.services.cli.results.tables.recording import write_tables
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.config import Classifier as Settings
from emostream.shared.errors import ModelError
from emostream.shared.messages import Emotion, Event, Face, Faces, Message, Quality

LABELS = ("neutral", "happiness", "anger")
FRAME = 40_000_000
SIDE = 4


class Scripted:
    """A model that gives the rows of `answers` in turn, and fails where one is None."""

    name, sha256, engine, device = "scripted", "", "litert", "cpu"
    prior: Reweighting | None = None
    labels: tuple[str, ...] = LABELS

    def __init__(self, answers: Sequence[NDArray[np.float32] | None]) -> None:
        self._answers = iter(answers)

    def predict(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = next(self._answers)
        if rows is None:
            raise ModelError("it fails")
        return rows


def quality(overall: float) -> Quality:
    return Quality(80.0, 0.5, 0.5, 0.5, 0.1, 3.0, None, -2.0, 0.0, overall)


def recording() -> list[FoundFrame]:
    """A recording in which people come, change, go, are seen badly, and the model fails once."""
    dice = np.random.default_rng(3)
    frames = []
    for n in range(220):
        present = [track for track, (first, last) in PEOPLE.items() if first <= n < last]
        faces = []
        for track in present:
            lean = np.full(3, 1.0)
            lean[(track + n // 60) % 3] = 12.0
            row = dice.dirichlet(lean).astype(np.float32)
            good = 0.9 if (n + track) % 17 else 0.3
            box = (10.0 + 100 * track, 20.0 + n / 7, 50.0, 60.0)
            faces.append(FoundFace(track, box, 0.8, quality(good), tuple(row.tolist())))
        frames.append(FoundFrame(n * FRAME, n == 100, tuple(faces)))
    return frames


# Tracks to the frames in which they are there; the second is too short to enter.
PEOPLE = {1: (0, 150), 2: (20, 22), 3: (40, 220), 4: (160, 200)}


def by_stages(frames: Sequence[FoundFrame], settings: Settings, folder: Path) -> None:
    """Write the tables by way of the classifier's stage and the recorder's database."""
    answers = [
        None
        if frame.degraded
        else np.array([face.probabilities for face in frame.faces], np.float32)
        for frame in frames
        if frame.faces
    ]
    stage = ClassifierStage(
        Scripted(answers),
        ClassifierMetrics(CollectorRegistry()),
        SmoothingRules.of(settings),
        32,
        baseline=settings.baseline,
        criteria=InclusionCriteria(settings.min_quality, settings.enter_frames),
    )
    archive = ArchiveWriter(folder / "emostream.db")
    header = message(0, frames[0]).header
    for seq, frame in enumerate(frames):
        told = message(seq, frame)
        header = told.header
        add(archive, stage([told]))
    end = msgspec.structs.replace(header, seq=len(frames), end=True, frames=len(frames))
    add(archive, stage([Message(end)]))
    archive.close()
    with ArchiveReader(folder / "emostream.db") as reader:
        write_tables(reader, reader.runs(), folder, formats=("parquet",), small=("parquet",))


def message(seq: int, frame: FoundFrame) -> Message:
    faces = tuple(Face(one.track, one.box, one.score, (), one.quality) for one in frame.faces)
    header = Faces(
        stream="film", run="r", seq=seq, t=0, pts=frame.pts, marks={}, width=640, height=360,
        faces=faces, crop=(SIDE, SIDE), part=0, parts=1, recorded=True,
    )  # fmt: skip
    return Message(header, bytes(len(faces) * SIDE * SIDE))


def add(archive: ArchiveWriter, answers: Sequence[Message]) -> None:
    for answer in answers:
        if isinstance(answer.header, Event):
            archive.add_event(answer.header)
        elif isinstance(answer.header, Emotion):
            if answer.header.end:
                archive.end_run(answer.header)
            else:
                archive.add_emotion(answer.header)


def run_file() -> RunFile:
    return RunFile(run="batch-x", stream="film", input={}, model={"name": "scripted"}, config={})


def rows(path: Path) -> list[dict[str, Any]]:
    return list(parquet.read_table(path).to_pylist())


@pytest.mark.parametrize("baseline", [False, True])
def test_the_tables_are_those_of_the_stages(baseline: bool, tmp_path: Path) -> None:
    settings = Settings(baseline=baseline)
    frames = recording()
    (tmp_path / "stages").mkdir()
    by_stages(frames, settings, tmp_path / "stages")
    store = Store(str(tmp_path / "out"))
    write_recording(frames, LABELS, settings, run_file(), {"key": "k"}, store)
    for table in TABLES:
        wanted = rows(tmp_path / "stages" / f"{table}.parquet")
        assert rows(tmp_path / "out" / table_name(table, "film")) == wanted
    observations = rows(tmp_path / "out" / table_name("observations", "film"))
    assert {row["left_out"] for row in observations} == {None, "quality", "new"}
    assert [row["state"] for row in observations].count("degraded") == 1


def test_the_run_file_counts_and_comes_last(tmp_path: Path) -> None:
    store, record = Store(str(tmp_path)), run_file()
    assert finished_key(store, "film") is None
    write_recording(recording(), LABELS, Settings(), record, {"key": "k"}, store)
    assert finished_key(store, "film") == "k"
    tree = json.loads((tmp_path / "runs" / "recording=film" / "run.json").read_text("utf-8"))
    assert (tree["frames_analysed"], tree["frames_degraded"], tree["tracks"]) == (220, 1, 3)
    assert tree["files"] == record.files


def test_a_recording_without_a_frame_has_empty_tables(tmp_path: Path) -> None:
    write_recording([], (), Settings(), run_file(), {"key": "k"}, Store(str(tmp_path)))
    assert rows(tmp_path / table_name("observations", "film")) == []
