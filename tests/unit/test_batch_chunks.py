"""How recordings are cut into chunks, and that a chunk shows what the whole file shows."""

import contextlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emostream.services.capture.ffmpeg.frame_index import FrameIndex, index_frames
from emostream.services.capture.ffmpeg.video_file import open_file, video_pictures
from emostream.services.capture.ffmpeg.video_range import PictureRange, range_pictures
from emostream.services.capture.pace import sampled
from emostream.services.capture.picture import Picture, Pictures
from emostream.services.cli.batch.chunks import (
    LEAST_OVERLAP,
    NS,
    STEP,
    Chunk,
    plan_chunks,
    sampled_times,
)
from emostream.services.cli.batch.media import open_video
from emostream.shared.errors import SourceError
from tests.unit.videos import Clip

FRAME = NS // 25


def index(frames: int, key_every: int, *, start: int = 0, splits: bool = True) -> FrameIndex:
    """The index of a video of 25 frames/s whose first picture is at `start` ns."""
    times = start + FRAME * np.arange(frames, dtype=np.int64)
    return FrameIndex(times, times[::key_every], splits, [])


def test_chunks_cover_each_picture_once_and_begin_at_key_frames() -> None:
    found = index(1000, 50, start=7)
    chunks = plan_chunks(found, 10 * NS, 3 * NS, 0)
    assert [chunk.number for chunk in chunks] == [0, 1, 2, 3]
    assert [chunk.start for chunk in chunks] == [0, 10 * NS, 20 * NS, 30 * NS]
    assert [chunk.end for chunk in chunks] == [10 * NS, 20 * NS, 30 * NS, None]
    assert [chunk.frames for chunk in chunks] == [250] * 4
    assert {chunk.first for chunk in chunks} == {7}
    keys = set((found.keys - 7).tolist())
    assert {chunk.start for chunk in chunks} <= keys
    assert {chunk.key for chunk in chunks} <= keys


def test_a_chunk_begins_earlier_with_the_number_of_the_picture_there() -> None:
    _, second, *_ = plan_chunks(index(1000, 50), 10 * NS, 3 * NS, 0)
    # 3 s earlier is number 175, of which the whole tens are taken.
    assert (second.warm, second.warm_frame) == (170 * FRAME, 170)
    # Keys are 2 s apart: decoding begins at the one before, behind 150 pictures.
    assert (second.key, second.before) == (6 * NS, 150)


