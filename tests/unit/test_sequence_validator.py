"""Counters that leap beyond what could have been sent, and how a stream continues after them."""

from collections.abc import Iterable
from typing import Any

import pytest

from emostream.shared.errors import MessageError
from emostream.shared.messages import Message
from emostream.shared.sequence_validator import PROBATION, SequenceValidator
from tests import builders
from tests.builders import Clock

S = 10**9
NOW = 1_800_000_000 * S


class Stream:
    """The frames of a camera at 25/s, and a validator that sees them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.validator = SequenceValidator(self.clock, self.wall)
        self.seq = 0

    def wall(self) -> int:
        return NOW + round(S * self.clock.now)

    def frame(self, seq: int, **fields: Any) -> Message:
        values = {"sent": seq, "t": self.wall(), **fields}
        return builders.frame(seq, **values)

    def play(self, frames: int) -> list[str]:
        """Let frames arrive; return the result of each: continues, starts over, or refused."""
        return [self.next() for _ in range(frames)]

    def next(self) -> str:
        self.clock.now += 0.04
        self.seq += 1
        return self.seen(self.frame(self.seq))

    def seen(self, message: Message) -> str:
        try:
            return "continues" if self.validator.check(message) else "restarts"
        except MessageError as error:
            assert error.reason == "leap"
            return "refused"


def states(words: Iterable[str]) -> set[str]:
    return set(words)


@pytest.mark.parametrize(
    "forged",
    [
        {"seq": 2**52},
        {"seq": 1_000_000},
        {"sent": 2**52},
        {"t": 2**63 - 1},
        {"t": NOW + 86_400 * S},
        {"run": "another", "sent": 2**52},
        {"run": "another", "t": 2**63 - 1},
    ],
)
def test_one_message_that_could_not_have_been_sent_changes_nothing(forged: dict[str, Any]) -> None:
    stream = Stream()
    assert states(stream.play(100)) == {"continues"}
    message = stream.frame(**{"seq": stream.seq, **forged})
    assert stream.seen(message) == "refused"
    assert states(stream.play(100)) == {"continues"}


def test_a_message_that_is_the_first_has_a_time_near_ours() -> None:
    stream = Stream()
    assert stream.seen(stream.frame(5, t=NOW + 40 * 86_400 * S)) == "refused"
    assert stream.seen(stream.frame(5)) == "continues"
    assert stream.seen(stream.frame(6)) == "continues"


def test_a_capture_whose_clock_is_ahead_is_believed_when_it_goes_on() -> None:
    stream = Stream()
    ahead = 40 * 86_400 * S
    seen = []
    for seq in range(10):
        stream.clock.now += 0.04
        seen.append(stream.seen(stream.frame(seq, t=stream.wall() + ahead)))
    assert seen == ["refused"] * (PROBATION - 1) + ["restarts"] + ["continues"] * (10 - PROBATION)


def test_a_forged_first_message_holds_a_stream_up_for_a_moment() -> None:
    stream = Stream()
    assert stream.seen(stream.frame(2**52, sent=2**52)) == "continues"
    # Lower numbers are never refused: in lossless delivery frames come again.
    assert stream.play(10) == ["continues", "continues", "restarts"] + ["continues"] * 7


def test_forged_messages_between_the_true_ones_are_all_refused() -> None:
    stream = Stream()
    stream.play(3)
    for number in range(50):
        assert stream.seen(stream.frame(2**52 + number, sent=2**52 + number)) == "refused"
        assert stream.next() == "continues"


@pytest.mark.parametrize("seconds", [10, 3600, 36_000])
def test_a_process_that_stood_still_goes_on_with_what_waited_and_then_with_the_newest(
    seconds: int,
) -> None:
    stream = Stream()
    stream.play(50)
    stream.clock.now += seconds
    # What was in the queue is as old as the pause.
    for _ in range(20):
        stream.seq += 1
        assert stream.seen(stream.frame(stream.seq, t=NOW)) == "continues"
    stream.seq += 60 * seconds
    assert states(stream.play(20)) == {"continues"}


@pytest.mark.parametrize("sent", [0, 7])
def test_a_publisher_that_starts_again_goes_on(sent: int) -> None:
    stream = Stream()
    stream.play(50)
    assert stream.seen(stream.frame(0, run="next", sent=sent)) == "continues"
    assert stream.seen(stream.frame(1, run="next", sent=sent + 1)) == "continues"


def test_frames_that_come_again_are_not_refused_and_those_after_them_go_on() -> None:
    stream = Stream()
    stream.play(50)
    again = [stream.seen(stream.frame(seq, sent=60)) for seq in range(40, 51)]
    assert "refused" not in again
    assert states(stream.play(20)) == {"continues"}


def test_each_part_has_its_own_sequence() -> None:
    stream = Stream()
    for seq in (5, 6):
        for part, sent in ((0, seq), (1, 3 * seq)):
            emotion = builders.emotion(seq, part=part, parts=2, sent=sent, t=stream.wall())
            assert stream.seen(Message(emotion)) == "continues"


def test_a_stream_that_is_forgotten_begins_anywhere() -> None:
    stream = Stream()
    stream.play(5)
    stream.validator.forget("cam")
    assert stream.seen(stream.frame(2**40)) == "refused"
    stream.validator.forget("cam1")
    assert stream.seen(stream.frame(2**40)) == "continues"
