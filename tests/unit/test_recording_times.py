"""A frame's time is the file's own, also where it repeats, goes back, pauses or restarts."""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from emostream.services.capture.clock import SystemClock
from emostream.services.capture.ffmpeg.joined_clock import AnyPacket, JoinedClock
from emostream.services.capture.ffmpeg.video_file import (
    clock_restarts,
    describe_video,
    video_pictures,
)
from emostream.services.capture.pace import sampled
from emostream.services.capture.picture import Picture
from emostream.services.capture.pts import RecordingPts
from emostream.services.capture.source_set import SourceSet
from emostream.services.cli.replay.pictures import analyzed_pictures
from emostream.shared.config import Source
from tests.unit.test_annotated_video import write as write_annotated
from tests.unit.videos import FRAME, Clip, Sound, click, damage, flash, retimed

MS = 10**6
# One time twice, a frame out of order, times that go back for good, and a pause of 70 s.
AWKWARD = [0, 40, 40, 120, 80, 160, 200, 90, 130, 70_000, 70_040]


def pictures(path: Path) -> list[Picture]:
    return list(video_pictures(str(path), pytest.fail))


def milliseconds(found: Sequence[Picture]) -> list[float]:
    return [picture.pts / MS for picture in found]


@pytest.fixture
def awkward(tmp_path: Path) -> Path:
    return retimed(Clip([20 * n for n in range(len(AWKWARD))]), tmp_path / "a.mkv", AWKWARD)


def test_times_are_those_of_the_container(awkward: Path) -> None:
    found = pictures(awkward)
    assert milliseconds(found) == AWKWARD
    # In the order in which the decoder gives them, not in that of their times.
    assert [int(picture.pixels.mean()) for picture in found] == pytest.approx(
        [20 * n for n in range(len(AWKWARD))], abs=8
    )


def test_a_capture_publishes_them_as_they_are(awkward: Path) -> None:
    source = Source(name="a", url=str(awkward), pace="fast")
    with SourceSet([source], SystemClock()) as sources:
        taken = [one[1].pts / MS for one in iter(lambda: sources.take(20.0), None)]
    assert taken == AWKWARD


def test_each_loop_of_a_file_follows_the_one_before() -> None:
    pts = RecordingPts()
    times = []
    for _ in range(3):
        times += [pts.next(raw * MS) / MS for raw in (0, 80, 40, 120)]
        pts.reopen(5.0)
    # The last step of a loop, from 40 to 120 ms, is that to the next one.
    assert times == [loop * 200 + raw for loop in range(3) for raw in (0, 80, 40, 120)]


@pytest.mark.parametrize(
    ("rate", "times", "taken"),
    [
        (0.01, [2 * n for n in range(100)], [0, 100]),
        (1, [0, 0.5, 1.0, 0.9, 1.1, 2.0], [0, 1.0, 2.0]),
        (1, [0, 1, 2, 3, 0, 1, 2, 3], [0, 1, 2, 3, 0, 1, 2, 3]),
        (1, [0, -5, -4.5, -4], [0, -5, -4]),
        (1, [0, 500, 500, 1000], [0, 500, 1000]),
    ],
)
def test_samples_are_taken_by_the_times_of_the_file(
    rate: float, times: list[float], taken: list[float]
) -> None:
    pixels = np.zeros((1, 1, 3), np.uint8)
    given = (Picture(pixels, round(time * 1e9)) for time in times)
    assert [picture.pts / 1e9 for picture in sampled(given, rate)] == taken


def test_a_replay_finds_the_picture_of_each_frame(awkward: Path) -> None:
    found = analyzed_pictures(awkward)
    for n, time in enumerate(AWKWARD):
        picture = found.at(time * MS)
        assert picture is not None
        assert picture.mean() == pytest.approx(20 * n, abs=8)
    assert found.at(AWKWARD[-1] * MS) is None


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_and_picture_stay_together_behind_a_gap_and_a_repeated_time(
    tmp_path: Path, codec: str
) -> None:
    ticks = [0, 1, 2, 3, 30, 31, 1600, 1601, 1602, 1603]
    sound = Sound(codec=codec, seconds=65, click=64.08)
    clip = Clip([250 * (n == 8) for n in range(10)], size=(128, 96), ticks=ticks, time_base=FRAME,
                codec="mpeg4", sound=sound)  # fmt: skip
    target = write_annotated(clip.write(tmp_path / "a.mkv"), [[]] * 10)
    assert flash(target) == pytest.approx(64.08, abs=0.002)
    assert click(target) == pytest.approx(64.08, abs=0.03)