def test_a_chunk_ends_at_the_first_key_frame_behind_its_length() -> None:
    chunks = plan_chunks(index(1000, 110), 10 * NS, NS, 0)
    assert [chunk.start // FRAME for chunk in chunks] == [0, 330, 660]


def test_a_short_rest_goes_with_the_last_chunk() -> None:
    assert len(plan_chunks(index(540, 10), 10 * NS, NS, 0)) == 2
    assert len(plan_chunks(index(640, 10), 10 * NS, NS, 0)) == 3


def test_few_pictures_a_second_still_overlap() -> None:
    chunks = plan_chunks(index(5000, 50), 60 * NS, 3 * NS, 0.5)
    for chunk in chunks[1:]:
        before = sum(one.frames for one in chunks[: chunk.number])
        assert LEAST_OVERLAP <= before - chunk.warm_frame < LEAST_OVERLAP + STEP
    assert sum(chunk.frames for chunk in chunks) == 100


@pytest.mark.parametrize("found", [index(500, 50, splits=False), index(500, 1000)])
def test_what_cannot_be_read_from_its_middle_is_one_chunk(found: FrameIndex) -> None:
    (chunk,) = plan_chunks(found, NS, NS, 0)
    assert (chunk.start, chunk.end, chunk.warm, chunk.frames) == (0, None, 0, 500)


def test_a_file_without_a_picture_is_one_chunk_in_which_that_is_found() -> None:
    nothing = np.array([], np.int64)
    assert plan_chunks(FrameIndex(nothing, nothing, True, []), NS, NS, 0) == [Chunk()]


@pytest.mark.parametrize("rate", [0.0, 0.3, 5.0, 12.5, 24.0, 100.0])
def test_the_same_pictures_are_taken_as_of_the_whole_recording(rate: float) -> None:
    times = (np.cumsum(np.random.default_rng(1).integers(1, 90, 400)) * 1_000_000).astype(np.int64)

    def pictures() -> Pictures:
        for time in times.tolist():
            yield Picture(np.zeros((1, 1, 3), np.uint8), time)

    wanted = [picture.pts for picture in sampled(pictures(), rate)]
    assert sampled_times(times, rate).tolist() == wanted


CLIPS = {
    "b-frames.mp4": Clip(range(0, 240, 2), coding={"g": "12", "bf": "3"}),
    "open-groups.mkv": Clip(
        range(0, 240, 2), coding={"g": "15", "bf": "3", "x264-params": "open-gop=1"}
    ),
    "broadcast.ts": Clip(range(0, 240, 2), coding={"g": "10", "bf": "2"}),
    "late.mp4": Clip(
        range(0, 240, 2),
        coding={"g": "12"},
        ticks=[90_000 + 3_600 * n + 900 * (n % 3) for n in range(120)],
    ),
    "rare-keys.mp4": Clip(range(0, 240, 2), coding={"g": "50", "sc_threshold": "0"}),
    "stills.avi": Clip(range(0, 240, 2), codec="mjpeg", layout="yuvj420p"),
    "web.webm": Clip(
        range(0, 240, 2), codec="libvpx", coding={"g": "12"}, time_base=Fraction(1, 1000)
    ),
    "old.mkv": Clip(
        range(0, 240, 2),
        codec="mpeg2video",
        coding={"g": "12", "bf": "2"},
        time_base=Fraction(1, 25),
    ),
}


@pytest.mark.parametrize("name", CLIPS)
def test_chunks_show_what_the_whole_file_shows(name: str, tmp_path: Path) -> None:
    path = CLIPS[name].write(tmp_path / name)
    whole = {picture.pts: picture.pixels for picture in video_pictures(str(path), print)}
    with open_file(path) as (container, stream):
        found = index_frames(container, stream)
    chunks = plan_chunks(found, NS, NS // 2, 0)
    assert len(chunks) > 1, "it was to be cut"
    seen: list[int] = []
    for chunk in chunks:
        with contextlib.closing(pictures_of(path, chunk)) as pictures:
            shown = list(pictures)
        for picture in shown:
            assert (picture.pixels == whole[picture.pts]).all(), picture.pts
        assert shown[0].pts == chunk.warm
        own = [picture.pts for picture in shown if picture.pts >= chunk.start]
        assert len(own) == chunk.frames
        seen += own
    assert seen == list(whole)


def test_where_the_end_is_missing_the_last_chunk_says_so(tmp_path: Path) -> None:
    path = CLIPS["open-groups.mkv"].write(tmp_path / "cut.mkv")
    path.write_bytes(path.read_bytes()[:-900])
    said = []
    for pictures in (video_pictures(str(path), print), last_chunk(path)):
        with pytest.raises(SourceError, match="ends early at") as error:
            list(pictures)
        said.append(str(error.value))
    assert said[0].partition(", after")[0] == said[1].partition(", after")[0].replace(
        path.name, str(path)
    )


def last_chunk(path: Path) -> Pictures:
    with open_file(path) as (container, stream):
        chunks = plan_chunks(index_frames(container, stream), NS, NS // 2, 0)
    return pictures_of(path, chunks[-1])


def pictures_of(path: Path, chunk: Chunk) -> Pictures:
    part = PictureRange(chunk.first, chunk.warm, chunk.end, chunk.key, chunk.before)
    return range_pictures(lambda: open_video(str(path)), path.name, part, print)
