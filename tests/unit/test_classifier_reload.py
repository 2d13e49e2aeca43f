"""Another model takes over in a running stage, or is refused."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from emostream.models import Classifier, weights
from emostream.models.labels import LABELS
from emostream.models.prior import choose_reweighting
from emostream.models.ray_pool.model import LiveModel
from emostream.models.spec import ModelSpec
from emostream.services.classifier import model_reloader
from emostream.services.classifier.model_reloader import ModelReloader
from emostream.services.classifier.process import open_model
from emostream.shared.config import Classifier as Settings
from emostream.shared.errors import ConfigError, EmostreamError, WeightsError
from emostream.shared.messages import Emotion, Event
from tests.builders import header_of, toml_without_prior
from tests.unit.test_classifier_stage import Bench, Model, faces

SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def test_with_the_same_labels_tracks_go_on_under_the_new_model() -> None:
    bench = Bench()
    bench(*[faces(seq, 7, label=1) for seq in range(50)])
    assert bench.stage.switch_model(Model(name="newer")) == []
    emotions = [
        header_of(message, Emotion)
        for message in bench.stage([faces(seq, 7, label=4) for seq in range(50, 53)])
    ]
    assert [emotion.model for emotion in emotions] == ["newer"] * 3
    assert emotions[0].faces[0].label == "happiness", "smoothing continues"
    assert (
        bench.metric("model_info", model="newer", sha256="0a1b", engine="fake", device="cpu") == 1
    )
    assert (
        bench.metric("model_info", model="toy", sha256="0a1b", engine="fake", device="cpu") is None
    )


def test_with_other_labels_tracks_leave_and_enter_again() -> None:
    bench = Bench()
    bench(faces(9, 7, label=1), faces(9, 8, label=2, stream="cam2"))
    messages = bench.stage.switch_model(Model(SEVEN, "seven"))
    leaves = [header_of(message, Event) for message in messages]
    assert [(e.kind, e.stream, e.track, e.label, e.seq) for e in leaves] == [
        ("leave", "cam1", 7, "happiness", 9), ("leave", "cam2", 8, "surprise", 9),
    ]  # fmt: skip
    assert bench.metric("events_total", kind="leave") == 2
    enter, emotion = bench(faces(10, 7, label=3))
    assert isinstance(enter, Event)
    assert (enter.kind, enter.track, enter.label) == ("enter", 7, "happy")
    assert isinstance(emotion, Emotion)
    assert tuple(emotion.faces[0].smoothed) == SEVEN
    assert bench.metric("emotions_total", label="happy") == 1
    assert bench.metric("emotions_total", label="sad") == 0


def test_a_model_that_takes_over_from_one_that_fails_answers() -> None:
    bench = Bench()
    bench(faces(0, 7, label=255))
    assert bench.stage.failure
    bench.stage.switch_model(Model())
    bench(faces(1, 7, label=1))
    assert bench.stage.failure == ""


class Gloomy(Model):
    """Sees sadness in every face, and neutral close behind."""

    def predict(self, crops: np.ndarray) -> np.ndarray:
        return np.tile(np.array([0.35, 0, 0.02, 0.55, 0.02, 0.02, 0.02, 0.02], np.float32),
                       (len(crops), 1))  # fmt: skip


def own(bench: Bench, seq: int) -> dict[str, float]:
    """Return the frame's own probabilities of a face that is there all the time."""
    (emotion,) = bench.emotions(faces(seq, 7, label=3))
    return emotion.faces[0].probabilities


def test_a_baseline_changes_what_goes_out_and_begins_again_with_another_model() -> None:
    plain, bench = Bench(model=Gloomy()), Bench(model=Gloomy(), baseline=True)
    for seq in range(30 * 25):
        unchanged, centered = own(plain, seq), own(bench, seq)
    assert max(unchanged, key=unchanged.__getitem__) == "sadness"
    assert max(centered, key=centered.__getitem__) == "neutral"
    assert sum(centered.values()) == pytest.approx(1)
    bench.stage.switch_model(Gloomy(name="newer"))
    assert own(bench, 751) == pytest.approx(unchanged, abs=1e-6)


