"""An estimated prior: what is counted, and rows that are those of a run with that prior."""

import sqlite3
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from emostream.models.labels import LABELS
from emostream.models.prior import Reweighting
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.services.cli.analysis import second_pass, video_job
from emostream.services.cli.analysis.estimated_prior import face_seconds, fitted, unestimated
from emostream.services.cli.analysis.run_file import RunFile, Status
from emostream.services.cli.analysis.second_pass import FIRST_PASS, write_second_pass
from emostream.services.cli.main import main
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.schema import DATABASE
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.config import Classifier as Settings
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError, ExitCode, ModelError
from emostream.shared.messages import Emotion, Event, Face, Faces, Message, Quality
from tests.unit.videos import Clip

FPS = 25
FRAMES = 200
# Longer than a face may be absent.
FAILED = range(120, 160)
RULES = SmoothingRules()
TABLES = ("runs", "frames", "observations", "events")


class Moody:
    """A model whose answer changes with the frame, between neutral and sadness; 255: it fails."""

    name, sha256, engine, device = "toy", "", "fake", "cpu"
    labels: tuple[str, ...] = LABELS

    def __init__(self, prior: Reweighting | None = None) -> None:
        self.prior = prior

    def predict(self, crops: np.ndarray) -> np.ndarray:
        seed = int(crops[0, 0, 0])
        if seed == 255:
            raise ModelError("no memory")
        rows = np.random.default_rng(seed).random((len(crops), len(LABELS))) * 0.2
        rows[:, 0] += 1
        rows[:, 3] += 1.5 + 1.4 * np.sin(seed / 15)
        given = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        return self.prior.apply(given) if self.prior else given


