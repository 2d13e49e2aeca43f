"""How a source ends: with the reason where it failed, and waiting for what it needs."""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emostream.services.capture.clock import SystemClock
from emostream.services.capture.ffmpeg.network_stream import network_pictures
from emostream.services.capture.ffmpeg.video_file import describe_video
from emostream.services.capture.framer import Framer
from emostream.services.capture.process import StreamEnds
from emostream.services.capture.source_set import SourceSet
from emostream.services.capture.source_status import SourceStatus
from emostream.services.capture.source_url import awaited
from emostream.shared.config import Source
from emostream.shared.errors import SourceError
from emostream.shared.source_report import SourceState
from tests.unit.test_capture_frames import picture
from tests.unit.videos import FRAME, Clip

UNKNOWN_HOST = "camera.invalid"  # RFC 6761: no such name is ever there


def status(state: SourceState, error: str = "", pictures: int = 1) -> SourceStatus:
    return SourceStatus(state, error, reconnects=0, pictures=pictures, dropped=0, skipped=0)


def framed(*streams: str) -> Framer:
    framer = Framer("bgr8", 90)
    for stream in streams:
        framer.frame(stream, picture())
    return framer


def test_the_end_of_a_file_that_breaks_off_says_why() -> None:
    ends = StreamEnds(framed("whole", "cut", "open"))
    statuses = {
        "whole": status(SourceState.ENDED),
        "cut": status(SourceState.ENDED, "cut.mp4: ends early at 1.00 s"),
        "open": status(SourceState.OPEN),
    }
    found = [(end.header.stream, end.header.error) for end in ends.due(statuses)]
    assert found == [("whole", ""), ("cut", "cut.mp4: ends early at 1.00 s")]
    assert list(ends.due(statuses)) == []


def test_a_stream_does_not_end_before_its_pictures_are_published() -> None:
    ends = StreamEnds(framed("cut"))
    assert list(ends.due({"cut": status(SourceState.ENDED, "broken", pictures=2)})) == []


def test_a_network_stream_that_is_lost_when_the_capture_stops_ends_with_the_reason() -> None:
    ends = StreamEnds(framed("lost", "open"))
    statuses = {
        "lost": status(SourceState.LOST, "rtsp://cam: no data arrived in time"),
        "open": status(SourceState.OPEN),
        "never": status(SourceState.LOST, "rtsp://other: connection refused"),
    }
    [end] = ends.lost(statuses)
    assert (end.header.stream, end.header.end) == ("lost", True)
    assert (end.header.frames, end.header.error) == (1, "rtsp://cam: no data arrived in time")
    assert list(ends.lost(statuses)) == []


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_named_pipe_says_that_it_waits_and_then_plays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    video = Clip([9] * 30, time_base=FRAME).write(tmp_path / "a.ts")
    source = Source(name="pipe", url=str(pipe), pace="fast")
    with SourceSet([source], SystemClock()) as sources:
        until(lambda: bool(sources.statuses()["pipe"].error))
        text = str(sources.statuses()["pipe"])
        waiting = f"waiting for a program to write into the named pipe {pipe}"
        assert text == f"opening: {waiting}"
        assert caplog.messages == [f"pipe: {waiting}"]
        writer = threading.Thread(target=pipe.write_bytes, args=(video.read_bytes(),))
        writer.start()
        taken = [one[1].pts for one in iter(lambda: sources.take(20.0), None)]
        writer.join()
        assert taken == [n * 40_000_000 for n in range(30)]
        assert str(sources.statuses()["pipe"]) == "ended"


def test_waiting_for_a_pipe_ends_with_the_capture(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with SourceSet([Source(name="pipe", url=str(pipe))], SystemClock()) as sources:
        until(lambda: bool(sources.statuses()["pipe"].error))
    assert "source pipe" not in [thread.name for thread in threading.enumerate()]


def test_a_named_pipe_cannot_be_described(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="can be read only once; save it to a file first"):
        describe_video(tmp_path / "pipe")


@pytest.mark.parametrize(
    "url",
    [
        f"rtsp://user:pass@{UNKNOWN_HOST}/live",
        f"http://{UNKNOWN_HOST}:8080/video",
        f"tcp://{UNKNOWN_HOST}:9",
    ],
)
def test_a_host_name_that_does_not_resolve_is_named(url: str) -> None:
    with pytest.raises(
        SourceError, match=f"waiting for the host name {UNKNOWN_HOST} to resolve"
    ) as raised:
        next(network_pictures(url, 5.0, pytest.fail, SystemClock()))
    assert "pass" not in str(raised.value)


def test_a_host_that_refuses_is_not_called_unknown() -> None:
    with pytest.raises(SourceError) as raised:
        next(network_pictures("tcp://127.0.0.1:9", 5.0, pytest.fail, SystemClock()))
    assert "resolve" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("demo", ""),
        ("a.mp4", ""),
        ("0", ""),
        ("rtsp://u:p@cam/x", "waiting for an answer from rtsp://***@cam/x"),
    ],
)
def test_what_an_opening_source_waits_for(url: str, expected: str) -> None:
    assert awaited(url) == expected
