"""The classifier's answers to `faces/` messages."""

from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from emostream.models.prior import Reweighting
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import NS, SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.shared.errors import ModelError
from emostream.shared.messages import Emotion, Event, Face, Faces, Message
from emostream.shared.wire import decode, encode

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
FRAME = NS // 25
BROKEN = 255


class Model:
    """Sees the label in a crop's brightness; fails on a batch with a `BROKEN` one."""

    def __init__(self, labels: tuple[str, ...] = LABELS, name: str = "toy") -> None:
        self.name, self.labels, self.sha256, self.engine = name, labels, "0a1b", "fake"
        self.device = "cpu"
        self.prior: Reweighting | None = None
        self.batches: list[tuple[int, ...]] = []

    def predict(self, crops: np.ndarray) -> np.ndarray:
        assert crops.dtype == np.uint8
        self.batches.append(crops.shape)
        if (crops == BROKEN).any():
            raise ModelError("no memory on the accelerator")
        rows = np.full((len(crops), len(self.labels)), 0.14 / (len(self.labels) - 1), np.float32)
        rows[np.arange(len(crops)), crops[:, 0, 0]] = 0.86
        return rows


class Wrong(Model):
    """Answers with something else."""

    def __init__(self, answer: Callable[[int], np.ndarray]) -> None:
        super().__init__()
        self.answer = answer

    def predict(self, crops: np.ndarray) -> np.ndarray:
        return self.answer(len(crops))


class Bench:
    """A stage with its model and its metrics."""

    def __init__(
        self,
        max_batch: int = 32,
        model: Model | None = None,
        baseline: bool = False,
        **rules: float,
    ) -> None:
        self.registry = CollectorRegistry()
        self.model = model or Model()
        self.stage = ClassifierStage(
            self.model, ClassifierMetrics(self.registry), SmoothingRules(**rules), max_batch,
            baseline=baseline,
        )  # fmt: skip

    def __call__(self, *messages: Message) -> list[Emotion | Event]:
        headers = [answer.header for answer in self.stage(messages)]
        answers = [header for header in headers if isinstance(header, Emotion | Event)]
        assert answers == headers, "a classifier gives nothing else"
        return answers

    def emotions(self, *messages: Message) -> list[Emotion]:
        return [answer for answer in self(*messages) if isinstance(answer, Emotion)]

    def events(self, *messages: Message) -> list[tuple[str, int, str, str]]:
        answers = self(*messages)
        return [(e.kind, e.track, e.label, e.previous) for e in answers if isinstance(e, Event)]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"emostream_{name}", labels)


def faces(seq: int, *tracks: int, label: int = 1, size: int = 64, **fields: Any) -> Message:
    """Return the message of a frame with a face for each of `tracks`."""
    payload = b"".join(bytes([label]) * (size * size) for _ in tracks)
    header: dict[str, Any] = {
        "stream": "cam1", "run": "r1", "seq": seq, "t": 10**18 + seq, "pts": seq * FRAME,
        "marks": {"detector": (1, 2)}, "width": 1280, "height": 720, "crop": (size, size),
        "part": 0, "parts": 1,
        "faces": tuple(Face(track, (1.0, 2.0, 30.0, 40.0), 0.9, ()) for track in tracks),
    }  # fmt: skip
    return Message(Faces(**(header | fields)), payload or None)


def remembered(bench: Bench, part: int = 0) -> int:
    """Return how many tracks of a part the stage remembers, by the state that it hands on."""
    state = bench.stage.state(faces(0, part=part).header)
    return len(msgpack.unpackb(state)[1]) if state else 0


def signal(seq: int, **fields: Any) -> Message:
    """Return a probe or an end."""
    return faces(seq, **fields)


def test_a_frame_is_answered_with_its_own_header_events_first() -> None:
    bench = Bench()
    enter, emotion = bench(faces(5, 41, part=2, parts=4))
    assert isinstance(enter, Event)
    assert isinstance(emotion, Emotion)
    for answer in (enter, emotion):
        assert (answer.stream, answer.run, answer.seq) == ("cam1", "r1", 5)
        assert (answer.t, answer.pts) == (10**18 + 5, 5 * FRAME)
        assert answer.marks == {"detector": (1, 2)}
    assert (emotion.part, emotion.parts, emotion.model) == (2, 4, "toy")
    assert emotion.degraded is False
    (face,) = emotion.faces
    assert (face.track, face.box, face.label) == (41, (1.0, 2.0, 30.0, 40.0), "happiness")
    assert tuple(face.probabilities) == tuple(face.smoothed) == LABELS
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert face.confidence == face.smoothed["happiness"] == pytest.approx(0.86)


