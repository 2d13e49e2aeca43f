"""Which faces count: good ones alone, once their track has had enough of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from emostream.models.prior import Reweighting
from emostream.services.classifier.inclusion import InclusionCriteria
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import NS, SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.shared.messages import Emotion, EmotionFace, Event, Face, Faces, Message, Quality
from tests import builders

LABELS = ("neutral", "happiness", "fear")
FRAME = NS // 25
GOOD, POOR = 0.8, 0.3


class Model:
    """Sees the label in a crop's brightness."""

    name, sha256, engine, device = "toy", "0a1b", "fake", "cpu"
    labels: tuple[str, ...] = LABELS
    prior: Reweighting | None = None

    def predict(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = np.full((len(faces), len(LABELS)), 0.05, np.float32)
        rows[np.arange(len(faces)), faces[:, 0, 0]] = 0.9
        return rows


def quality(overall: float) -> Quality:
    return Quality(40.0, 0.3, 0.5, 0.2, 0.01, 0.0, 0.0, 0.0, 0.0, overall)


class Bench:
    """A stage that shows a track from its third good frame, and what it answers to each frame."""

    def __init__(self, min_quality: float = 0.5, enter_frames: int = 3, **options: Any) -> None:
        self.registry = CollectorRegistry()
        self.stage = ClassifierStage(
            Model(),
            ClassifierMetrics(self.registry),
            SmoothingRules(),
            32,
            criteria=InclusionCriteria(min_quality, enter_frames),
            **options,
        )
        self.seq = -1

    def __call__(
        self, overall: float | None, label: int = 1, *, gap: int = 1, **fields: Any
    ) -> tuple[list[Event], EmotionFace]:
        """Answer a frame with one face of track 7."""
        self.seq += gap
        return self.answer(message(self.seq, overall, label, **fields))

    def answer(self, frame: Message) -> tuple[list[Event], EmotionFace]:
        *events, emotion = (one.header for one in self.stage([frame]))
        assert isinstance(emotion, Emotion)
        return [one for one in events if isinstance(one, Event)], emotion.faces[0]

    def left_out(self, reason: str) -> float | None:
        name = "emostream_faces_left_out_total"
        return self.registry.get_sample_value(name, {"stream": "cam1", "reason": reason})


def message(seq: int, overall: float | None, label: int = 1, **fields: Any) -> Message:
    known = None if overall is None else quality(overall)
    face = Face(7, (1.0, 2.0, 30.0, 40.0), 0.9, (), known)
    header = builders.faces(seq, face, pts=seq * FRAME, **fields)
    return Message(header, bytes([label]) * 64 * 64)


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.kind for event in events]


def test_a_track_enters_with_its_third_good_frame() -> None:
    bench = Bench()
    answers = [bench(overall) for overall in (GOOD, POOR, GOOD, POOR, GOOD, GOOD)]
    assert [kinds(events) for events, _ in answers] == [[], [], [], [], ["enter"], []]
    reasons = ["new", "quality", "new", "quality", "", ""]
    assert [face.left_out for _, face in answers] == reasons
    assert [(face.label, face.confidence > 0) for _, face in answers] == [
        *[("", False)] * 4,
        *[("happiness", True)] * 2,
    ]
    assert (bench.left_out("new"), bench.left_out("quality")) == (2, 2)
    assert all(sum(face.probabilities.values()) == pytest.approx(1) for _, face in answers)


def test_a_track_that_never_had_three_good_frames_has_no_event() -> None:
    bench = Bench()
    for overall in (GOOD, GOOD, *[POOR] * 30):
        events, face = bench(overall)
        assert (events, face.label) == ([], "")
    end = builders.faces(bench.seq + 1, end=True, frames=bench.seq + 1)
    assert [type(one.header) for one in bench.stage([Message(end)])] == [Emotion]


def test_a_face_that_cannot_be_judged_changes_nothing_of_its_track() -> None:
    bench, undisturbed = Bench(), Bench()
    for _ in range(10):
        bench(GOOD)
        undisturbed(GOOD)
    before = bench(GOOD)[1]
    undisturbed(GOOD)
    for _ in range(100):
        events, face = bench(POOR, label=2)
        assert events == []
        assert (face.label, face.confidence, face.left_out) == ("", 0.0, "quality")
        assert face.smoothed == before.smoothed
    # It was there all the time, so it did not leave, and continues where it was.
    events, face = bench(GOOD)
    assert (events, face.label) == ([], "happiness")
    assert face.smoothed == pytest.approx(undisturbed(GOOD)[1].smoothed)


def test_what_led_before_a_time_that_could_not_be_judged_has_to_lead_again() -> None:
    bench = Bench()
    for _ in range(10):
        bench(GOOD)
    for _ in range(13):  # half a second: fear has been ahead for a moment
        assert bench(GOOD, label=2)[1].label == "happiness"
    for _ in range(50):
        bench(POOR, label=2)
    events, face = bench(GOOD, label=2)
    assert (events, face.label) == ([], "happiness"), "one frame after two seconds is no proof"
    changes = [kinds(bench(GOOD, label=2)[0]) for _ in range(12)]
    assert ["change"] in changes


def test_a_face_without_a_quality_is_taken_for_a_good_one() -> None:
    bench = Bench(enter_frames=1)
    events, face = bench(None)
    assert (kinds(events), face.left_out, face.label) == (["enter"], "", "happiness")


def test_by_default_a_stage_leaves_out_nothing() -> None:
    stage = ClassifierStage(Model(), ClassifierMetrics(CollectorRegistry()), SmoothingRules(), 32)
    first = stage([message(0, 0.0)])[0].header
    assert isinstance(first, Event) and first.kind == "enter"


def test_a_restored_stage_answers_as_one_that_went_on() -> None:
    """At each frame another stage takes up what the first one remembers."""
    bench = Bench(baseline=True)
    random = np.random.default_rng(3)
    for seq in range(60):
        overall, label = float(random.choice([GOOD, POOR])), int(random.integers(3))
        frame = message(seq, overall, label)
        header = frame.header
        assert isinstance(header, Faces)
        other = Bench(baseline=True)
        other.stage.restore(header, bench.stage.state(header))
        assert other.answer(frame) == bench.answer(frame)


def test_a_baseline_is_not_learned_from_what_cannot_be_judged() -> None:
    poor, none = Bench(baseline=True, enter_frames=1), Bench(baseline=True, enter_frames=1)
    for bench in (poor, none):
        bench(GOOD, label=0)
    for _ in range(200):
        poor(POOR, label=2)
    none.seq = poor.seq
    assert poor(GOOD, label=2)[1].probabilities == pytest.approx(
        none(GOOD, label=2)[1].probabilities, abs=0.02
    )
