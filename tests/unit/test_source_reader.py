"""Files, folders and cameras: every picture with its time, or one clear error."""

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from emostream.services.capture.clock import SystemClock
from emostream.services.capture.pace import paced
from emostream.services.capture.picture import Picture, Pictures, as_bgr
from emostream.services.capture.source_reader import open_source
from emostream.shared.config import Source
from emostream.shared.errors import SourceError
from tests.builders import WaitingClock
from tests.unit.videos import cut, video_track

Steps = Sequence[float]


def video(
    path: Path,
    grays: Sequence[int],
    *,
    size: tuple[int, int] = (64, 48),
    times: Steps | None = None,
    pixels: str = "yuv420p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video whose n-th picture is of the n-th gray, at 25 a second or at `times`."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = video_track(container, codec, size, pixels)
        stream.codec_context.time_base = Fraction(1, 1000)
        for n, gray in enumerate(grays):
            frame = av.VideoFrame.from_ndarray(
                np.full((size[1], size[0], 3), gray, np.uint8), format="bgr24"
            )
            frame.pts = round(1000 * (times[n] if times else n / 25))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def pictures(url: Path | str, skipped: list[str] | None = None, **keys: Any) -> list[Picture]:
    settings = Source(**{"url": str(url), "pace": "fast", **keys})
    return list(open_source(settings, ([] if skipped is None else skipped).append, WaitingClock()))


def test_a_file_gives_its_pictures_with_their_own_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.5, 0.54, 2.0]
    found = pictures(video(tmp_path / "a.mkv", [0, 60, 120, 180, 240], times=times))
    assert [picture.pts for picture in found] == pytest.approx([t * 1e9 for t in times], abs=1e6)
    assert [picture.pixels.mean() for picture in found] == pytest.approx(
        [0, 60, 120, 180, 240], abs=4
    )
    assert found[0].pixels.shape == (48, 64, 3)
    assert found[0].pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "codec", "layout", "size"),
    [
        ("odd.mkv", "ffv1", "yuv420p", (63, 47)),
        ("ten.mkv", "ffv1", "yuv420p10le", (64, 48)),
        ("gray.mkv", "ffv1", "gray", (64, 48)),
        ("alpha.mkv", "ffv1", "yuva420p", (64, 48)),
        ("one.mkv", "ffv1", "yuv444p", (1, 1)),
    ],
)
def test_every_kind_of_pixels_comes_as_bgr(
    tmp_path: Path, name: str, codec: str, layout: str, size: tuple[int, int]
) -> None:
    path = video(tmp_path / name, [0, 128, 255], size=size, pixels=layout, codec=codec)
    found = pictures(path)
    assert [picture.pixels.shape for picture in found] == [(size[1], size[0], 3)] * 3
    assert [picture.pixels.mean() for picture in found] == pytest.approx([0, 128, 255], abs=4)
    assert all(picture.pixels.flags.c_contiguous for picture in found)


def test_a_size_that_changes_midway(tmp_path: Path) -> None:
    one = video(tmp_path / "1.ts", [50] * 5)
    two = video(tmp_path / "2.ts", [150] * 5, size=(96, 80))
    one.write_bytes(one.read_bytes() + two.read_bytes())
    shapes = [picture.pixels.shape for picture in pictures(one)]
    assert shapes == [(48, 64, 3)] * 5 + [(80, 96, 3)] * 5


def test_a_phone_video_is_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = video_track(container)
        scene = np.zeros((48, 64, 3), np.uint8)
        scene[:, :32] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(scene, format="bgr24")))
        container.mux(stream.encode())
    # The track's matrix for a quarter turn clockwise, as phones write it (16.16 fixed point).
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in turn)
    path.write_bytes(data)
    [picture] = pictures(path)
    assert picture.pixels.shape == (64, 48, 3)
    # What was on the left is on top after a quarter turn clockwise.
    assert picture.pixels[:28].mean() > 250
    assert picture.pixels[36:].mean() < 5


def test_a_missing_file() -> None:
    with pytest.raises(SourceError, match=r"^/nowhere/a\.mp4: no such file$"):
        pictures("/nowhere/a.mp4")


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"not a video at all" * 100)
    with pytest.raises(SourceError, match=r"a\.mp4: damaged, truncated, or not a video$"):
        pictures(path)


def test_a_file_with_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(SourceError, match=r"a\.wav: contains no video, only audio$"):
        pictures(path)


def test_a_file_whose_pictures_are_all_missing(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", [80] * 50, options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    with pytest.raises(SourceError, match=r"a\.mp4: (none of its pictures can be read|damaged)"):
        pictures(path)


def noise(count: int) -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    return [dice.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mkv", "libx264", {}),
        ("a.avi", "mpeg4", {}),
    ],
)
def test_a_file_that_breaks_off_gives_what_it_has_and_then_says_where(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w", options=options) as container:
        stream = video_track(container, codec)
        for scene in noise(100):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene, format="bgr24")))
        container.mux(stream.encode())
    assert len(pictures(path)) == 100
    cut(path, 0.6)
    found = []
    with pytest.raises(SourceError, match=rf"{name}: ends early at [12]\.\d\d s") as raised:
        for picture in open_source(Source(url=str(path), pace="fast"), print, WaitingClock()):
            found.append(picture)
    assert 30 <= len(found) <= 80
    assert f"after {len(found)} pictures" in str(raised.value)


