"""When the display may do with few frames: nobody looks, and the pipeline has no time for all."""

import pytest

from emostream.services.display.frame_need import FrameNeed
from tests.builders import Clock


@pytest.mark.parametrize(
    ("watched", "analyzed", "few"),
    [(False, 0.5, True), (True, 0.5, False), (False, 0.8, False), (False, 1.0, False)],
)
def test_few_frames_are_enough_where_nobody_looks_and_others_lack_time(
    watched: bool, analyzed: float, few: bool
) -> None:
    clock = Clock()
    need = FrameNeed(lambda: watched, lambda: analyzed, clock)
    assert not need.few_are_enough()
    clock.now += 1.0
    assert need.few_are_enough() is few


def test_who_looks_gets_every_frame_at_once() -> None:
    clock = Clock()
    viewers: list[str] = []
    need = FrameNeed(lambda: bool(viewers), lambda: 0.3, clock)
    clock.now += 1.0
    assert need.few_are_enough()
    viewers.append("somebody")
    assert not need.few_are_enough()
    viewers.clear()
    assert need.few_are_enough()


def test_between_overload_and_none_nothing_changes() -> None:
    clock = Clock()
    shares = iter([0.5, 0.8, 0.95, 0.8])
    need = FrameNeed(lambda: False, lambda: next(shares), clock)
    found = []
    for _ in range(4):
        clock.now += 1.0
        found.append(need.few_are_enough())
    assert found == [True, True, False, False]