def test_answers_travel() -> None:
    bench = Bench()
    for answer in bench.stage([faces(0, 1), signal(1, end=True, frames=1)]):
        assert decode(encode(answer)).header == answer.header


def test_a_frame_without_faces_is_answered_without_the_model() -> None:
    bench = Bench()
    (emotion,) = bench(faces(0))
    assert isinstance(emotion, Emotion)
    assert (emotion.faces, emotion.degraded) == ((), False)
    assert bench.model.batches == []
    assert bench() == []


@pytest.mark.parametrize(
    ("max_batch", "batches"), [(32, [5]), (5, [5]), (2, [2, 2, 1]), (1, [1, 1, 1, 1, 1])]
)
def test_faces_of_all_streams_share_batches(max_batch: int, batches: list[int]) -> None:
    bench = Bench(max_batch)
    messages = [
        faces(0, 1, 2, label=3), faces(9, stream="cam2"), faces(4, 5, 6, 7, label=2, stream="cam3"),
    ]  # fmt: skip
    emotions = bench.emotions(*messages)
    assert [size for size, _, _ in bench.model.batches] == batches
    assert [(e.stream, e.seq) for e in emotions] == [("cam1", 0), ("cam2", 9), ("cam3", 4)]
    assert [[face.label for face in e.faces] for e in emotions] == [
        ["sadness"] * 2, [], ["surprise"] * 3,
    ]  # fmt: skip


def test_crops_of_two_sizes_go_in_batches_of_their_own() -> None:
    bench = Bench()
    emotions = bench.emotions(
        faces(0, 1, label=1), faces(0, 2, label=2, size=48, stream="b"), faces(1, 1, label=1)
    )
    assert sorted(bench.model.batches) == [(1, 48, 48), (2, 64, 64)]
    labels = [emotion.faces[0].label for emotion in emotions]
    assert labels == ["happiness", "surprise", "happiness"]


def test_a_change_says_what_was_before_and_since_when() -> None:
    bench = Bench()
    stay = [faces(seq, 7, label=1) for seq in range(50)]
    turn = [faces(seq, 7, label=4) for seq in range(50, 100)]
    assert bench.events(*stay) == [("enter", 7, "happiness", "")]
    answers = bench(*turn)
    (change,) = (answer for answer in answers if isinstance(answer, Event))
    assert (change.kind, change.label, change.previous) == ("change", "anger", "happiness")
    assert 50 * FRAME < change.since < change.pts < 50 * FRAME + NS
    after = next(a for a in answers if isinstance(a, Emotion) and a.seq == change.seq)
    assert after.faces[0].label == "anger"
    assert after.faces[0].confidence == change.confidence


def test_a_track_leaves_once_when_it_was_absent_long_enough() -> None:
    bench = Bench(leave_after=1.0)
    bench(faces(0, 7, 8, label=5))
    for seq in range(1, 25):
        assert bench.events(faces(seq, 8, label=5)) == []
    (leave,) = [a for a in bench(faces(25, 8, label=5)) if isinstance(a, Event)]
    assert (leave.kind, leave.track, leave.label, leave.since) == ("leave", 7, "disgust", 0)
    assert leave.seq == 25
    assert bench.events(*[faces(seq, 8, label=5) for seq in range(26, 100)]) == []
    assert bench.events(faces(100, 7, 8, label=5)) == [("enter", 7, "disgust", "")]


def test_a_track_that_is_there_after_a_long_gap_of_frames_never_left() -> None:
    bench = Bench()
    bench(faces(0, 7))
    assert bench.events(faces(250, 7)) == []


def test_absence_is_judged_by_the_tracks_own_stream_and_part() -> None:
    bench = Bench()
    bench(faces(0, 8, part=0, parts=2), faces(0, 7, part=1, parts=2))
    others = [
        message
        for seq in range(1, 100)
        for message in (faces(seq, 8, part=0, parts=2), faces(seq, 3, stream="cam2"))
    ]
    assert bench.events(*others) == [("enter", 3, "happiness", "")]
    assert bench.events(faces(99, part=1, parts=2)) == [("leave", 7, "happiness", "")]


def test_a_new_run_lets_the_tracks_before_it_leave_under_the_old_run() -> None:
    bench = Bench()
    bench(faces(9, 7))
    leave, enter, _ = bench(faces(0, 8, run="r2"))
    assert isinstance(leave, Event)
    assert isinstance(enter, Event)
    assert (leave.kind, leave.track, leave.run, leave.seq) == ("leave", 7, "r1", 9)
    assert (enter.kind, enter.track, enter.run, enter.seq) == ("enter", 8, "r2", 0)


