"""Ids stay with a face through losses and crossings, and are never given twice."""

import time
from itertools import islice

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from emostream.services.detector.assignment import assign
from emostream.services.detector.detection import Detection
from emostream.services.detector.tracking import Tracker, pairwise_diou, track_ids

START = 1_800_000_000
FRAME = 40_000_000


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(track_ids(START))


def box_at(x: float, y: float = 100.0, side: float = 60.0, score: float = 0.9) -> Detection:
    """A face whose middle is at (x, y)."""
    return Detection((x - side / 2, y - side / 2, side, side), score)


def ids(tracked: list[tuple[int, Detection]]) -> list[int]:
    return [track for track, _ in tracked]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (2, 5), (5, 2), (6, 6)])
@pytest.mark.parametrize("seed", range(20))
def test_the_assignment_is_the_best_there_is(shape: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    # Whole numbers bring ties.
    costs = random.random(shape) if seed % 2 else random.integers(0, 3, shape).astype(float)
    pairs = assign(costs)
    assert len(pairs) == min(shape)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert sum(costs[pair] for pair in pairs) == pytest.approx(
        costs[linear_sum_assignment(costs)].sum()
    )


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0.0, 0.0, 2.0, 2.0), 1),
        ((2.0, 0.0, 2.0, 2.0), -0.2),
        ((6.0, 0.0, 2.0, 2.0), -36 / 68),
        ((1.0, 0.0, 2.0, 2.0), 1 / 3 - 1 / 13),
    ],
)
def test_distance_iou(other: tuple[float, ...], expected: float) -> None:
    assert pairwise_diou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([other])) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 2), (2, 0)])
def test_distance_iou_of_nothing(n: int, m: int) -> None:
    assert pairwise_diou(np.ones((n, 4)), np.ones((m, 4))).shape == (n, m)


def test_ids_rise_and_fit_javascript() -> None:
    first, second = islice(track_ids(START + 0.7), 2)
    assert first >> 20 == START
    assert second == first + 1
    assert next(track_ids(START + 1)) > first + 1_000_000
    # Until the year 2242 or so.
    assert next(track_ids(8_500_000_000)) < 2**53


def test_each_face_gets_its_own_id(tracker: Tracker) -> None:
    first = ids(tracker.update([box_at(100), box_at(400)], 0))
    assert len(set(first)) == 2
    assert ids(tracker.update([box_at(401), box_at(102)], FRAME)) == first[::-1]


@pytest.mark.parametrize("speed", [0.0, 5.0, 25.0, 45.0])
def test_a_moving_face_keeps_its_id(tracker: Tracker, speed: float) -> None:
    seen = {
        track
        for frame in range(20)
        for track in ids(tracker.update([box_at(100 + speed * frame)], frame * FRAME))
    }
    assert len(seen) == 1


@pytest.mark.parametrize("hidden", [range(0), range(18, 23), range(15, 26)])
def test_faces_that_cross_keep_their_ids(tracker: Tracker, hidden: range) -> None:
    """Two faces walk through each other at different heights; one is hidden meanwhile."""
    random = np.random.default_rng(4)
    first: list[int] = []
    for frame in range(41):
        jitter = random.normal(0, 1, 4)
        right = box_at(200 + 8 * frame + jitter[0], 100 + jitter[1])
        left = box_at(520 - 8 * frame + jitter[2], 115 + jitter[3])
        visible = [right] if frame in hidden else [right, left]
        now = ids(tracker.update(visible, frame * FRAME))
        first = first or now
    assert now == first


def test_a_short_loss_keeps_the_id(tracker: Tracker) -> None:
    for frame in range(10):
        before = ids(tracker.update([box_at(100 + 6 * frame)], frame * FRAME))
    for frame in range(10, 20):
        assert tracker.update([], frame * FRAME) == []
    assert ids(tracker.update([box_at(100 + 6 * 20)], 20 * FRAME)) == before