def test_a_models_prior_is_in_the_header_also_after_another_has_taken_over() -> None:
    bench = Bench(model=Model())
    (emotion,) = bench.emotions(faces(0, 7))
    assert emotion.prior is None
    shares = dict.fromkeys(LABELS, 1 / 8)
    spec = ModelSpec(labels=LABELS, scaling="0..1", trained=shares)
    newer = Model(name="newer")
    newer.prior = choose_reweighting(spec, "newer", {"fear": 0.3})
    bench.stage.switch_model(newer)
    (emotion,) = bench.emotions(faces(1, 7))
    assert emotion.prior
    assert (emotion.prior.name, emotion.prior.strength) == ("given", 1)
    assert emotion.prior.shares == pytest.approx(dict.fromkeys(LABELS, 0.1) | {"fear": 0.3})
    bench.stage.switch_model(Model())
    (emotion,) = bench.emotions(faces(2, 7))
    assert emotion.prior is None


def test_a_model_that_cannot_be_reweighted_does_not_take_over(tmp_path: Path) -> None:
    settings = Settings(model=str(tmp_path / "mine.tflite"), prior="uniform")
    for suffix in (".tflite", ".toml"):
        shutil.copyfile(weights.FOLDER / f"alexnet-fer{suffix}", tmp_path / f"mine{suffix}")
    model = open_model(settings)
    assert model.prior
    assert model.prior.name == "uniform"
    (tmp_path / "mine.toml").write_text(toml_without_prior().partition("[trained]")[0], "utf-8")
    with pytest.raises(ConfigError, match="model mine does not state"):
        open_model(settings)


def test_a_model_that_a_baseline_cannot_use_changes_nothing() -> None:
    bench = Bench(baseline=True)
    with pytest.raises(ConfigError):
        bench.stage.switch_model(Model(("awake", "asleep"), "moods"))
    (emotion,) = bench.emotions(faces(1, 7))
    assert emotion.model == "toy"


class Loaded(Model):
    """A model that came from a file."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name=name)
        self.files = [path]


class File:
    """A model's file, a fake loader of it, and the result of each attempt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refusals = self.loads = 0
        self.requested, self.stop = threading.Event(), threading.Event()
        self.write("first")
        self.reloader = ModelReloader(
            self.load(), self.load, self._refused, self.requested, self.stop, poll=0.01
        )

    def write(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    def load(self) -> Classifier:
        self.loads += 1
        text = self.path.read_text()
        if text.startswith("bad"):
            raise WeightsError(f"{text} is not a model")
        return cast(Classifier, Loaded(text, self.path))

    def _refused(self) -> None:
        self.refusals += 1

    def taken(self) -> str:
        """Wait for a model that takes over; return its name."""
        models: list[LiveModel] = []

        def has_come() -> bool:
            if model := self.reloader.take():
                models.append(model)
            return bool(models)

        wait_for(has_come)
        return models[0].name


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(tmp_path / "model.keras")
    yield file
    file.stop.set()


def test_a_file_that_changes_is_loaded(file: File) -> None:
    assert file.reloader.take() is None
    file.write("second")
    assert file.taken() == "second"
    file.write("third")
    assert file.taken() == "third"


def test_a_file_that_is_replaced_as_a_whole_is_loaded(file: File, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("other")
    times = file.path.stat()
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").rename(file.path)
    assert file.taken() == "other"


def test_its_checksum_beside_it_counts_too(file: File) -> None:
    file.path.with_suffix(".sha256").write_text("0a1b")
    assert file.taken() == "first"


def test_a_bad_file_is_refused_once_and_said_in_one_line(
    file: File, caplog: pytest.LogCaptureFixture
) -> None:
    file.write("bad")
    wait_for(lambda: file.refusals)
    file.write("second")
    assert file.taken() == "second"
    assert file.refusals == 1
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "the new model is rejected, first stays in use: bad is not a model"
    ]


def test_it_is_loaded_when_asked_though_nothing_changed(file: File) -> None:
    file.requested.set()
    assert file.taken() == "first"


def test_a_file_that_was_deleted_is_waited_for(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    file.path.unlink()
    polls: list[int] = []
    states = model_reloader._states

    def counted(files: Iterable[Path]) -> object:
        polls.append(1)
        return states(files)

    monkeypatch.setattr(model_reloader, "_states", counted)
    wait_for(lambda: len(polls) > 5)
    assert (file.loads, file.refusals) == (1, 0)
    file.write("second")
    assert file.taken() == "second"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_broke_down_is_said(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file.reloader, "_load", lambda: 1 / 0)
    file.requested.set()
    with pytest.raises(EmostreamError, match="crashed"):
        file.taken()
