"""A face is away while frames show that it is: frames that are far apart are no absence."""

from collections.abc import Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from emostream.models.labels import LABELS
from emostream.models.prior import Reweighting
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import ShownLabel, SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.services.detector.detection import Detection
from emostream.services.detector.tracking import Tracker, track_ids
from emostream.shared.absence import AbsenceClock
from emostream.shared.messages import Event, Face, Faces, Message

NS = 10**9
FACE = Detection((100.0, 100.0, 60.0, 60.0), 0.9)


def tracks(times: Sequence[float], seen: Sequence[bool], *, recorded: bool) -> list[int | None]:
    """Return the number of the track of a face that is seen, or not, in frames at `times` (s)."""
    tracker = Tracker(track_ids(0))
    found: list[int | None] = []
    for time, is_seen in zip(times, seen, strict=True):
        detections = [FACE] if is_seen else []
        answer = tracker.update(detections, round(time * NS), recorded=recorded)
        found.append(answer[0][0] if answer else None)
    return found


def events(times: Sequence[float], seen: Sequence[bool], *, recorded: bool) -> list[str]:
    """Return the kinds of a face's events, `-` for a frame without one."""
    stage = ClassifierStage(
        Happy(), ClassifierMetrics(CollectorRegistry()), SmoothingRules(), max_batch=1
    )
    found = []
    for seq, (time, is_seen) in enumerate(zip(times, seen, strict=True)):
        faces = (Face(7, FACE.box, 0.9, ()),) if is_seen else ()
        header = Faces(
            stream="a", run="r", seq=seq, t=0, pts=round(time * NS), marks={}, width=9, height=9,
            faces=faces, crop=(2, 2), part=0, parts=1, recorded=recorded,
        )  # fmt: skip
        answers = [one.header for one in stage([Message(header, bytes(4 * len(faces)))])]
        kinds = [one.kind for one in answers if isinstance(one, Event)]
        found.append(" ".join(kinds) or "-")
    return found


class Happy:
    """A model that sees happiness everywhere."""

    name = "toy"
    labels: tuple[str, ...] = LABELS
    sha256 = ""
    device = "cpu"
    engine = "fake"
    prior: Reweighting | None = None

    def predict(self, crops: np.ndarray) -> np.ndarray:
        return np.tile(np.eye(len(LABELS), dtype=np.float32)[1], (len(crops), 1))


@pytest.mark.parametrize("step", [0.04, 0.9, 1.0, 1.1, 2.0, 600.0])
def test_a_face_that_is_in_every_frame_keeps_its_track(step: float) -> None:
    times = [step * n for n in range(20)]
    seen = [True] * 20
    assert len(set(tracks(times, seen, recorded=True))) == 1
    assert events(times, seen, recorded=True) == ["enter"] + ["-"] * 19


@pytest.mark.parametrize("step", [2.0, 600.0])
def test_a_single_frame_without_it_is_no_absence_and_two_are(step: float) -> None:
    times = [step * n for n in range(7)]
    seen = [True, True, False, True, False, False, False]
    assert len({one for one in tracks(times, seen, recorded=True) if one}) == 1
    assert events(times, seen, recorded=True) == ["enter", "-", "-", "-", "-", "leave", "-"]
    back = [True, False, False, False, True, True, True]
    assert len({one for one in tracks(times, back, recorded=True) if one}) == 2


@pytest.mark.parametrize("hole", [1.28, 70.0])
def test_a_hole_in_a_recording_ends_no_track(hole: float) -> None:
    times = [*(n / 25 for n in range(10)), *(hole + n / 25 for n in range(10, 20))]
    seen = [True] * 20
    assert len(set(tracks(times, seen, recorded=True))) == 1
    assert "leave" not in events(times, seen, recorded=True)


def test_a_live_stream_that_stops_ends_its_tracks() -> None:
    times = [*(n / 25 for n in range(10)), *(5 + n / 25 for n in range(10, 20))]
    seen = [True] * 20
    assert len(set(tracks(times, seen, recorded=False))) == 2
    gone = [True] * 10 + [False] * 10
    assert events(times, gone, recorded=False)[10] == "leave"


def test_a_live_stream_of_few_frames_keeps_them() -> None:
    times = [2.0 * n for n in range(20)]
    # Its first pause may be a stop.
    assert len(set(tracks(times, [True] * 20, recorded=False))) == 2


@pytest.mark.parametrize("recorded", [True, False])
def test_absence_in_dense_frames_counts_in_full(recorded: bool) -> None:
    times = [n / 25 for n in range(60)]
    seen = [True] * 5 + [False] * 55
    found = events(times, seen, recorded=recorded)
    # Seen last in frame 4, so gone a second later.
    assert found.index("leave") == 4 + 25


def test_frames_out_of_order_make_nobody_leave_early() -> None:
    # Each second frame comes 40 ms too late: the clock continues by 40 ms per frame nevertheless.
    times = [(n + (1 if n % 2 else -1)) / 25 for n in range(60)]
    found = events(times, [True] * 5 + [False] * 55, recorded=True)
    assert found.index("leave") == pytest.approx(4 + 25, abs=2)


def test_a_clock_that_is_set_back_lets_absence_go_on() -> None:
    times = [*(100 + n / 25 for n in range(10)), *(n / 25 for n in range(40))]
    found = events(times, [True] * 10 + [False] * 40, recorded=True)
    assert found.index("leave") == pytest.approx(10 + 25, abs=1)


def test_the_clock_goes_on_from_its_state() -> None:
    clock, other = AbsenceClock(NS), AbsenceClock(NS)
    for n in range(5):
        clock.advance(3 * n * NS, recorded=True)
    other.restore(clock.state())
    assert other.advance(20 * NS, recorded=True) == clock.advance(20 * NS, recorded=True)


def test_a_label_changes_also_where_frames_are_out_of_order() -> None:
    happy, sad = np.eye(len(LABELS))[1], np.eye(len(LABELS))[3]
    shown = ShownLabel(SmoothingRules(), happy, 0)
    times = [(n + (1 if n % 2 else -1)) / 25 for n in range(1, 60)]
    changes = [shown.update(sad, round(time * NS)) for time in times]
    assert changes.count(True) == 1
    assert changes.index(True) < 25


def test_repeated_times_change_nothing_by_themselves() -> None:
    happy, sad = np.eye(len(LABELS))[1], np.eye(len(LABELS))[3]
    shown = ShownLabel(SmoothingRules(), happy, 0)
    assert not any(shown.update(sad, 0) for _ in range(50))
    assert shown.smoothed[1] == 1