def test_a_folder_gives_its_images_in_natural_order(tmp_path: Path) -> None:
    for name, gray in (("10.png", 100), ("2.jpg", 20), ("1.bmp", 10), ("x.webp", 200)):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), gray, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    found = pictures(tmp_path, fps=10.0)
    means = [picture.pixels.mean() for picture in found]
    assert means == pytest.approx([10, 20, 100, 200], abs=2)
    assert [picture.pts for picture in found] == [0, 100_000_000, 200_000_000, 300_000_000]


def test_images_of_any_kind_come_as_bgr(tmp_path: Path) -> None:
    kinds: dict[str, np.ndarray] = {
        "1.png": np.full((1, 1, 3), 255, np.uint8),
        "2.png": np.full((5, 7), 9, np.uint8),
        "3.png": np.full((5, 7, 4), 9, np.uint8),
        "4.png": np.full((5, 7, 3), 9 * 256, np.uint16),
        "5.png": np.zeros((5, 7, 3), np.uint8),
    }
    for name, pixels in kinds.items():
        cv2.imwrite(str(tmp_path / name), pixels)
    found = [picture.pixels for picture in pictures(tmp_path)]
    assert [pixels.shape for pixels in found] == [(1, 1, 3)] + [(5, 7, 3)] * 4
    assert [int(pixels.max()) for pixels in found] == [255, 9, 9, 9, 0]


def test_an_unreadable_image_is_told_of_and_left_out(tmp_path: Path) -> None:
    for name in ("1.png", "3.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "2.png").write_bytes(b"no picture")
    skipped: list[str] = []
    assert len(pictures(tmp_path, skipped)) == 2
    assert skipped == [
        f"{tmp_path / '2.png'}: not a readable picture (JPEG, PNG, WebP, BMP, TIFF, HEIC or"
        " AVIF); skipped"
    ]


@pytest.mark.parametrize(
    ("files", "error"),
    [((), "contains no pictures"), (("1.png",), "no readable picture among 1 file")],
)
def test_a_folder_without_a_picture(tmp_path: Path, files: tuple[str, ...], error: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(SourceError, match=error):
        pictures(tmp_path)


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(SourceError, match=r"^camera 97 cannot be opened: is it"):
        pictures("camera:97")


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_any_layout_becomes_bgr(shape: tuple[int, ...], depth: type[np.generic]) -> None:
    value = 40 if depth is np.uint8 else 40 << 8
    pixels = as_bgr(np.full(shape, value, depth))
    assert pixels.shape == (4, 6, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == 40).all()


@pytest.mark.parametrize(
    "array", [np.zeros((0, 5, 3), np.uint8), np.zeros((4, 6, 2), np.uint8), np.zeros((4, 6))]
)
def test_what_is_no_picture(array: np.ndarray) -> None:
    with pytest.raises(SourceError, match="not a picture"):
        as_bgr(array)


def test_a_file_at_its_own_pace_gives_each_picture_at_its_time(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.5, 2.0]
    path = video(tmp_path / "a.mkv", [0, 60, 120, 180], times=times)
    clock = WaitingClock(100.0)
    given = [
        clock.now() - 100 for _ in open_source(Source(url=str(path), pace="real"), print, clock)
    ]
    assert given == pytest.approx(times, abs=1e-3)


def test_a_hold_up_is_not_made_up_for_in_a_burst() -> None:
    clock = WaitingClock(100.0)
    source = (Picture(np.zeros((1, 1, 3), np.uint8), n * 40_000_000) for n in range(10))
    given = []
    for n, _ in enumerate(paced(source, clock)):
        given.append(clock.now())
        clock.time += 3.0 if n == 4 else 0.0
    steps = np.diff(given)
    assert steps[4] == pytest.approx(3.0)
    assert [*steps[:4], *steps[5:]] == pytest.approx([0.04] * 8)


@pytest.mark.parametrize(("takes", "after"), [(0.004, 0.02), (0.012, 0.0)])
def test_the_next_picture_is_prepared_when_the_one_before_is_probably_processed(
    takes: float, after: float
) -> None:
    """Unless that takes so long that it would be late."""
    clock = WaitingClock(100.0)
    begun, given = [], []

    def source() -> Pictures:
        for n in range(10):
            begun.append(clock.now())
            clock.time += takes
            yield Picture(np.zeros((1, 1, 3), np.uint8), n * 40_000_000)

    for _ in paced(source(), clock):
        given.append(clock.now())
    assert np.diff(given) == pytest.approx([0.04] * 9)
    rests = np.subtract(begun[2:], given[1:-1])
    assert rests == pytest.approx([after] * 8)


def test_pacing_ends_when_told_to_stop() -> None:
    clock = SystemClock()
    source = (Picture(np.zeros((1, 1, 3), np.uint8), n * 3600_000_000_000) for n in range(2))
    found = paced(source, clock)
    next(found)
    clock.stop()
    assert list(found) == []
