"""Files as they come from phones, old cameras and broken disks: each gives what is in it."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emostream.services.capture.ffmpeg import video_file
from emostream.services.capture.ffmpeg.container import open_container as open_real_container
from emostream.services.capture.ffmpeg.video_file import describe_video, video_pictures
from emostream.services.capture.picture import Picture
from emostream.shared.errors import SourceError
from tests.unit.videos import Clip, Sound, cut, damage, edit

MS = 10**6
FRAME = Fraction(1, 25)
RISING = range(10, 250, 8)
NOISE = Clip([128] * 100, noise=1.0, coding={"g": "10"})
FAST_START = {"movflags": "faststart"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def pictures(path: Path, skipped: list[str] | None = None) -> list[Picture]:
    return list(video_pictures(str(path), ([] if skipped is None else skipped).append))


def broken(path: Path) -> tuple[list[Picture], str]:
    """Read a file that fails: the pictures before that, and the error."""
    found = []
    with pytest.raises(SourceError) as raised:
        for picture in video_pictures(str(path), lambda line: None):
            found.append(picture)
    return found, str(raised.value)


def times(found: list[Picture]) -> list[float]:
    """The pts in ms."""
    return [picture.pts / MS for picture in found]


def grays(found: list[Picture]) -> list[float]:
    return [float(picture.pixels.mean()) for picture in found]


def assert_rising(found: list[Picture]) -> None:
    """Every picture of the clip RISING is there, in order."""
    assert grays(found) == pytest.approx(list(RISING), abs=6)


def test_times_are_exact_where_the_rate_varies(tmp_path: Path) -> None:
    ticks = [0, 3003, 3004, 9001, 90_007, 90_008, 450_001, 450_002]
    path = Clip(RISING[:8], ticks=ticks, coding={"bf": "3"}).write(tmp_path / "a.mp4")
    assert [picture.pts for picture in pictures(path)] == [
        round(tick * Fraction(10**9, 90_000)) for tick in ticks
    ]


@pytest.mark.parametrize(
    ("codec", "form"),
    [
        *(("libx264", form) for form in ("mp4", "mkv", "ts", "avi", "flv")),
        *(("mpeg4", form) for form in ("mp4", "mkv", "ts", "avi")),
    ],
)
def test_pictures_that_are_stored_out_of_order(tmp_path: Path, codec: str, form: str) -> None:
    clip = Clip(RISING, codec=codec, time_base=FRAME, coding={"bf": "3", "qmax": "4"})
    found = pictures(clip.write(tmp_path / f"a.{form}"))
    assert_rising(found)
    assert times(found) == [40 * n for n in range(len(RISING))]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mjpeg"])
def test_an_avi_that_leaves_out_pictures_keeps_their_times(tmp_path: Path, codec: str) -> None:
    ticks = [0, 1, 2, 10, 11, 12, *range(30, 54)]
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = Clip(RISING, codec=codec, layout=layout, ticks=ticks, time_base=FRAME)
    found = pictures(clip.write(tmp_path / "a.avi"))
    assert_rising(found)
    assert times(found) == [40 * tick for tick in ticks]


@pytest.mark.parametrize(
    ("form", "codec", "rate"),
    [
        ("h264", "libx264", 30),
        ("h264", "libx264", 25),
        ("hevc", "libx265", 25),
        ("mpeg2video", "mpeg2video", 25),
        ("m4v", "mpeg4", 25),
        ("mjpeg", "mjpeg", 25),
    ],
)
def test_a_bare_stream_without_times(tmp_path: Path, form: str, codec: str, rate: int) -> None:
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    coding = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    clip = Clip(
        RISING, codec=codec, layout=layout, ticks=range(30), time_base=Fraction(1, rate),
        coding=coding,
    )  # fmt: skip
    found = pictures(clip.write(tmp_path / f"a.{form}", form))
    assert_rising(found)
    assert times(found) == pytest.approx([1000 * n / rate for n in range(30)], abs=1e-3)


@pytest.mark.parametrize(
    ("form", "turn", "mirrored", "corner"),
    [
        ("mp4", 0, False, "top left"),
        ("mp4", 90, False, "bottom left"),
        ("mp4", 180, False, "bottom right"),
        ("mp4", 270, False, "top right"),
        ("mkv", 90, False, "bottom left"),
        ("mkv", 180, False, "bottom right"),
        ("mkv", 270, False, "top right"),
        ("mp4", 0, True, "top right"),
        ("mp4", 180, True, "bottom left"),
        ("mp4", 90, True, "bottom right"),
    ],
)
def test_pictures_are_turned_as_phones_say(
    tmp_path: Path, form: str, turn: int, mirrored: bool, corner: str
) -> None:
    clip = Corner([255], turn=turn, mirrored=mirrored)
    path = clip.write(tmp_path / f"a.{form}")
    [picture] = pictures(path)
    height, width = picture.pixels.shape[:2]
    assert (width, height) == ((48, 64) if turn % 180 else (64, 48))
    rows, columns = np.nonzero(picture.pixels[..., 0] > 128)
    side = "top" if rows.mean() < height / 2 else "bottom"
    assert f"{side} {'left' if columns.mean() < width / 2 else 'right'}" == corner
    assert (describe_video(path).width, describe_video(path).height) == (width, height)


class Corner(Clip):
    """Black except for the upper left corner."""

    def picture(self, n: int) -> np.ndarray:
        picture = super().picture(n)
        picture[12:], picture[:, 16:] = 0, 0
        return picture


@pytest.mark.parametrize(
    ("codec", "layout", "size"),
    [
        ("mpeg4", "yuv420p", (321, 241)),
        ("libx264", "yuv444p", (321, 241)),
        ("libx264", "yuv420p10le", (64, 48)),
        ("libx265", "yuv420p10le", (64, 48)),
    ],
)
def test_odd_sizes_and_depths(
    tmp_path: Path, codec: str, layout: str, size: tuple[int, int]
) -> None:
    coding = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    clip = Clip(RISING, size=size, codec=codec, layout=layout, time_base=FRAME, coding=coding)
    path = clip.write(tmp_path / "a.mp4")
    found = pictures(path)
    assert_rising(found)
    assert {picture.pixels.shape for picture in found} == {(size[1], size[0], 3)}
    assert (describe_video(path).width, describe_video(path).height) == size


@pytest.mark.parametrize("form", ["mp4", "mkv", "ts", "flv"])
@pytest.mark.parametrize("start", [25, 250])
def test_a_first_time_that_is_not_0(tmp_path: Path, form: str, start: int) -> None:
    ticks = range(start, start + len(RISING))
    path = Clip(RISING, ticks=ticks, time_base=FRAME).write(tmp_path / f"a.{form}")
    found = pictures(path)
    assert_rising(found)
    assert times(found) == [40 * n for n in range(len(RISING))]
    assert describe_video(path).start / MS == pytest.approx(40 * start, abs=100)


def test_a_first_time_below_0(tmp_path: Path) -> None:
    clip = Clip(RISING, ticks=range(-5, 25), time_base=FRAME)
    assert_rising(pictures(clip.write(tmp_path / "a.mkv")))
    # MP4 has an edit list for it: what lies before 0 is not to be shown.
    found = pictures(clip.write(tmp_path / "a.mp4"))
    assert grays(found) == pytest.approx(list(RISING[5:]), abs=6)
    assert times(found) == [40 * n for n in range(25)]


@pytest.mark.parametrize("start", [20, 33])
def test_of_an_edited_file_the_part_that_is_shown(tmp_path: Path, start: int) -> None:
    clip = Clip([2 * n + 20 for n in range(100)], coding={"g": "25", "bf": "0"})
    path = edit(clip.write(tmp_path / "a.mp4"), start * 3600, 1600)
    found = pictures(path)
    assert grays(found) == pytest.approx([2 * n + 20 for n in range(start, start + 40)], abs=6)
    assert times(found) == [40 * n for n in range(40)]
    assert describe_video(path).frames == 40
    assert describe_video(path).duration_s == pytest.approx(1.6)


def test_a_gif_keeps_its_uneven_times(tmp_path: Path) -> None:
    ticks = [0, 5, 10, 30, 130, 131]
    clip = Clip([0, 255] * 3, codec="gif", layout="rgb8", ticks=ticks, time_base=Fraction(1, 100))
    found = pictures(clip.write(tmp_path / "a.gif"))
    assert times(found) == [10 * tick for tick in ticks]
    assert grays(found) == pytest.approx([0, 255] * 3, abs=2)


def test_pictures_that_change_their_size(tmp_path: Path) -> None:
    sizes = [(64, 48)] * 3 + [(48, 64)] * 2 + [(161, 121)]
    path = tmp_path / "a.mjpeg"
    with path.open("wb") as file:
        for size in sizes:
            clip = Clip([99], size=size, codec="mjpeg", layout="yuvj420p", time_base=FRAME)
            file.write(clip.write(tmp_path / "one.mjpeg", "mjpeg").read_bytes())
    found = pictures(path)
    assert [picture.pixels.shape for picture in found] == [(h, w, 3) for w, h in sizes]
    assert times(found) == [40 * n for n in range(6)]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("a.mp4", Clip(NOISE.grays, noise=1.0, container=FRAGMENTS)),
        ("sound.mp4", Clip(NOISE.grays, noise=1.0, container=FRAGMENTS, sound=Sound(seconds=4.5))),
        ("sound.mkv", Clip(NOISE.grays, noise=1.0, sound=Sound(seconds=4.5))),
        ("a.flv", NOISE),
    ],
)
def test_a_file_that_is_cut_off_gives_what_is_left_and_says_where(
    tmp_path: Path, name: str, clip: Clip
) -> None:
    path = clip.write(tmp_path / name)
    assert len(pictures(path)) == 100
    found, error = broken(cut(path, 0.6))
    assert 25 <= len(found) <= 75
    assert times(found) == [40 * n for n in range(len(found))]
    assert f"ends early at {len(found) / 25:.2f} s of" in error
    assert f"after {len(found)} pictures" in error


def test_an_avi_that_is_cut_off_says_how_long_it_was(tmp_path: Path) -> None:
    clip = Clip(NOISE.grays, noise=1.0, codec="mpeg4", time_base=FRAME)
    found, error = broken(cut(clip.write(tmp_path / "a.avi"), 0.6))
    assert f"ends early at {len(found) / 25:.2f} s of 4.0 s" in error


def test_the_last_picture_alone_may_be_missing(tmp_path: Path) -> None:
    path = Clip(NOISE.grays, noise=1.0, container=FAST_START).write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-200])
    found, error = broken(path)
    assert len(found) == 99
    assert "ends early at 3.96 s of 4.0 s, after 99 pictures" in error


def test_a_file_that_stops_being_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stored as 0 2 1 4 3: the decoder holds one picture back.
    coding = {"x264-params": "bframes=1:b-adapt=0"}
    path = Clip(RISING, coding=coding).write(tmp_path / "a.mp4")

    @contextlib.contextmanager
    def open_container(*arguments: Any) -> Iterator[tuple[Any, Any]]:
        with open_real_container(*arguments) as (container, stream):
            yield Failing(container), stream

    monkeypatch.setattr(video_file, "open_container", open_container)
    found, error = broken(path)
    assert len(found) == 13
    assert grays(found) == pytest.approx(list(RISING[:13]), abs=6)
    assert "ends early at 0.52 s of 1.2 s, after 13 pictures; reading failed partway" in error


class Failing:
    """A container on a disk that fails after 13 packets."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self) -> Iterator[Any]:
        for n, packet in enumerate(self._container.demux()):
            if n == 13:
                raise av.error.OSError(5, "Input/output error", "a.mp4")
            yield packet


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv", "sound.mkv"])
def test_a_damaged_stretch_costs_its_pictures_alone(tmp_path: Path, name: str) -> None:
    sound = Sound(seconds=4.0) if name.startswith("sound") else None
    clip = Clip(NOISE.grays, noise=1.0, coding=NOISE.coding, sound=sound)
    path = clip.write(tmp_path / name)
    whole = {picture.pts: picture.pixels for picture in pictures(path)}
    skipped: list[str] = []
    found = pictures(damage(path, 0.42, 0.46), skipped)
    assert 85 <= len(found) < 100
    assert times(found)[-1] == 99 * 40
    same = [np.array_equal(picture.pixels, whole[picture.pts]) for picture in found]
    # Next to the damage, only what is predicted from it suffers: up to the next of every ten.
    assert sum(same) >= 80
    assert same[:35] == [True] * 35
    assert same[-35:] == [True] * 35
    if name == "a.mp4":
        assert skipped
        assert all("a.mp4: a picture after 1." in line for line in skipped)
    again = pictures(path)
    assert times(again) == times(found)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(found, again, strict=True))


