"""Recognition in process: faces where they are, from every kind of picture, by any thread."""

import inspect
import json
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from emostream import RecognizedFace, Recognizer, recognize
from emostream.models import Classifier, load
from emostream.models.labels import LABELS
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.recognition import recognizer as recognition
from emostream.shared.errors import ConfigError, EmostreamError, SourceError, WeightsError
from tests.average_faces import load_average_faces
from tests.boxes import iou
from tests.conftest import DATA

PEOPLE = {
    "face-demographics-walking": 2,
    "head-pose-face-detection-female-and-male": 2,
    "head-pose-face-detection-male": 1,
}

CLOSE = 510  # a frame of the demo with faces of about 180 pixels


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def demo() -> DemoScene:
    return DemoScene()


def exif(jpeg: bytes, orientation: int) -> bytes:
    """Return a JPEG with an EXIF orientation, in the smallest such segment."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def coded(picture: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


def test_importing_the_package_loads_nothing_but_what_it_needs() -> None:
    code = "import sys, emostream; print(*{name.partition('.')[0] for name in sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "cv2", "msgspec", "zmq", "ai_edge_litert", "tensorflow"}
    assert "emostream" in out.stdout.split()
    assert not heavy & set(out.stdout.split())


def test_the_package_has_no_other_names() -> None:
    import emostream

    with pytest.raises(AttributeError, match="'recognise'"):
        _ = emostream.recognise


def test_faces_are_found_where_they_are_with_what_they_show(
    recognizer: Recognizer, demo: DemoScene
) -> None:
    right = 0
    for n in range(0, 400, 100):
        faces, truth = recognizer(demo.frame(n), "bgr"), demo.truth(n)
        assert len(faces) == len(truth)
        assert [face.score for face in faces] == sorted(face.score for face in faces)[::-1]
        for true in truth:
            face = max(faces, key=lambda face: iou(face.box, true.box))
            assert iou(face.box, true.box) > 0.4
            right += face.label in true.mix
    assert right >= 9


def test_a_face_says_all_that_is_known_of_it(recognizer: Recognizer, demo: DemoScene) -> None:
    for face in recognizer(demo.frame(0), "bgr"):
        assert tuple(face.probabilities) == LABELS
        assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert face.confidence == face.probabilities[face.label]
        assert face.confidence == max(face.probabilities.values())
        assert 0.5 <= face.score <= 1
        right_eye, left_eye, nose, mouth = face.landmarks
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_eye[1] < nose[1] < mouth[1]


def test_a_face_reads_well_and_becomes_json_in_one_line(
    recognizer: Recognizer, demo: DemoScene
) -> None:
    faces = recognizer(demo.frame(0), "bgr")
    told = RecognizedFace((10.4, 20.0, 99.6, 110.0), 0.9, (), {"calm": 0.934}, "calm", 0.934)
    assert str(told) == "calm 93% at 10, 20 (100 x 110 px)"
    tree = json.loads(msgspec.json.encode(faces))
    assert [one["label"] for one in tree] == [face.label for face in faces]
    assert tree[0]["probabilities"] == faces[0].probabilities
    assert tree[0]["box"] == list(faces[0].box)


def test_every_order_of_channels_gives_the_same(
    recognizer: Recognizer, demo: DemoScene, tmp_path: Path
) -> None:
    bgr = demo.frame(0)
    expected = recognizer(bgr, "bgr")
    assert recognizer(bgr[..., ::-1], "rgb") == expected
    opaque = np.dstack([bgr, np.full(bgr.shape[:2], 255, np.uint8)])
    assert recognizer(opaque, "bgra") == expected
    assert recognizer(opaque[..., [2, 1, 0, 3]], "rgba") == expected
    assert recognizer(bgr[..., ::-1], "bgr") != expected
    path = tmp_path / "Bild für alle.png"
    path.write_bytes(coded(bgr, ".png"))
    assert recognizer(path) == recognizer(str(path)) == expected


def test_gray_pictures_are_taken(recognizer: Recognizer, demo: DemoScene) -> None:
    gray = cv2.cvtColor(demo.frame(0), cv2.COLOR_BGR2GRAY)
    faces = recognizer(gray, "gray")
    assert len(faces) == 3
    assert recognizer(gray[..., None], "gray") == faces


def test_a_picture_is_only_read(recognizer: Recognizer, demo: DemoScene) -> None:
    picture = demo.frame(0)
    before = picture.copy()
    picture.flags.writeable = False
    assert recognizer(picture, "bgr")
    assert (picture == before).all()


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(3, cv2.ROTATE_180), (6, cv2.ROTATE_90_COUNTERCLOCKWISE), (8, cv2.ROTATE_90_CLOCKWISE)],
)
def test_a_photo_is_turned_upright(
    recognizer: Recognizer, demo: DemoScene, tmp_path: Path, orientation: int, turn: int
) -> None:
    stored = cv2.rotate(demo.frame(0), turn)
    path = tmp_path / "phone.jpg"
    path.write_bytes(exif(coded(stored, ".jpg"), orientation))
    faces = recognizer(path)
    assert len(faces) == 3
    for true in demo.truth(0):
        assert max(iou(face.box, true.box) for face in faces) > 0.4


@pytest.mark.parametrize(
    ("array", "channels", "message"),
    [
        (np.zeros((9, 9, 3), np.uint8), None, r'channels="bgr" \(as OpenCV'),
        (np.zeros((9, 9, 3), np.uint8), "hsv", "no channels 'hsv': choose bgr, rgb, gray"),
        (np.zeros((9, 9, 3), np.float32), "rgb", "is float32: give uint8, 0 to 255"),
        (np.zeros((9, 9), np.uint8), "rgb", r'\(9, 9\), but channels="rgb" wants \(H, W, 3\)'),
        (np.zeros((9, 9, 4), np.uint8), "bgr", r"wants \(H, W, 3\)"),
        (np.zeros((9, 9, 3), np.uint8), "rgba", r"wants \(H, W, 4\)"),
        (np.zeros((9, 9, 3), np.uint8), "gray", r"wants \(H, W\)"),
        (np.zeros((2, 9, 9, 3), np.uint8), "bgr", r"wants \(H, W, 3\)"),
        (np.zeros((0, 9, 3), np.uint8), "bgr", "which has no pixels"),
        ([["a"]], "gray", "give uint8"),
        ("picture.png", "bgr", "omit `channels`"),
    ],
)
def test_what_is_no_such_picture_is_refused_in_one_line(
    recognizer: Recognizer, array: object, channels: str | None, message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        recognizer(array, channels)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_files_that_are_no_pictures_are_named(
    recognizer: Recognizer, demo: DemoScene, tmp_path: Path
) -> None:
    whole = coded(demo.frame(0), ".jpg")
    bad = {"empty.jpg": b"", "text.jpg": b"hello" * 99, "cut.jpg": whole[: len(whole) // 2]}
    # A PNG that claims 100,000 x 100,000 pixels, more than OpenCV takes.
    head = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bad["bomb.png"] = b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + head + struct.pack(">I", zlib.crc32(head))
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.jpg").mkdir()
    for name in (*bad, "folder.jpg", "missing.jpg"):
        with pytest.raises(SourceError, match=name) as caught:
            recognizer(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (720, 1280)])
def test_a_picture_without_a_face_gives_none(
    recognizer: Recognizer, shape: tuple[int, int]
) -> None:
    assert recognizer(np.full((*shape, 3), 90, np.uint8), "bgr") == []


def test_small_faces_of_a_large_picture_are_found(recognizer: Recognizer, demo: DemoScene) -> None:
    small = cv2.resize(demo.frame(CLOSE), None, fx=0.17, fy=0.17, interpolation=cv2.INTER_AREA)
    picture = np.full((1440, 2560, 3), 60, np.uint8)
    picture[400 : 400 + small.shape[0], 700 : 700 + small.shape[1]] = small
    assert len(recognizer(picture, "bgr")) == 3
    assert len(Recognizer(tiles=0)(picture, "bgr")) < 3


def test_a_face_that_fills_the_picture_is_found(recognizer: Recognizer) -> None:
    faces = [recognizer(face, "gray") for face in load_average_faces()]
    assert sum(len(found) == 1 for found in faces) >= 7
    for found in faces:
        for face in found:
            x, y, width, height = face.box
            assert x + width / 2 == pytest.approx(24, abs=6)
            assert y + height / 2 == pytest.approx(24, abs=8)
            assert 20 < width < 60 and 20 < height < 60


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_faces_that_lie_on_their_side_or_upside_down_are_found(
    recognizer: Recognizer, demo: DemoScene, quarters: int
) -> None:
    upright = recognizer(demo.frame(CLOSE), "bgr")
    turned = np.ascontiguousarray(np.rot90(demo.frame(CLOSE), -quarters))
    found = sorted(recognizer(turned, "bgr"), key=lambda face: face.box[:2])
    height, width = turned.shape[:2]

    def there(x: float, y: float) -> tuple[float, float]:
        return {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarters]

    assert len(found) == len(upright) == 3
    for face in upright:
        x, y, across, down = face.box
        middle = there(x + across / 2, y + down / 2)
        (same,) = (
            one
            for one in found
            if (one.box[0] + one.box[2] / 2, one.box[1] + one.box[3] / 2)
            == pytest.approx(middle, abs=12)
        )
        expected = [there(*point) for point in face.landmarks]
        assert np.array(same.landmarks) == pytest.approx(np.array(expected), abs=8)
        assert same.label == face.label


def test_settings_decide(demo: DemoScene) -> None:
    strict = Recognizer(score=0.999)
    assert strict(demo.frame(0), "bgr") == []
    haar = Recognizer(detector="haar")
    faces = haar(demo.frame(0), "bgr")
    assert len(faces) >= 2
    assert all(face.landmarks == () for face in faces)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"detector": "mtcnn"},
            ConfigError,
            "no detector 'mtcnn': choose auto, yunet, blaze",
        ),
        ({"score": 0}, ConfigError, "above 0"),
        ({"tiles": -1}, ConfigError, "0 or more"),
        ({"engine": "litert", "device": "gpu"}, ConfigError, "no GPU for the engine litert"),
        ({"model": "resnet"}, WeightsError, "no model resnet"),
        ({"engine": "torch"}, WeightsError, "no engine 'torch'"),
        ({"weights": Path("nowhere.tflite")}, WeightsError, "nowhere.tflite"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(
    settings: dict[str, object], error: type[EmostreamError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        Recognizer(**settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_many_pictures_are_taken_one_after_the_other(
    recognizer: Recognizer, demo: DemoScene
) -> None:
    asked: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for n in (0, 50, 100):
            asked.append(n)
            yield demo.frame(n)

    results = recognizer.each(frames(), "bgr")
    assert next(results) == recognizer(demo.frame(0), "bgr")
    assert asked == [0]
    assert list(results) == [recognizer(demo.frame(n), "bgr") for n in (50, 100)]


def test_threads_share_a_recognizer_and_get_what_each_would_alone(
    recognizer: Recognizer, demo: DemoScene
) -> None:
    frames = [demo.frame(n) for n in range(0, 240, 30)]
    alone = [recognizer(frame, "bgr") for frame in frames]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            together = list(pool.map(lambda frame: recognizer(frame, "bgr"), frames))
            assert together == alone


def test_repeated_calls_load_once_also_from_many_threads(
    demo: DemoScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []

    def counted(*arguments: Any, **keywords: Any) -> Classifier:
        loaded.append(arguments)
        return load(*arguments, **keywords)

    recognition._recognizer.cache_clear()
    monkeypatch.setattr(recognition, "load", counted)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: recognize(demo.frame(0), channels="bgr"), range(4)))
    assert len(loaded) == 1
    assert results[0] == recognize(demo.frame(0), "bgr", model="alexnet-fer", detector="auto")
    assert len(loaded) == 1
    assert len(results[0]) == 3


def test_threads_may_each_make_their_own_and_take_turns(
    demo: DemoScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, clashes = Lock(), list[bool]()

    def alone(*arguments: Any, **keywords: Any) -> Classifier:
        clashes.append(not busy.acquire(blocking=False))
        model = load(*arguments, **keywords)
        busy.release()
        return model

    monkeypatch.setattr(recognition, "load", alone)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: Recognizer()(demo.frame(0), "bgr"), range(4)))
    assert clashes == [False] * 4
    assert all(result == results[0] for result in results)


def test_nothing_is_printed() -> None:
    code = (
        "import emostream.services.recognition.recognizer as recognition\n"
        "recognition.load = lambda *_, **__: None\n"
        "recognition.Recognizer()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_the_documentation_names_every_field_and_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "library.md").read_text("utf-8")
    rows = [
        re.findall(r"`(\w+)`", line.split("|")[1]) for line in page.splitlines() if "| `" in line
    ]
    fields = [field.name for field in msgspec.structs.fields(RecognizedFace)]
    settings = [*inspect.signature(Recognizer).parameters]
    assert [name for row in rows for name in row] == [*fields, *settings]


@pytest.mark.parametrize("clip", PEOPLE)
def test_real_people_are_all_found(recognizer: Recognizer, clip: str) -> None:
    path = DATA / "clips" / f"{clip}.gif"
    if not path.is_file():
        pytest.skip("the clips are not there")
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    found = [len(faces) for faces in recognizer.each(frames[::6], "bgr")]
    assert np.mean([count == PEOPLE[clip] for count in found]) >= 0.95


def test_a_face_that_cannot_be_judged_has_no_label(demo: DemoScene) -> None:
    """As of somebody who judges only what is sure to be named right: nobody."""
    faces = Recognizer(min_quality=1.0)(demo.frame(0), "bgr")
    assert len(faces) == 3
    for face in faces:
        assert (face.label, face.confidence, face.left_out) == ("", 0.0, "quality")
        assert sum(face.probabilities.values()) == pytest.approx(1)
        assert face.quality and face.quality.overall > 0.65, "which the usual one judges"
        assert str(face).startswith("not judged at ")
    with pytest.raises(ConfigError, match="min_quality is 2: give a number from 0 to 1"):
        Recognizer(min_quality=2)