def test_an_end_lets_the_tracks_of_its_part_leave_and_is_passed_on() -> None:
    bench = Bench()
    bench(faces(9, 7, part=0, parts=2), faces(9, 8, part=1, parts=2))
    leave, end = bench(signal(10, end=True, frames=10, part=1, parts=2))
    assert isinstance(leave, Event)
    assert (leave.kind, leave.track, leave.end) == ("leave", 8, False)
    assert isinstance(end, Emotion)
    assert (end.end, end.frames, end.seq, end.faces) == (True, 10, 10, ())
    assert remembered(bench, part=0) == 1
    assert remembered(bench, part=1) == 0
    (again,) = bench(signal(10, end=True, frames=10, part=1, parts=2))
    assert again.end


def test_a_probe_is_passed_on_in_order_and_moves_nobody() -> None:
    bench = Bench()
    answers = bench(faces(0, 7), signal(0, probe=True, pid=77, base=3, pts=99 * NS), faces(1, 7))
    emotions = [answer for answer in answers if isinstance(answer, Emotion)]
    assert [(e.probe, e.pid, e.base) for e in emotions] == [
        (False, 0, 0), (True, 77, 3), (False, 0, 0),
    ]  # fmt: skip
    assert len(answers) == 4


def test_memory_is_flat() -> None:
    bench = Bench()
    most = 0
    for seq in range(3000):
        bench(faces(seq, seq))
        most = max(most, remembered(bench))
    assert most <= 26


def test_pts_that_start_over_let_nobody_leave_early_or_never() -> None:
    bench = Bench()
    bench(faces(1000, 7, 8))
    assert bench.events(faces(1001, 7, pts=0)) == []
    again = [faces(1002 + n, 7, pts=n * FRAME) for n in range(30)]
    assert bench.events(*again) == [("leave", 8, "happiness", "")]


def test_a_model_that_fails_degrades_its_frames_alone_and_is_said() -> None:
    bench = Bench(max_batch=2)
    bench(faces(0, 7, label=1))
    answers = bench(
        faces(1, 7, 8, label=1), faces(1, 9, 10, label=BROKEN, stream="cam2"), faces(2, 7, label=1)
    )
    emotions = {(a.stream, a.seq): a for a in answers if isinstance(a, Emotion)}
    broken = emotions.pop(("cam2", 1))
    assert (broken.degraded, broken.faces) == (True, ())
    assert all(e.faces and not e.degraded for e in emotions.values())
    assert bench.metric("degraded_total", stream="cam2") == 1
    assert bench.metric("degraded_total", stream="cam1") == 0
    bench(faces(2, 9, label=BROKEN, stream="cam2"))
    assert "no memory" in bench.stage.failure
    bench(faces(3, 7, label=1))
    assert bench.stage.failure == ""


def test_a_model_that_fails_for_long_makes_nobody_leave() -> None:
    bench = Bench()
    bench(faces(0, 7))
    answers = bench(*[faces(seq, 7, 8, label=BROKEN) for seq in range(1, 100)])
    assert all(isinstance(a, Emotion) and a.degraded for a in answers)
    assert bench.events(faces(100, 7, 8)) == [("enter", 8, "happiness", "")]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda faces: np.full((faces, 8), np.nan, np.float32),
        lambda faces: np.ones((faces, 7), np.float32),
        lambda faces: np.ones((1, 8), np.float32),
    ],
    ids=["not finite", "another number of labels", "another number of faces"],
)
def test_what_is_no_answer_is_never_shown(wrong: Callable[[int], np.ndarray]) -> None:
    bench = Bench(model=Wrong(wrong))
    (emotion,) = bench(faces(0, 7, 8))
    assert isinstance(emotion, Emotion)
    assert (emotion.degraded, emotion.faces) == (True, ())
    assert bench.stage.failure


def test_metrics_say_what_went_out() -> None:
    bench = Bench()
    bench(faces(0, 1, 2, 3, label=1), faces(0, label=1, stream="cam2"), faces(1, 1, 2, label=1))
    bench(signal(2, end=True, frames=2))
    assert bench.metric("emotions_total", label="happiness") == 5
    assert bench.metric("emotions_total", label="fear") == 0
    assert bench.metric("events_total", kind="enter") == 3
    assert bench.metric("events_total", kind="change") == 0
    assert bench.metric("events_total", kind="leave") == 3
    assert bench.metric("batch_size_count") == 1
    assert bench.metric("batch_size_sum") == 5
    facts = {"model": "toy", "sha256": "0a1b", "engine": "fake", "device": "cpu"}
    assert bench.metric("model_info", **facts) == 1
