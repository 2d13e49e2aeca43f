"""Frames as video is coded: the same faces and crops as in BGR, of which nothing is converted."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.ffmpeg.video_file import video_pictures
from emostream.services.capture.framer import Framer
from emostream.services.detector.planes import Planes, aligned, cut
from emostream.services.detector.process import new_detector, new_tiling, selected
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tracking import track_ids
from emostream.services.recorder.encoding import best_encoder
from emostream.services.recorder.video_file import VideoFile
from emostream.shared.canvas import to_planes
from emostream.shared.config import Detector
from emostream.shared.errors import MessageError
from emostream.shared.messages import Box, Faces, Frame, Message
from emostream.shared.pixels import crops, image
from emostream.shared.wire import decode, encode
from tests.boxes import iou
from tests.builders import header_of


def message(picture: np.ndarray, encoding: str, seq: int = 0) -> Message:
    height, width = picture.shape[:2]
    header = Frame(
        stream="film",
        run="1",
        seq=seq,
        t=0,
        pts=seq * 40_000_000,
        marks={},
        width=width,
        height=height if encoding == "bgr8" else height * 2 // 3,
        encoding=encoding,  # type: ignore[arg-type]
    )
    return Message(header, picture.tobytes())


def boxes_of(message: Message) -> dict[int, Box]:
    assert isinstance(message.header, Faces)
    return {face.track: face.box for face in message.header.faces}


def test_the_faces_of_planes_are_those_of_the_picture() -> None:
    settings, scene = Detector(), DemoScene(faces=3)
    chosen = selected(settings)
    tiling = new_tiling(settings, chosen, live=False)
    stages = [
        DetectorStage(new_detector(settings, chosen), track_ids(1), tiling=tiling) for _ in range(2)
    ]
    moved = []
    for seq in range(12):
        planes = to_planes(scene.frame(seq))
        picture = np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420))
        sent = (message(picture, "bgr8", seq), message(planes, "i420", seq))
        bgr, coded = (stage(one)[0] for stage, one in zip(stages, sent, strict=True))
        boxes, others = boxes_of(bgr), boxes_of(coded)
        assert len(boxes) == 3
        assert boxes.keys() == others.keys()
        for track, box in boxes.items():
            assert iou(box, others[track]) > 0.9
            moved.append(np.subtract(box, others[track]))
        if [*boxes] == [*others]:
            assert np.abs(crops(bgr).astype(int) - crops(coded)).mean() < 3
    # Colors are rounded differently, so a few boxes differ by some pixels.
    assert np.median(np.abs(moved)) < 0.5
    assert np.abs(np.mean(moved)) < 0.5


@pytest.mark.parametrize("region", [(0, 0, 64, 48), (5, 7, 20, 11), (63, 47, 1, 1), (30, 0, 34, 3)])
def test_a_region_of_planes_is_that_of_the_picture(region: tuple[int, int, int, int]) -> None:
    random = np.random.default_rng(0)
    planes = to_planes(random.integers(0, 255, (48, 64, 3), np.uint8))
    picture = np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)
    assert (cut(Planes(planes), *region) == cut(picture, *region)).all()


def test_a_picture_of_planes_is_read_and_odd_sides_are_refused() -> None:
    planes = to_planes(np.full((48, 64, 3), (30, 90, 200), np.uint8))
    sent = decode([bytes(part) for part in encode(message(planes, "i420"))])
    assert np.abs(image(sent).astype(int) - (30, 90, 200)).max() < 6
    odd = message(np.zeros((72, 63), np.uint8), "i420")
    with pytest.raises(MessageError, match="63 x 48"):
        decode([bytes(part) for part in encode(odd)])


def test_crops_have_the_brightness_of_the_picture() -> None:
    class Located:
        box = (100.0, 60.0, 80.0, 80.0)
        landmarks = ()

    for level in (0, 60, 128, 255):
        planes = to_planes(np.full((240, 320, 3), level, np.uint8))
        crop = aligned(Planes(planes), [Located()])
        assert crop.shape == (1, 64, 64)
        assert np.abs(crop.astype(int) - level).max() <= 1
    assert aligned(Planes(planes), []).shape == (0, 64, 64)


def test_a_file_is_read_as_it_is_coded(tmp_path: Path) -> None:
    path, scene = tmp_path / "film.mp4", DemoScene(faces=1)
    with VideoFile(path, 1280, 720, best_encoder()) as file:
        for number in range(3):
            file.write(scene.frame(number), number * 40_000_000)
    coded = list(video_pictures(str(path), lambda line: None, planar=True))
    plain = list(video_pictures(str(path), lambda line: None))
    assert len(coded) == len(plain) == 3
    for one, other in zip(coded, plain, strict=True):
        assert (one.is_planar, one.size, one.pts) == (True, (1280, 720), other.pts)
        assert (other.is_planar, other.size) == (False, (1280, 720))
        picture = np.asarray(cv2.cvtColor(one.pixels, cv2.COLOR_YUV2BGR_I420), np.uint8)
        assert np.abs(picture.astype(int) - other.pixels).mean() < 3
        sent = [Framer("i420", 90).frame("film", each) for each in (one, other)]
        assert [header_of(each, Frame).encoding for each in sent] == ["i420", "bgr8"]
        assert [len(each.payload or b"") for each in sent] == [1_382_400, 2_764_800]