@pytest.mark.parametrize(
    ("seconds", "same"), [(0.9, True), (1.0, True), (1.01, False), (60, False)]
)
def test_absence_ends_a_track(tracker: Tracker, seconds: float, same: bool) -> None:
    before = ids(tracker.update([box_at(100)], 5))
    after = ids(tracker.update([box_at(100)], 5 + int(seconds * 1e9)))
    assert (after == before) is same


def test_a_face_elsewhere_is_another_face(tracker: Tracker) -> None:
    before = ids(tracker.update([box_at(100)], 0))
    assert ids(tracker.update([box_at(400)], FRAME)) != before


def test_a_face_of_quite_another_size_is_another_face(tracker: Tracker) -> None:
    before = ids(tracker.update([box_at(100, side=20)], 0))
    assert ids(tracker.update([box_at(140, side=200)], FRAME)) != before


def test_a_weak_face_goes_on_but_does_not_begin(tracker: Tracker) -> None:
    assert tracker.update([box_at(100, score=0.4)], 0) == []
    before = ids(tracker.update([box_at(100, score=0.5)], FRAME))
    assert ids(tracker.update([box_at(100, score=0.4)], 2 * FRAME)) == before


def test_missing_faces_are_expected_where_they_move_to(tracker: Tracker) -> None:
    for frame in range(10):
        tracker.update([box_at(100 + 10 * frame), box_at(600)], frame * FRAME)
    (missing,) = tracker.missing([box_at(600)], 10 * FRAME)
    assert missing == pytest.approx(box_at(200).box, abs=3)
    assert tracker.missing([box_at(200), box_at(600)], 10 * FRAME) == []
    long_after = 10 * FRAME + 600_000_000
    assert tracker.missing([], long_after) == []


def test_what_is_expected_changes_with_each_frame(tracker: Tracker) -> None:
    tracker.update([box_at(100)], 0)
    tracker.update([box_at(110)], FRAME)
    later, first = tracker.expected(3 * FRAME), tracker.expected(2 * FRAME)
    assert later != first == tracker.expected(2 * FRAME)
    # Found elsewhere, it is expected elsewhere at the same time.
    tracker.update([box_at(90)], 2 * FRAME)
    assert tracker.expected(2 * FRAME) != first
    tracker.restore(tracker.state())
    assert tracker.expected_count(3 * FRAME) == len(tracker.expected(3 * FRAME)) == 1
    tracker.end_tracks()
    assert tracker.expected_count(3 * FRAME) == 0
    assert tracker.expected(3 * FRAME) == []


def test_a_clock_that_stands_still_or_goes_back_is_survived(tracker: Tracker) -> None:
    before = ids(tracker.update([box_at(100)], 10 * FRAME))
    assert ids(tracker.update([box_at(102)], 10 * FRAME)) == before
    assert ids(tracker.update([box_at(104)], 9 * FRAME)) == before


def test_a_crowd_of_which_some_are_gone_keeps_its_ids_within_seconds(tracker: Tracker) -> None:
    """The best assignment of so many takes seconds."""
    places = [(100.0 * column, 100.0 * row) for row in range(30) for column in range(30)]
    before = ids(tracker.update([box_at(x, y) for x, y in places], 0))
    began = time.process_time()
    # As many as are gone have a second detection, so that no pair is left over.
    stay = [box_at(x, y) for x, y in places[:600]]
    beside = [box_at(x + 30, y + 30) for x, y in places[:300]]
    assert ids(tracker.update([*stay, *beside], FRAME))[:600] == before[:600]
    assert time.process_time() - began < 1


def test_no_face_for_an_hour(tracker: Tracker) -> None:
    before = ids(tracker.update([box_at(100)], 0))
    for second in range(3600):
        assert tracker.update([], second * 1_000_000_000) == []
    assert ids(tracker.update([box_at(100)], 3600 * 1_000_000_000)) != before
