"""Of several videos in one file the film is read, and the others are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream

from emostream.services.capture.ffmpeg.video_file import describe_video, video_pictures
from emostream.shared.errors import SourceError

DEFAULT = Disposition.default
OTHER = Disposition(0)


@dataclass(frozen=True)
class Video:
    """A video stream of so many gray pictures."""

    size: tuple[int, int]
    frames: int = 9
    codec: str = "mpeg4"
    disposition: Disposition = OTHER


def write(path: Path, videos: Sequence[Video]) -> Path:
    with av.open(str(path), "w") as container:
        streams = []
        for video in videos:
            stream = container.add_stream(video.codec, rate=25)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = video.size
            stream.pix_fmt = "yuvj420p" if video.codec == "mjpeg" else "yuv420p"
            stream.disposition = video.disposition
            streams.append(stream)
        container.start_encoding()
        for stream, video in zip(streams, videos, strict=True):
            for n in range(video.frames):
                pixels = np.full((video.size[1], video.size[0], 3), 9, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                frame.pts, frame.time_base = n, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


SMALL, LARGE = (64, 48), (128, 96)
PLACEHOLDER = Video(SMALL, 2)


@pytest.mark.parametrize(
    ("name", "videos", "size", "skipped"),
    [
        # The container's default counts first,
        ("a.mkv", [Video(SMALL, disposition=DEFAULT), Video(LARGE)], SMALL, "not the default"),
        ("a.mkv", [PLACEHOLDER, Video(LARGE, disposition=DEFAULT)], LARGE, "not the default"),
        ("a.mp4", [PLACEHOLDER, Video(LARGE, disposition=DEFAULT)], LARGE, "not the default"),
        ("a.mp4", [Video(LARGE), Video(SMALL, disposition=DEFAULT)], SMALL, "not the default"),
        # then the size,
        ("a.mkv", [PLACEHOLDER, Video(LARGE)], LARGE, "smaller"),
        ("a.avi", [PLACEHOLDER, Video(LARGE)], LARGE, "smaller"),
        ("a.ts", [PLACEHOLDER, Video(LARGE)], LARGE, "smaller"),
        (
            "a.mkv",
            [Video(SMALL, disposition=DEFAULT), Video(LARGE, disposition=DEFAULT)],
            LARGE,
            "smaller",
        ),
        # then the place.
        (
            "a.mkv",
            [Video(LARGE), Video(LARGE, 3)],
            LARGE,
            "another one of the same size comes first",
        ),
        # A cover is never the film, however large.
        (
            "a.mp4",
            [Video(LARGE, 1, "mjpeg", Disposition.attached_pic), Video(SMALL)],
            SMALL,
            "a cover picture",
        ),
    ],
)
def test_the_film_is_read_and_the_others_are_named(
    tmp_path: Path, name: str, videos: list[Video], size: tuple[int, int], skipped: str
) -> None:
    path = write(tmp_path / name, videos)
    found = describe_video(path)
    assert (found.width, found.height) == size
    assert [stream.reason for stream in found.skipped] == [skipped]
    frames = max(video.frames for video in videos if video.size == size)
    shapes = [picture.pixels.shape[:2] for picture in video_pictures(str(path), pytest.fail)]
    assert shapes == [size[::-1]] * frames


def test_what_is_skipped_says_what_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [Video(SMALL, 1, "mjpeg"), Video(LARGE, disposition=DEFAULT)])
    [stream] = describe_video(path).skipped
    assert (stream.index, stream.codec, stream.width, stream.height) == (0, "mjpeg", *SMALL)


def test_a_cover_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        assert isinstance(cover, VideoStream)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=48_000)
        container.start_encoding()
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        container.mux([*cover.encode(picture), *cover.encode()])
        samples = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        samples.sample_rate = 48_000
        container.mux([*sound.encode(samples), *sound.encode()])
    with pytest.raises(SourceError, match=r"contains no video, only a cover picture, audio$"):
        describe_video(path)
