"""HDR video is analyzed and shown as SDR."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from emostream.models import load
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.ffmpeg import decoder
from emostream.services.capture.ffmpeg.hdr import sdr
from emostream.services.capture.ffmpeg.video_file import video_pictures
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import ClassifierStage
from emostream.services.detector.backends import create
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.tracking import track_ids
from emostream.shared.messages import Emotion
from emostream.shared.pixels import Image

Values = NDArray[np.float64]

# From linear BT.709 to linear BT.2020 (ITU-R BT.2087).
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
LUMA = np.array([0.2627, 0.6780, 0.0593])


def pq(light: Values) -> Values:
    """The code of light, cd/m2 (SMPTE ST 2084)."""
    power = (light / 10_000) ** (2610 / 16384)
    top = 3424 / 4096 + 2413 / 128 * power
    return np.asarray((top / (1 + 2392 / 128 * power)) ** (2523 / 32))


def hlg(light: Values) -> Values:
    """The code of light on a display of 1000 cd/m2 (ARIB STD-B67)."""
    display = np.maximum(light, 0) / 1000
    luminance = np.maximum(display @ LUMA, 1e-9)[..., None]
    scene = display * luminance ** (1 / 1.2 - 1)
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    bright = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright))


TRANSFERS: dict[ColorTrc, Callable[[Values], Values]] = {
    ColorTrc.SMPTE2084: pq,
    ColorTrc.ARIB_STD_B67: hlg,
}


def coded(picture: Image, transfer: ColorTrc, white: float) -> Values:
    """Code an SDR picture, BGR, in HDR: R G B from 0 to 1, its white at `white` cd/m2."""
    linear = (picture[..., ::-1] / 255.0) ** 2.4
    return TRANSFERS[transfer](np.maximum(linear @ TO_BT2020.T, 0) * white)


def hdr_frame(values: Values) -> av.VideoFrame:
    """R G B from 0 to 1 as 10 bits of Y'CbCr (BT.2020, limited range)."""
    red, _, blue = np.moveaxis(values, -1, 0)
    luma = values @ LUMA
    chroma = [(blue - luma) / 1.8814, (red - luma) / 1.4746]
    height, width = luma.shape
    halved = [one.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)) for one in chroma]
    planes = [luma * 876 + 64, *(one * 896 + 512 for one in halved)]
    frame = av.VideoFrame(width, height, "yuv420p10le")
    for plane, levels in zip(frame.planes, planes, strict=True):
        row = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)
        row[:, : plane.width] = np.clip(levels.round(), 0, 1023)
    return frame


def write_hdr(path: Path, pictures: list[Image], transfer: ColorTrc, white: float) -> Path:
    """Encode SDR pictures as HDR video."""
    with av.open(str(path), "w") as container:
        options = {"crf": "16", "preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}
        stream = container.add_stream("libx265", rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries = transfer, ColorPrimaries.BT2020
        context.colorspace, context.color_range = Colorspace.BT2020, ColorRange.MPEG
        for n, picture in enumerate(pictures):
            frame = hdr_frame(coded(picture, transfer, white))
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


needs_x265 = pytest.mark.skipif("libx265" not in av.codecs_available, reason="needs libx265")


def patches() -> Image:
    """Large patches of colors as they are in pictures of people."""
    colors = [(40, 40, 40), (120, 120, 120), (190, 190, 190), (110, 140, 200), (60, 80, 120),
              (180, 90, 60), (60, 150, 80), (70, 60, 190)]  # fmt: skip
    picture = np.zeros((64, 64 * len(colors), 3), np.uint8)
    for n, color in enumerate(colors):
        picture[:, 64 * n : 64 * (n + 1)] = color
    return picture


def middles(picture: Image) -> NDArray[Any]:
    return picture[32, 32::64].astype(int)


@needs_x265
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_colors_are_those_of_the_sdr_picture(tmp_path: Path, transfer: ColorTrc) -> None:
    path = write_hdr(tmp_path / "a.mp4", [patches()] * 2, transfer, 203)
    for picture in video_pictures(str(path), pytest.fail):
        # Only what is near white is darker, to leave room for lights.
        assert np.abs(middles(picture.pixels) - middles(patches())).max() <= 12


@needs_x265
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_without_it_they_are_washed_out(
    tmp_path: Path, transfer: ColorTrc, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_hdr(tmp_path / "a.mp4", [patches()], transfer, 203)
    monkeypatch.setattr(decoder, "is_hdr", lambda frame: False)
    [picture] = video_pictures(str(path), pytest.fail)
    assert np.abs(middles(picture.pixels) - middles(patches())).max() > 25


def shown_labels(pictures: Iterable[Image]) -> list[list[str]]:
    """Return the labels of each picture's faces, from left to right, as an analysis shows them."""
    detector = DetectorStage(
        create("blazeface", score=None, threads=1, weights=None, long_side=320),
        track_ids(1e9), tiling=Tiling(2, 1),
    )  # fmt: skip
    classifier = ClassifierStage(
        load("alexnet-fer-int8"), ClassifierMetrics(CollectorRegistry()), SmoothingRules(), 32
    )
    framer = Framer("bgr8", 90)
    found = []
    for n, picture in enumerate(pictures):
        [answer] = detector(framer.frame("a", Picture(picture, n * 40_000_000)))
        emotion = classifier([answer])[-1].header
        assert isinstance(emotion, Emotion)
        faces = sorted(emotion.faces, key=lambda face: face.box[0])
        found.append([face.label for face in faces])
    return found


@needs_x265
@pytest.mark.evidence
@pytest.mark.parametrize("white", [100, 203])
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_labels_are_those_of_the_sdr_picture(
    tmp_path: Path, transfer: ColorTrc, white: float
) -> None:
    scene = DemoScene(640, 360)
    shown = [scene.frame(n) for n in range(0, 180, 3)]
    path = write_hdr(tmp_path / "a.mp4", shown, transfer, white)
    found = shown_labels(picture.pixels for picture in video_pictures(str(path), pytest.fail))
    same = [a == b for a, b in zip(found, shown_labels(shown), strict=True)]
    assert {len(labels) for labels in found} == {3}
    assert np.mean(same) >= 0.95


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_brighter_is_never_darker(transfer: ColorTrc) -> None:
    grays = np.repeat(np.linspace(0, 1, 500)[:, None], 3, axis=1)
    found = sdr(grays, transfer)
    assert found.min() == pytest.approx(0, abs=1e-3)
    assert found.max() <= 1
    assert (np.diff(found, axis=0) >= -1e-9).all()
    assert np.ptp(found, axis=1) == pytest.approx(0, abs=2e-3)


def test_sdr_of_ten_bits_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.codec_context.color_trc = ColorTrc.BT709
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8), format="bgr24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode()])
    [picture] = video_pictures(str(path), pytest.fail)
    assert picture.pixels.mean() == pytest.approx(99, abs=2)