def frames(name: str = "r") -> list[Message]:
    """Return the detector's answers: a face, and another that comes and goes; then the end.

    For a second they cannot be judged.
    """
    common: dict[str, Any] = {
        "stream": "film", "run": name, "marks": {}, "width": 9, "height": 9, "crop": (1, 1),
        "part": 0, "parts": 1, "recorded": True,
    }  # fmt: skip
    messages = []
    for seq in range(FRAMES):
        tracks = [7, 8] if 50 <= seq < 100 else [7]
        quality = Quality(
            9.0, 0.3, 0.5, 0.2, 0.01, 0.0, 0.0, 0.0, 0.0, 0.8 - 0.5 * (90 < seq < 105)
        )
        found = tuple(Face(track, (1.0, 2.0, 3.0, 4.0), 0.5, (), quality) for track in tracks)
        level = 255 if seq in FAILED else seq
        header = Faces(**common, seq=seq, t=10**18 + seq, pts=seq * 10**9 // FPS, faces=found)
        messages.append(Message(header, bytes([level]) * len(tracks)))
    end = Faces(**common, seq=FRAMES, t=10**18 + FRAMES, pts=0, faces=(), end=True, frames=FRAMES)
    return [*messages, Message(end)]


def record(
    path: Path,
    prior: Reweighting | None,
    *,
    baseline: bool,
    end: bool = True,
    name: str = "r",
) -> None:
    """Write what classifier and recorder make of the frames."""
    metrics = ClassifierMetrics(CollectorRegistry())
    criteria = InclusionCriteria(Settings().min_quality, Settings().enter_frames)
    stage = ClassifierStage(Moody(prior), metrics, RULES, 32, baseline=baseline, criteria=criteria)
    archive = ArchiveWriter(path)
    for message in frames(name)[: None if end else -1]:
        for answer in stage([message]):
            header = answer.header
            if isinstance(header, Event):
                archive.add_event(header)
            elif isinstance(header, Emotion) and header.end:
                archive.end_run(header)
            elif isinstance(header, Emotion):
                archive.add_emotion(header)
                archive.keep_states(header, header.seq, {})
    archive.close()


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    connection = sqlite3.connect(path)
    found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    connection.close()
    return found


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_rows_are_those_of_a_run_with_the_prior_that_was_estimated(
    tmp_path: Path, baseline: bool, end: bool
) -> None:
    record(tmp_path / FIRST_PASS / DATABASE, None, baseline=False, end=end)
    settings = Settings(baseline=baseline)
    told: list[int] = []
    facts = write_second_pass(tmp_path, "r", settings, told.append)
    assert facts["name"] == "estimated"
    assert facts["wanted"]["sadness"] > facts["trained"]["sadness"]
    prior = msgspec.convert(
        {"name": "estimated", "strength": 1.0, "labels": LABELS,
         "wanted": tuple(facts["wanted"].values()), "trained": tuple(facts["trained"].values())},
        Reweighting,
    )  # fmt: skip
    record(tmp_path / "direct" / DATABASE, prior, baseline=baseline, end=end)
    expected, given = rows(tmp_path / "direct" / DATABASE), rows(tmp_path / DATABASE)
    # The model failed for a while: who was there then is not recorded, and nobody has left.
    for table in TABLES:
        assert given[table] == expected[table], table
    assert any(row[5] == "change" for row in given["events"])
    again = write_second_pass(tmp_path, "r", settings, told.append)
    assert again == facts
    assert rows(tmp_path / DATABASE) == given


def test_the_frames_of_a_second_count_once(tmp_path: Path) -> None:
    record(tmp_path / DATABASE, None, baseline=False)
    with ArchiveReader(tmp_path / DATABASE) as reader:
        (run,) = reader.runs()
        observed = face_seconds(reader, run)
        assert len(observed) == FRAMES // FPS - 1 + 2
        assert observed.sum(axis=1) == pytest.approx(1)
        prior = fitted(unestimated(Settings()), observed, reader.labels)
    assert sum(prior.wanted) == pytest.approx(1)


def test_a_recording_without_a_face_has_the_shares_in_training(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / FIRST_PASS / DATABASE)
    end = frames()[-1].header
    archive.end_run(msgspec.structs.replace(end, frames=0))
    archive.close()
    facts = write_second_pass(tmp_path, "r", Settings(), lambda done: None)
    assert facts["faces"] == 0
    assert facts["wanted"] == pytest.approx(facts["trained"])
    assert len(rows(tmp_path / DATABASE)["runs"]) == 1


def test_the_first_pass_takes_the_probabilities_as_they_are() -> None:
    settings = Settings(prior="uniform", prior_strength=0.5, baseline=True, smoothing=1.0)
    first = second_pass.first_pass_config(Config(classifier=settings)).classifier
    assert (first.prior, first.prior_strength, first.baseline) == (None, 0, False)
    assert first.smoothing == 1


def test_a_model_without_shares_cannot_be_estimated(tmp_path: Path) -> None:
    model = tmp_path / "mine.onnx"
    model.write_bytes(b"")
    model.with_suffix(".toml").write_text('labels = ["a", "b"]\nscaling = "0..1"\n', "utf-8")
    with pytest.raises(ConfigError, match="model mine does not state"):
        unestimated(Settings(model=str(model)))


def test_an_analysis_says_what_it_estimated_and_goes_on_after_a_stop(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    statuses = iter(["partial", "complete"])

    def run_stages(config: Config, run: RunFile, folder: Path, on_progress: object) -> None:
        assert (config.classifier.prior_strength, config.classifier.baseline) == (0, False)
        run.status = cast(Status, next(statuses))
        path = Path(config.recorder.folder) / DATABASE
        path.unlink(missing_ok=True)
        record(path, None, baseline=False, end=run.status == "complete", name=run.run)

    monkeypatch.setattr(video_job, "run_stages", run_stages)
    film = Clip(range(FRAMES)).write(tmp_path / "film.mp4")
    words = ["analyze", "--out", str(tmp_path / "out"), "--no-video"]
    assert main([*words, str(film), "--prior", "estimate"]) == ExitCode.STOPPED
    folder = tmp_path / "out" / "film"
    assert (folder / FIRST_PASS).exists()
    assert "prior estimated from 9 face-seconds: " in capsys.readouterr().out
    assert main([*words, "--resume"]) == ExitCode.OK
    assert not (folder / FIRST_PASS).exists()
    prior = RunFile.read(folder).prior
    assert (prior["name"], prior["faces"], prior["strength"]) == ("estimated", 9, 1)
    assert sum(prior["shares"].values()) == pytest.approx(1)
    assert "prior estimated from 9 face-seconds: " in capsys.readouterr().out
    assert "prior estimated from 9 face-seconds: " in (folder / "report.html").read_text("utf-8")
