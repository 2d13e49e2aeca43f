"""Pictures whose pixels are not square are searched as they are displayed."""

import base64
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.ffmpeg.video_file import describe_video, video_pictures
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.cli.results.report.history import LabelSpan
from emostream.services.cli.results.report.thumbnails import thumbnails
from emostream.services.detector.backends import create
from emostream.services.detector.detection import Detection
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.tracking import track_ids
from emostream.services.recorder.encoding import best_encoder
from emostream.services.recorder.stream_recording import StreamRecording
from emostream.shared.messages import Faces, Frame, Message
from emostream.shared.pixels import Image, crops, square_pixels
from tests.unit.videos import Clip

PAL_WIDE = Fraction(16, 11)


@pytest.mark.parametrize(
    ("size", "aspect", "square"),
    [
        ((320, 360), Fraction(2), (640, 360)),
        ((640, 180), Fraction(1, 2), (640, 360)),
        ((720, 576), PAL_WIDE, (1047, 576)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((640, 360), Fraction(1), (640, 360)),
        ((640, 360), Fraction(1000, 1001), (640, 360)),
        # What would become huge is shrunk in the other direction.
        ((3840, 4320), Fraction(2), (3840, 2160)),
    ],
)
def test_pixels_become_square_and_none_is_lost(
    size: tuple[int, int], aspect: Fraction, square: tuple[int, int]
) -> None:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    found = square_pixels(picture, float(aspect))
    assert (found.shape[1], found.shape[0]) == square
    assert (found is picture) is (size == square)


@pytest.mark.parametrize("form", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), PAL_WIDE])
def test_a_picture_says_how_wide_its_pixels_are(
    tmp_path: Path, form: str, aspect: Fraction
) -> None:
    clip = Clip([9] * 30, pixel_aspect=aspect, time_base=Fraction(1, 25))
    path = clip.write(tmp_path / f"a.{form}")
    assert {picture.pixel_aspect for picture in video_pictures(str(path), pytest.fail)} == {aspect}
    assert describe_video(path).pixel_aspect == aspect


@pytest.mark.parametrize("turn", [90, 270])
def test_of_a_turned_picture_width_and_height_change_places(tmp_path: Path, turn: int) -> None:
    clip = Clip([9] * 3, pixel_aspect=Fraction(2), turn=turn)
    path = clip.write(tmp_path / "a.mp4")
    [*found] = video_pictures(str(path), pytest.fail)
    assert {picture.pixel_aspect for picture in found} == {Fraction(1, 2)}
    assert found[0].pixels.shape == (64, 48, 3)


def test_a_broadcast_may_change_it(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    parts = [
        Clip([9] * 5, pixel_aspect=aspect, codec="mpeg2video", time_base=Fraction(1, 25))
        for aspect in (Fraction(12, 11), PAL_WIDE)
    ]
    path.write_bytes(b"".join(one.write(tmp_path / "part.ts").read_bytes() for one in parts))
    found = [picture.pixel_aspect for picture in video_pictures(str(path), pytest.fail)]
    assert len(set(found)) == 2
    assert found[0] < found[-1]


def test_an_absurd_one_is_damage(tmp_path: Path) -> None:
    path = Clip([9] * 3, pixel_aspect=Fraction(1, 200)).write(tmp_path / "a.mp4")
    assert next(video_pictures(str(path), pytest.fail)).pixel_aspect == 1


class Middle:
    """A detector that finds one face, a square in the middle of the picture."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def detect(self, frame: Image) -> list[Detection]:
        self.sizes.append(frame.shape[:2])
        height, width = frame.shape[:2]
        x, y = width / 2 - 50, height / 2 - 50
        eyes = ((x + 30, y + 40), (x + 70, y + 40), (x + 50, y + 60), (x + 50, y + 80))
        return [Detection((x, y, 100.0, 100.0), 0.9, eyes)]


def detected(detector: Middle, picture: Picture) -> tuple[Faces, Image]:
    stage = DetectorStage(detector, track_ids(1e9), tiling=Tiling(0, 1))
    [answer] = stage(Framer("bgr8", 90).frame("a", picture))
    assert isinstance(answer.header, Faces)
    return answer.header, crops(answer)


def test_boxes_are_in_pixels_of_the_stored_picture() -> None:
    detector = Middle()
    pixels = np.zeros((360, 320, 3), np.uint8)
    header, found = detected(detector, Picture(pixels, 0, pixel_aspect=Fraction(2)))
    assert detector.sizes == [(360, 640)]
    assert (header.width, header.height) == (320, 360)
    [face] = header.faces
    assert face.box == (135.0, 130.0, 50.0, 100.0)
    assert face.landmarks[0] == (150.0, 170.0)
    assert len(found) == 1


def test_what_the_classifier_gets_is_not_squeezed() -> None:
    scene = DemoScene(640, 360, faces=1)
    frame = scene.frame(40)
    stage = DetectorStage(
        create("blazeface", score=None, threads=1, weights=None, long_side=320),
        track_ids(1e9), tiling=Tiling(2, 1),
    )  # fmt: skip
    framer = Framer("bgr8", 90)

    def crop(picture: Picture, stream: str) -> Image:
        [answer] = stage(framer.frame(stream, picture))
        found = crops(answer)
        assert len(found) == 1
        return np.asarray(found[0], np.uint8)

    whole = crop(Picture(frame, 0), "square").astype(float)
    forms = [((320, 360), Fraction(2)), ((640, 180), Fraction(1, 2))]
    for n, (size, aspect) in enumerate(forms):
        squeezed = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        right = crop(Picture(squeezed, 0, pixel_aspect=aspect), f"right{n}")
        wrong = crop(Picture(squeezed, 0), f"wrong{n}")
        assert np.abs(right - whole).mean() < 8
        assert np.abs(wrong - whole).mean() > 2 * np.abs(right - whole).mean()


def test_the_thumbnails_of_a_report_are_as_displayed() -> None:
    pixels = np.zeros((360, 320, 3), np.uint8)
    # A circle as it is displayed.
    cv2.ellipse(pixels, (160, 180), (25, 50), 0, 0, 360, (255, 255, 255), -1)
    pictures = (one for one in [Picture(pixels, 0, pixel_aspect=Fraction(2))])
    span = LabelSpan(1, "happiness", 0, 1, 0, (135.0, 130.0, 50.0, 100.0))
    [url] = thumbnails(pictures, [span]).values()
    data = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    bright = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)) > 128
    across, down = bright.any(axis=0).sum(), bright.any(axis=1).sum()
    assert across == pytest.approx(down, abs=2)


def test_recorded_video_is_displayed_as_its_source(tmp_path: Path) -> None:
    recording = StreamRecording(tmp_path, best_encoder())
    pixels = np.zeros((96, 64, 3), np.uint8)
    framer = Framer("bgr8", 90, "r1")
    for n, aspect in enumerate([Fraction(2), Fraction(2), PAL_WIDE]):
        message: Message = framer.frame("a", Picture(pixels, n * 40_000_000, 10**18, aspect))
        assert isinstance(message.header, Frame)
        recording.write(message.header, pixels)
    recording.close()
    found = sorted(tmp_path.glob("*.mp4"))
    assert [describe_video(path).pixel_aspect for path in found] == [2, PAL_WIDE]
    with av.open(str(found[0])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2