def test_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        track = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        track.layout, frame.sample_rate = "mono", 48_000
        container.mux(track.encode(frame))
        container.mux(track.encode())
    for read in (pictures, describe_video):
        with pytest.raises(SourceError, match=r"a\.m4a: contains no video, only audio$"):
            read(path)


@pytest.mark.parametrize(
    ("name", "container", "error"),
    [
        ("a.mp4", {}, "contains no video, nor anything else"),
        ("a.mp4", FRAGMENTS, "none of its pictures can be read"),
        ("a.avi", {}, "none of its pictures can be read"),
        ("a.mkv", {}, "damaged, truncated, or not a video"),
    ],
)
def test_a_file_without_a_picture(
    tmp_path: Path, name: str, container: dict[str, str], error: str
) -> None:
    path = Clip([], container=container).write(tmp_path / name)
    for read in (pictures, describe_video):
        with pytest.raises(SourceError, match=rf"{name}: {error}$"):
            read(path)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "the file is empty"),
        (b"\0", "damaged, truncated, or not a video"),
        (b"Dear all,\nthe meeting is at noon.\n", "damaged, truncated, or not a video"),
    ],
)
def test_a_file_that_is_something_else(tmp_path: Path, content: bytes, error: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    for read in (pictures, describe_video):
        with pytest.raises(SourceError, match=rf"a\.mp4: {error}$"):
            read(path)


def test_a_kind_of_video_that_nobody_knows(tmp_path: Path) -> None:
    path = Clip(RISING).write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1\0", b"xyzw\0"))
    for read in (pictures, describe_video):
        with pytest.raises(SourceError, match=r"a\.mp4: FFmpeg cannot decode its video"):
            read(path)


def test_a_folder_and_a_missing_file_are_described_as_such(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a folder, not a video file$"):
        describe_video(tmp_path)
    with pytest.raises(SourceError, match=r"a\.mp4: no such file$"):
        describe_video(tmp_path / "a.mp4")


def test_a_title_in_an_old_encoding_is_no_obstacle(tmp_path: Path) -> None:
    path = Clip(RISING).write(tmp_path / "a.flv")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"Lavf", b"\xfcber", 1))
    assert_rising(pictures(path))


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("bframes.mp4", Clip(RISING, coding={"bf": "3"})),
        ("fragments.mp4", Clip(RISING, container=FRAGMENTS)),
        ("a.mkv", Clip(RISING, ticks=[0, *range(7, 36)], time_base=FRAME)),
        ("a.avi", Clip(RISING, codec="mpeg4", time_base=FRAME, coding={"bf": "2"})),
        ("a.ts", Clip(RISING, sound=Sound())),
    ],
)
def test_the_same_pictures_each_time_and_as_many_as_there_are(
    tmp_path: Path, name: str, clip: Clip
) -> None:
    path = clip.write(tmp_path / name)
    first, second = pictures(path), pictures(path)
    with av.open(str(path)) as container:
        assert len(first) == sum(1 for _ in container.decode(video=0)) == len(RISING)
    assert times(first) == times(second)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, second, strict=True))


