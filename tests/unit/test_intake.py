"""What a stage lets in from the bus: of how many streams, what of it, and when it is not ready."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from emostream.shared.config import Live
from emostream.shared.errors import MessageError
from emostream.shared.health import Health
from emostream.shared.inbox import LiveInbox
from emostream.shared.intake import Intake
from emostream.shared.messages import Frame, Message
from emostream.shared.metrics import StageMetrics
from tests import builders
from tests.builders import Clock

S = 10**9


class Rig:
    """The intake of a detector, and all that is behind it up to the stage."""

    def __init__(self, streams: int = 256) -> None:
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.metrics = StageMetrics("detector", self.registry)
        self.health = Health(10.0, clock=self.clock)
        self.health.beat()
        live = Live(max_streams=streams)
        self.intake = Intake(
            self.metrics, self.health, live, Frame, counts_losses=True, clock=self.clock,
            wall=self.wall,
        )  # fmt: skip
        self.inbox = LiveInbox(self.intake.dropped, clock=self.clock)
        self.refused = 0

    def wall(self) -> int:
        return round(S * self.clock.now)

    def give(self, seq: int, **fields: Any) -> None:
        message = builders.frame(seq, **{"sent": seq, "t": self.wall(), **fields})
        try:
            self.intake.take(message, self.inbox, Frame)
        except MessageError:
            self.refused += 1

    def work(self) -> list[Message]:
        """Take what waits as the loop does; return what the stage gets."""
        for stream in self.intake.gone():
            self.metrics.forget(stream)
            self.health.mark_progress(stream)
        messages = self.intake.known(self.inbox.take(100, 0))
        for message in messages:
            self.metrics.taken(message.header.stream)
            self.metrics.given(message.header.stream, 0.1)
        return messages

    def lost(self, stream: str = "cam1") -> float:
        labels = {"stage": "detector", "stream": stream, "topic": "frame"}
        return self.registry.get_sample_value("emostream_frames_lost_total", labels) or 0.0


@pytest.mark.parametrize("forged", [{"seq": 2**52}, {"seq": 5, "sent": 2**52}])
def test_a_leap_is_not_counted_as_lost_and_the_true_frames_go_on(forged: dict[str, Any]) -> None:
    rig = Rig()
    rig.give(0)
    rig.give(1)
    rig.give(**forged)
    rig.give(2)
    rig.give(4)
    assert (rig.refused, rig.lost()) == (1, 1)


def test_thousands_of_invented_streams_leave_nothing_behind() -> None:
    rig = Rig(streams=16)
    for seq in range(40):
        rig.clock.now += 0.04
        rig.give(seq)
        rig.work()
    for number in range(5000):
        for part in range(4):
            rig.give(part, stream=f"x{number}")
        if number % 7 == 0:
            rig.clock.now += 0.001
            rig.work()
    rig.clock.now += 1.0  # what waits is stale
    rig.work()
    rig.give(40)
    assert [message.header.seq for message in rig.work()] == [40]
    text = generate_latest(rig.registry).decode()
    streams = {
        line.split('stream="')[1].split('"')[0]
        for line in text.splitlines()
        if "x" in line and "stream=" in line
    }
    assert len(streams) <= 17
    assert len(rig.inbox) == 0
    assert rig.refused == 0
    assert rig.lost() == 0


def test_what_waits_of_a_stream_that_went_is_not_worked_on() -> None:
    rig = Rig(streams=2)
    for stream in ("a", "b", "c"):
        rig.give(0, stream=stream)
    assert {message.header.stream for message in rig.work()} == {"b", "c"}


def test_a_stream_whose_frames_are_all_refused_makes_the_stage_not_ready() -> None:
    rig = Rig()
    for seq in range(10):
        rig.give(seq)
    rig.work()
    rig.health.mark_progress("cam1")
    assert rig.health.missing() == {}
    for number in range(300):
        rig.clock.now += 0.05
        rig.health.beat()
        # Each further than the one before: none follows another.
        rig.give(2**40 + number * 2**30)
    assert list(rig.health.missing()) == ["stream cam1"]
    assert rig.health.missing()["stream cam1"] == (
        "cam1: frames arrive, but none has been processed for 15 s"
    )
    rig.health.mark_progress("cam1")
    assert rig.health.missing() == {}


def test_a_stream_that_ended_is_no_reason_not_to_be_ready() -> None:
    rig = Rig()
    rig.give(0)
    rig.clock.now += 60
    rig.health.beat()
    assert rig.health.missing() == {}


def test_of_ends_the_newest_are_kept() -> None:
    rig = Rig()
    for number in range(1000):
        rig.give(number, end=True, frames=number)
    assert [message.header.seq for message in rig.work()] == list(range(992, 1000))
