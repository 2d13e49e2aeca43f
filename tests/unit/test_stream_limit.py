"""The bound on the streams that a process remembers: which of them go, and for whom."""

import pytest

from emostream.shared.errors import MessageError
from emostream.shared.stream_limit import StreamLimit
from tests.builders import Clock


class Rig:
    def __init__(self, limit: int) -> None:
        self.clock = Clock()
        self.gone: list[str] = []
        self.limit = StreamLimit(limit, 10.0, self.gone.append, self.clock)

    def hear(self, *streams: str, seconds: float = 0.0) -> None:
        for stream in streams:
            self.clock.now += seconds
            self.limit.admit(stream)


def test_up_to_the_limit_all_stay() -> None:
    rig = Rig(3)
    rig.hear("a", "b", "c", "a", "b", "c", seconds=100)
    assert rig.gone == []
    assert all(stream in rig.limit for stream in "abc")


def test_the_longest_silent_goes() -> None:
    rig = Rig(3)
    rig.hear("a", "b", "c", "a", "d", "e")
    assert rig.gone == ["b", "c"]
    assert "b" not in rig.limit
    rig.hear("b")
    assert "b" in rig.limit


def test_invented_names_push_out_no_camera() -> None:
    rig = Rig(4)
    cameras = ("cam1", "cam2")
    for _ in range(50):
        rig.hear(*cameras, seconds=0.02)
    for number in range(20_000):
        rig.hear(f"x{number}")
    assert len(rig.gone) == 20_000 - 2
    assert not set(cameras) & set(rig.gone)


def test_cameras_that_are_off_make_room_and_those_that_send_do_not() -> None:
    rig = Rig(2)
    for _ in range(20):
        rig.hear("cam1", "cam2", seconds=0.1)
    with pytest.raises(MessageError, match=r"live\.max_streams = 2") as caught:
        rig.hear("cam3")
    assert caught.value.reason == "streams"
    for _ in range(120):
        rig.hear("cam2", seconds=0.1)
    rig.hear("cam3")
    assert rig.gone == ["cam1"]