def test_a_file_is_described(tmp_path: Path) -> None:
    clip = Clip(RISING, turn=90, pixel_aspect=Fraction(4, 3), sound=Sound(seconds=1.2))
    found = describe_video(clip.write(tmp_path / "a.mp4"))
    assert (found.width, found.height, found.frames) == (48, 64, 30)
    assert found.duration_s == pytest.approx(1.2)
    assert (found.rate, found.codec, found.has_audio) == (25, "h264", True)
    assert found.pixel_aspect == Fraction(3, 4)


def test_what_a_file_does_not_tell_is_none(tmp_path: Path) -> None:
    clip = Clip(RISING, ticks=range(30), time_base=Fraction(1, 30))
    found = describe_video(clip.write(tmp_path / "a.h264", "h264"))
    assert (found.frames, found.duration_s, found.rate) == (None, None, 30)
    assert not found.has_audio
    live = describe_video(Clip(RISING, container={"live": "1"}).write(tmp_path / "a.mkv"))
    assert (live.frames, live.duration_s) == (None, None)


@pytest.mark.parametrize(
    ("form", "codec", "sound"),
    [
        ("wmv", "wmv2", "mp3"),
        ("asf", "mpeg4", "mp3"),
        ("mkv", "libx264", "aac"),
        ("flv", "flv1", "aac"),
        ("avi", "mpeg4", "mp3"),
        ("mp4", "libx264", "aac"),
        ("mov", "libx264", "aac"),
        ("mpg", "mpeg2video", "mp2"),
        ("ts", "libx264", "aac"),
        ("nut", "mpeg4", "mp3"),
    ],
)
@pytest.mark.parametrize("seconds", [8.0, 0.5])
def test_a_whole_file_whose_sound_has_another_length(
    tmp_path: Path, form: str, codec: str, sound: str, seconds: float
) -> None:
    track = Sound(sound, seconds=seconds, click=0.2, layout="stereo")
    clip = Clip([128] * 50, codec=codec, time_base=FRAME, noise=0.2, sound=track)
    path = clip.write(tmp_path / f"a.{form}", "asf" if form == "wmv" else None)
    assert len(pictures(path)) == 50


@pytest.mark.parametrize("codec", ["wmv2", "mpeg4"])
@pytest.mark.parametrize("seconds", [2.0, 4.0, 8.0])
def test_a_windows_media_file_that_is_cut_off(tmp_path: Path, codec: str, seconds: float) -> None:
    track = Sound("mp3", seconds=seconds)
    clip = Clip(NOISE.grays, noise=1.0, codec=codec, time_base=FRAME, sound=track)
    found, error = broken(cut(clip.write(tmp_path / "a.wmv", "asf"), 0.5))
    assert 10 <= len(found) <= 90
    assert f"after {len(found)} pictures; the rest is missing or damaged" in error
