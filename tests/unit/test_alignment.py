"""Crops put eyes and mouth where `IN_CROP` says, without aliasing, wherever the face lies."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from emostream.models.alignment import (
    IN_CROP,
    SCALE,
    TEMPLATE,
    Floats,
    align,
    placement,
    similarity,
    square,
)

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Located:
    box: tuple[float, float, float, float]
    landmarks: Points = ()


def face(
    side: float, x: float, y: float, degrees: float = 0.0, landmarks: Floats = IN_CROP
) -> Located:
    """A face whose crop has this side and its middle at (x, y), turned."""
    turn = np.exp(1j * np.radians(degrees)) * side
    points = (landmarks - 0.5) @ np.array([1, 1j]) * turn + (x + 1j * y)
    right, left, mouth = ((float(p.real), float(p.imag)) for p in points)
    nose = ((right[0] + left[0]) / 2, (right[1] + mouth[1]) / 2)
    box = (x - 0.43 * side, y - 0.4 * side, 0.86 * side, 0.86 * side)
    return Located(box, (right, left, nose, mouth))


def dots(points: Points, sigma: float, index: int) -> np.ndarray:
    """A black frame with one soft dot on a landmark; positions count from a pixel's corner."""
    y, x = np.mgrid[:720, :1280] + 0.5
    distance = (x - points[index][0]) ** 2 + (y - points[index][1]) ** 2
    dot = 255 * np.exp(-distance / (2 * sigma**2))
    return np.repeat(dot.astype(np.uint8)[..., None], 3, axis=2)


def centroid(crop: np.ndarray) -> np.ndarray:
    weights = crop.astype(float) / crop.sum()
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5
    return np.array([(weights * x).sum(), (weights * y).sum()])


@pytest.mark.parametrize("side", [40.0, 100.0, 127.0, 129.0, 300.0, 640.0])
@pytest.mark.parametrize("degrees", [0.0, -20.0, 90.0])
@pytest.mark.parametrize(("landmark", "point"), [(0, 0), (1, 1), (3, 2)])
def test_landmarks_come_to_lie_at_their_places(
    side: float, degrees: float, landmark: int, point: int
) -> None:
    one = face(side, 640.3, 360.7, degrees)
    frame = dots(one.landmarks, side / 40, landmark)
    (crop,) = align(frame, [one])
    assert centroid(crop) == pytest.approx(64 * IN_CROP[point], abs=0.5)


@pytest.mark.parametrize(
    ("side", "cell"),
    [(130.0, 1), (200.0, 1), (333.0, 1), (700.0, 1), (333.0, 2), (700.0, 2), (700.0, 5)],
)
def test_fine_detail_does_not_alias(side: float, cell: int) -> None:
    """A checkerboard too fine for the crop turns gray, not into a coarser pattern."""
    y, x = np.mgrid[:720, :1280] // cell
    board = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    (crop,) = align(board, [face(side, 640, 360, 7)])
    assert crop.std() < 6
    assert crop.mean() == pytest.approx(127.5, abs=3)


def test_a_large_enough_pattern_stays() -> None:
    y, x = np.mgrid[:720, :1280] // 20
    board = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    (crop,) = align(board, [face(200, 640, 360)])
    assert crop.std() > 80


@pytest.mark.parametrize("count", [0, 1, 3])
def test_shape_type_and_layout(count: int) -> None:
    crops = align(np.zeros((72, 128, 3), np.uint8), [face(40, 60, 30)] * count, size=48)
    assert crops.shape == (count, 48, 48)
    assert crops.dtype == np.uint8
    assert crops.flags.c_contiguous


def test_gray_follows_luminance() -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[:] = (0, 255, 0)
    (crop,) = align(frame, [Located((20, 20, 50, 50))])
    assert (crop == 150).all()


@pytest.mark.parametrize(
    "box", [(-30, -30, 60, 60), (90, 40, 60, 60), (40, 90, 20, 40), (-500, -500, 50, 50)]
)
def test_beyond_the_border_the_border_repeats(box: tuple[float, float, float, float]) -> None:
    (crop,) = align(np.full((100, 120, 3), 77, np.uint8), [Located(box)])
    assert (crop == 77).all()


def test_the_border_repeats_its_own_pixels() -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[:, 0] = 200
    (crop,) = align(frame, [Located((-50, 20, 60, 60))])
    assert (crop[:, :40] == 200).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_tiny_frames_survive(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 9, np.uint8)
    for one in (Located((0, 0, 1, 1)), Located((-5, -5, 400, 400)), face(40, 0, 0, 30)):
        assert (align(frame, [one]) == 9).all()


@pytest.mark.parametrize("degrees", [0.0, 30.0])
def test_the_crop_is_narrower_than_the_template_around_the_same_center(degrees: float) -> None:
    matrix = placement(face(200, 500, 300, degrees, TEMPLATE))
    assert np.hypot(*matrix[:, 0]) == pytest.approx(0.9 * 200)
    assert matrix @ [0.5, 0.5, 1] == pytest.approx([500, 300])


def test_without_landmarks_the_crop_is_narrower_too() -> None:
    matrix = placement(Located((450, 250, 100, 100)))
    assert matrix == pytest.approx(np.array([[92.7, 0, 453.65], [0, 92.7, 253.65]]))


SAME = ((50.0, 50.0),) * 4
FAR = ((0.0, 0.0), (9000.0, 0.0), (4000.0, 9.0), (5000.0, 9000.0))


@pytest.mark.parametrize("landmarks", [(), SAME, FAR, SAME[:2]])
def test_landmarks_that_are_none_of_a_face_give_the_square(landmarks: Points) -> None:
    box = (30.0, 30.0, 40.0, 40.0)
    assert placement(Located(box, landmarks)) == pytest.approx(square(box))


@pytest.mark.parametrize(
    ("side", "plausible"), [(0.48, False), (0.52, True), (2.9, True), (3.1, False)]
)
def test_landmarks_must_fit_the_box(side: float, plausible: bool) -> None:
    """The side is the template's, in units of the box, whatever share of it the crop shows."""
    box = (450.0, 250.0, 100.0, 100.0)
    one = Located(box, face(100 * side, 500, 300, landmarks=TEMPLATE).landmarks)
    side_found = float(np.hypot(*placement(one)[:, 0]))
    expected = 100 * side * SCALE if plausible else float(square(box)[0, 0])
    assert side_found == pytest.approx(expected)


def test_a_profile_keeps_its_size() -> None:
    """Eyes that come together do not enlarge the face: eyes and mouth keep their distance."""
    frontal = face(200, 500, 300)
    right, left, _, mouth = frontal.landmarks
    middle = ((right[0] + left[0]) / 2, (right[1] + left[1]) / 2)
    turned = np.array([middle, middle, mouth])
    side = float(np.hypot(*similarity(turned)[:, 0]))
    assert side == pytest.approx(200, rel=0.06)


def test_a_still_larger_face_costs_no_detail() -> None:
    """Faces of any size come out alike."""
    picture = cv2.GaussianBlur(
        np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8), (0, 0), 3
    )
    crops = []
    for side in (64, 128, 256, 512):
        frame = np.zeros((600, 600, 3), np.uint8)
        frame[20 : 20 + side, 20 : 20 + side] = cv2.resize(picture, (side, side))[..., None]
        middle = 20 + side / 2
        crops.append(align(frame, [face(side, middle, middle)])[0].astype(float))
    for crop in crops:
        assert np.abs(crop - picture)[4:-4, 4:-4].mean() < 3