def joined(path: Path, *parts: Path) -> Path:
    """Put files end to end."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def part(path: Path, start: int = 0, count: int = 50, *, sound: bool = True) -> Path:
    """Write `count` pictures at 25 a second, from picture number `start` on, with a click."""
    begin, seconds = start / 25, count / 25
    mpeg_ps = path.suffix == ".mpg"
    track = Sound("mp2" if mpeg_ps else "aac", begin, seconds, begin + seconds / 2)
    return Clip(
        [250 * (n == count // 2) for n in range(count)], size=(128, 96), time_base=FRAME,
        codec="mpeg2video" if mpeg_ps else "libx264", ticks=range(start, start + count),
        coding={"bf": "2", "g": "12"}, sound=track if sound else None,
    ).write(path)  # fmt: skip


def clicks(path: Path) -> list[float]:
    """Return the time of each click in the file's sound, in s."""
    found: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray()).max(axis=0) > 0.3
            assert frame.pts is not None
            assert frame.time_base is not None
            time = float(frame.pts * frame.time_base) + int(loud.argmax()) / frame.sample_rate
            if loud.any() and (not found or time > found[-1] + 0.2):
                found.append(time)
    return found


@pytest.mark.parametrize("form", ["ts", "mpg"])
@pytest.mark.parametrize("starts", [(0, 0), (250, 0), (0, 0, 0), (125_000, 0)])
def test_a_clock_that_restarts_is_joined(tmp_path: Path, form: str, starts: Sequence[int]) -> None:
    parts = [part(tmp_path / f"{n}.{form}", start) for n, start in enumerate(starts)]
    video = joined(tmp_path / f"all.{form}", *parts)
    found = pictures(video)
    assert milliseconds(found) == pytest.approx([40 * n for n in range(50 * len(starts))])
    assert clock_restarts(video) == pytest.approx([2 * n for n in range(1, len(starts))])
    target = write_annotated(video, [[]] * len(found))
    assert clicks(target) == pytest.approx([1 + 2 * n for n in range(len(starts))], abs=0.05)


def test_a_part_without_sound_keeps_the_others_in_step(tmp_path: Path) -> None:
    parts = [part(tmp_path / f"{n}.ts", sound=n != 1) for n in range(3)]
    target = write_annotated(joined(tmp_path / "all.ts", *parts), [[]] * 150)
    assert clicks(target) == pytest.approx([1, 5], abs=0.05)


@pytest.mark.parametrize("form", ["ts", "mp4"])
def test_a_later_clock_is_a_pause_and_no_restart(tmp_path: Path, form: str) -> None:
    if form == "ts":
        parts = [part(tmp_path / "0.ts"), part(tmp_path / "1.ts", 2500)]
        video = joined(tmp_path / "all.ts", *parts)
    else:
        ticks = [*range(50), *range(2500, 2550)]
        video = Clip([9] * 100, ticks=ticks, time_base=FRAME).write(tmp_path / "all.mp4")
    # Each part of a transport stream begins with the delay of its decoder.
    assert milliseconds(pictures(video))[50] == pytest.approx(100_000, abs=100)
    assert clock_restarts(video) == []


@pytest.mark.parametrize("seed", [0.2, 0.5, 0.8])
def test_damage_is_no_restart(tmp_path: Path, seed: float) -> None:
    video = damage(part(tmp_path / "a.ts", count=200), seed, seed + 0.03)
    assert clock_restarts(video) == []
    found = list(video_pictures(str(video), lambda line: None))
    assert milliseconds(found)[-1] == pytest.approx(40 * 199)


class FakePacket:
    """A packet of a stream with a clock in s."""

    def __init__(self, time: int) -> None:
        self.pts = self.dts = time
        self.duration, self.size, self.time_base = 1, 1, Fraction(1)
        self.stream = FakeStream()


class FakeStream:
    index = 0


class FakeContainer:
    class format:
        flags = 0x200


@pytest.mark.parametrize(
    ("times", "expected", "restarts"),
    [
        ([10, 11, 12, 10, 11, 12], [10, 11, 12, 13, 14, 15], [13]),
        ([10, 11, 12, 3, 4], [10, 11, 12, 13, 14], [13]),
        ([10, 11, 12, 3], [10, 11, 12, 13], [13]),
        # A single wrong time, low or high, is as the container has it.
        ([10, 11, 2, 13, 14], [10, 11, 2, 13, 14], []),
        ([10, 11, 99, 13, 14], [10, 11, 99, 13, 14], []),
        ([10, 11, 500, 501], [10, 11, 500, 501], []),
    ],
)
def test_a_single_wrong_time_is_no_restart(
    times: list[int], expected: list[int], restarts: list[int]
) -> None:
    clock = JoinedClock(FakeContainer(), FakeStream())  # type: ignore[arg-type]
    packets: Iterator[AnyPacket] = (FakePacket(time) for time in times)  # type: ignore[misc]
    assert [packet.pts for packet in clock.joined(packets)] == expected
    assert clock.restarts == restarts


def test_an_ordinary_file_needs_no_second_reading(tmp_path: Path) -> None:
    video = Clip([9] * 5).write(tmp_path / "a.mkv")
    assert clock_restarts(video) == []
    assert describe_video(video).skipped == ()


def test_retimed_pictures_are_written_as_asked(awkward: Path) -> None:
    with av.open(str(awkward)) as container:
        stream = container.streams.video[0]
        assert isinstance(stream, VideoStream)
        times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
    assert times == AWKWARD
    assert any(b < a for a, b in itertools.pairwise(times))
