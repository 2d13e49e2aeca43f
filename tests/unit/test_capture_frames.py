"""From pictures to messages, and the pace of files that go as fast as the pipeline takes them."""

import time
from typing import Literal

import numpy as np
import pytest

from emostream.services.capture.flow_control import ANSWER_TIMEOUT, FlowControl
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.shared.errors import ConfigError
from emostream.shared.messages import Frame, Message
from emostream.shared.pixels import image
from emostream.shared.wire import decode, encode
from tests.builders import Clock, emotion, header_of


def picture(value: int = 7, pts: int = 5, shape: tuple[int, ...] = (4, 6, 3)) -> Picture:
    return Picture(np.full(shape, value, np.uint8), pts, time.time_ns())


def header(message: Message) -> Frame:
    return header_of(message, Frame)


def test_each_stream_is_numbered_by_itself() -> None:
    framer = Framer("bgr8", 90)
    seqs = [header(framer.frame(name, picture())).seq for name in ("a", "b", "a", "a")]
    assert seqs == [0, 0, 1, 2]


def test_another_start_is_another_run() -> None:
    assert Framer("bgr8", 90).run != Framer("bgr8", 90).run


@pytest.mark.parametrize(("encoding", "tolerance"), [("bgr8", 0), ("jpeg", 2)])
def test_a_picture_arrives_as_it_was_taken(
    encoding: Literal["bgr8", "jpeg"], tolerance: int
) -> None:
    framer = Framer(encoding, 95)
    for shape in ((4, 6, 3), (1, 1, 3), (17, 3, 3)):
        sent = picture(shape=shape)
        parts = [bytes(part) for part in encode(framer.frame("a", sent))]
        received = decode(parts)
        assert (header(received).t, header(received).pts) == (sent.t, sent.pts)
        np.testing.assert_allclose(image(received), sent.pixels, atol=tolerance)


def test_the_end_says_how_many_frames_there_were() -> None:
    framer = Framer("bgr8", 90)
    for _ in range(3):
        framer.frame("a", picture())
    end = header(framer.end("a"))
    assert (end.end, end.frames, end.seq) == (True, 3, 3)
    assert decode([bytes(part) for part in encode(framer.end("a"))]).payload is None
    long = decode([bytes(part) for part in encode(framer.end("a", "e" * 10_000))]).header
    assert long.error == "e" * 8192


def answer(seq: int, run: str = "r") -> Message:
    return Message(emotion(seq, stream="a", run=run))


def test_a_fast_file_waits_for_answers_once_its_window_is_full() -> None:
    flow_control = FlowControl("r", window=3, clock=Clock())
    for seq in range(3):
        assert not flow_control.must_wait("a")
        flow_control.record_published("a", seq)
    assert flow_control.must_wait("a")
    assert not flow_control.must_wait("b")
    flow_control.record_answer(answer(900, run="earlier"))
    assert flow_control.must_wait("a")
    flow_control.record_answer(answer(0))
    assert not flow_control.must_wait("a")
    flow_control.record_published("a", 3)
    assert flow_control.must_wait("a")


def test_a_frame_is_answered_when_all_its_parts_are() -> None:
    flow_control = FlowControl("r", window=3, clock=Clock())
    for seq in range(3):
        flow_control.record_published("a", seq)
    for seq in range(3):
        flow_control.record_answer(Message(emotion(seq, stream="a", parts=2)))
    assert flow_control.must_wait("a"), "the slower classifier has answered nothing yet"
    flow_control.record_answer(Message(emotion(0, stream="a", part=1, parts=2)))
    assert not flow_control.must_wait("a")


def test_an_answer_to_a_frame_that_was_not_published_yet_lets_no_more_go() -> None:
    flow_control = FlowControl("r", window=3, clock=Clock())
    for seq in range(3):
        flow_control.record_published("a", seq)
    flow_control.record_answer(answer(2**52))
    assert flow_control.must_wait("a")
    flow_control.record_answer(answer(1))
    assert not flow_control.must_wait("a")


def test_a_picture_larger_than_the_stages_take_is_an_error_that_names_the_setting() -> None:
    framer = Framer("bgr8", 90, max_megabytes=1)
    assert framer.frame("a", picture(shape=(577, 577, 3)))
    with pytest.raises(
        ConfigError, match=r"source a: .* 578 x 577 .* live.max_message_mb = 1; set it to 2"
    ):
        framer.frame("a", picture(shape=(577, 578, 3)))
    # As JPEG it is small.
    assert Framer("jpeg", 90, max_megabytes=1).frame("a", picture(shape=(577, 578, 3)))


def test_a_file_goes_on_when_nobody_answers() -> None:
    clock = Clock()
    flow_control = FlowControl("r", window=3, clock=clock)
    for seq in range(3):
        flow_control.record_published("a", seq)
    clock.now += ANSWER_TIMEOUT - 0.1
    assert flow_control.must_wait("a")
    clock.now += 0.1
    assert not flow_control.must_wait("a")
    for seq in range(3, 6):
        flow_control.record_published("a", seq)
    assert flow_control.must_wait("a")
