"""The join of frames with their results."""

import pytest

from emostream.shared.join import StreamJoin
from emostream.shared.messages import Message
from tests import builders
from tests.builders import face, frame


def emotion(seq: int, part: int = 0, parts: int = 1, run: str = "r") -> Message:
    """Return the results of one face in each part."""
    return Message(builders.emotion(seq, face(part), part=part, parts=parts, run=run))


def out(join: StreamJoin, now: float) -> list[tuple[int, bool, int]]:
    return [(item.frame.header.seq, item.whole, len(item.faces)) for item in join.ready(now)]


def test_a_frame_waits_for_its_result_and_leaves_with_it() -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    assert out(join, 0.1) == []
    join.add(emotion(0), 0.1)
    assert out(join, 0.1) == [(0, True, 1)]
    assert len(join) == 0


def test_a_result_that_overtakes_its_frame_is_kept_for_it() -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    join.add(emotion(0), 0.0)
    join.add(emotion(1), 0.0)
    assert out(join, 0.0) == [(0, True, 1)]
    join.add(frame(1), 0.1)
    assert out(join, 0.1) == [(1, True, 1)]


def test_a_frame_without_result_leaves_after_the_wait() -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    assert out(join, 0.49) == []
    assert out(join, 0.5) == [(0, False, 0)]


def test_a_frame_that_was_passed_over_leaves_at_once_and_in_order() -> None:
    join = StreamJoin(0.5)
    for seq in range(3):
        join.add(frame(seq), 0.0)
    join.add(emotion(2), 0.1)
    assert out(join, 0.1) == [(0, False, 0), (1, False, 0), (2, True, 1)]


def test_a_frame_is_whole_with_all_its_parts() -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    join.add(emotion(0, part=1, parts=2), 0.0)
    assert out(join, 0.0) == []
    join.add(emotion(0, part=0, parts=2), 0.0)
    assert out(join, 0.0) == [(0, True, 2)]


def test_a_missing_part_is_given_up_when_its_later_one_comes() -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    join.add(frame(1), 0.0)
    join.add(emotion(0, part=0, parts=2), 0.0)
    join.add(emotion(1, part=0, parts=2), 0.0)
    assert out(join, 0.0) == []
    join.add(emotion(1, part=1, parts=2), 0.0)
    assert out(join, 0.0) == [(0, False, 1), (1, True, 2)]


def test_a_restart_hands_out_what_waited_and_ignores_late_results_of_the_old_run() -> None:
    join = StreamJoin(0.5)
    join.add(frame(8, run="old"), 0.0)
    join.add(frame(0, run="new"), 0.1)
    join.add(emotion(8, run="old"), 0.1)
    join.add(emotion(0, run="new"), 0.1)
    assert out(join, 0.1) == [(8, False, 0), (0, True, 1)]


def test_memory_is_bounded_by_the_wait() -> None:
    join = StreamJoin(0.5)
    for seq in range(1000):
        now = seq * 0.04
        join.add(frame(seq), now)
        list(join.ready(now))
        assert len(join) <= 0.5 / 0.04 + 1


def test_a_number_of_parts_beyond_all_measure_only_lets_the_frame_wait() -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    join.add(emotion(0, parts=10**12), 0.0)
    assert out(join, 0.1) == []
    assert out(join, 0.5) == [(0, False, 1)]


def test_what_came_of_a_frame_s_results_is_told() -> None:
    join = StreamJoin(0.5)
    for seq in range(3):
        join.add(frame(seq), 0.0)
    for message in (emotion(0, 0, 2), emotion(0, 1, 2), emotion(1, 0, 2)):
        join.add(message, 0.0)
    told = [joined.completeness for joined in join.ready(1.0)]
    assert told == ["whole", "partial", "none"]


def test_results_beyond_all_frames_change_nothing() -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    join.add(emotion(2**52), 0.0)
    assert out(join, 0.1) == []
    assert out(join, 0.6) == [(0, False, 0)]
    for seq in (1, 2):
        join.add(frame(seq), 1.0)
        join.add(emotion(seq), 1.0)
    assert out(join, 1.0) == [(1, True, 1), (2, True, 1)]
    assert len(join) == 0


@pytest.mark.parametrize("leap", [900, 2**52])
def test_the_frames_go_on_after_one_that_did_not_belong_to_them(leap: int) -> None:
    join = StreamJoin(0.5)
    join.add(frame(0), 0.0)
    join.add(frame(leap), 0.0)
    assert out(join, 1.0) == [(0, False, 0), (leap, False, 0)]
    for seq in range(1, 6):
        join.add(frame(seq), 1.0 + seq)
        join.add(emotion(seq), 1.0 + seq)
    assert [seq for seq, whole, _ in out(join, 9.0) if whole] == [3, 4, 5]


def test_a_frame_that_is_sent_again_is_not_shown_again() -> None:
    join = StreamJoin(0.5)
    for seq in (0, 1, 0, 1, 2):
        join.add(frame(seq), 0.0)
        list(join.ready(1.0))
    assert out(join, 1.0) == []
