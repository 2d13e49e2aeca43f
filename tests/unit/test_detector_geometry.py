"""Boxes, suppression and tiles, by tables."""

import tracemalloc

import numpy as np
import pytest

from emostream.services.detector.detection import (
    Detection,
    as_boxes,
    containments,
    intersections,
    pairwise_iou,
    suppress,
)
from emostream.services.detector.tiling import Tiling, merge, region_around, search, tiles
from emostream.shared.fields import MOST_FACES

UNIT = (0.0, 0.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("other", "shared", "iou", "contained"),
    [
        (UNIT, 4, 1, 1),
        ((1.0, 1.0, 2.0, 2.0), 1, 1 / 7, 1 / 4),
        ((0.0, 0.0, 1.0, 1.0), 1, 1 / 4, 1),
        ((2.0, 0.0, 2.0, 2.0), 0, 0, 0),
        ((9.0, 9.0, 2.0, 2.0), 0, 0, 0),
        ((1.0, 1.0, 0.0, 0.0), 0, 0, 0),
        ((1.0, 1.0, -3.0, 2.0), 0, 0, 0),
    ],
)
def test_pairs_of_boxes(
    other: tuple[float, ...], shared: float, iou: float, contained: float
) -> None:
    first, second = np.array([UNIT]), np.array([other])
    assert intersections(first, second) == pytest.approx(shared)
    assert pairwise_iou(first, second) == pytest.approx(iou)
    assert containments(first, second) == pytest.approx(contained)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0), (2, 3)])
def test_geometry_keeps_shapes_when_there_is_nothing(n: int, m: int) -> None:
    first, second = np.ones((n, 4)), np.ones((m, 4))
    for measure in (intersections, pairwise_iou, containments):
        assert measure(first, second).shape == (n, m)


def test_boxes_of_no_detections() -> None:
    assert as_boxes([]).shape == (0, 4)


@pytest.mark.parametrize(
    ("closeness", "scores", "groups"),
    [
        (np.empty((0, 0)), [], []),
        (np.eye(1), [0.3], [[0]]),
        (np.eye(3), [0.1, 0.9, 0.5], [[1], [2], [0]]),
        (np.ones((3, 3)), [0.1, 0.9, 0.5], [[1, 2, 0]]),
        # 0 is close to 1 and 1 to 2, but 0 is not close to 2: the best takes 1 alone.
        (np.array([[1, 0.8, 0], [0.8, 1, 0.8], [0, 0.8, 1]]), [0.9, 0.8, 0.7], [[0, 1], [2]]),
    ],
)
def test_suppression_groups_what_is_close(
    closeness: np.ndarray, scores: list[float], groups: list[list[int]]
) -> None:
    assert suppress(closeness, np.array(scores), 0.5) == groups


def test_merge_keeps_the_best_of_the_same_face() -> None:
    best = Detection((100, 100, 50, 50), 0.9)
    twin = Detection((104, 98, 50, 52), 0.8)
    cut_by_an_edge = Detection((100, 110, 24, 40), 0.7)
    other = Detection((300, 100, 50, 50), 0.6)
    assert merge([other, cut_by_an_edge, twin, best]) == [best, other]
    assert merge([]) == []


def test_merging_the_faces_of_a_crowd_takes_no_gigabytes() -> None:
    random = np.random.default_rng(1)
    places = random.uniform(0, 2000, (6000, 2)).tolist()
    found = [Detection((x, y, 12, 12), random.uniform(0.5, 1)) for x, y in places]
    tracemalloc.start()
    try:
        kept = merge(found)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == MOST_FACES
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    assert max(found, key=lambda one: one.score) == kept[0]
    assert most < 500e6


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        ((1280, 720), 1, [(0, 0, 1280, 720)]),
        ((1280, 720), 2, [(0, 0, 720, 720), (560, 0, 720, 720)]),
        ((720, 1280), 2, [(0, 0, 720, 720), (0, 560, 720, 720)]),
        ((1, 1), 2, [(0, 0, 1, 1)]),
    ],
)
def test_tiles(
    size: tuple[int, int], count: int, expected: list[tuple[int, int, int, int]]
) -> None:
    assert list(tiles(*size, count)) == expected


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (640, 480), (100, 7), (1, 1), (5, 900)])
@pytest.mark.parametrize("count", range(1, 10))
def test_tiles_cover_every_pixel_and_stay_inside(size: tuple[int, int], count: int) -> None:
    width, height = size
    seen = np.zeros((height, width), bool)
    for x, y, w, h in tiles(width, height, count):
        assert w > 0 and h > 0 and x >= 0 and y >= 0 and x + w <= width and y + h <= height
        seen[y : y + h, x : x + w] = True
    assert seen.all()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((600, 300, 50, 50), (525, 225, 200, 200)),
        ((0, 0, 50, 50), (0, 0, 200, 200)),
        ((1270, 700, 50, 50), (1080, 520, 200, 200)),
        ((600, 300, 5, 5), (554, 254, 96, 96)),
        ((-900, 5000, 50, 50), (0, 520, 200, 200)),
        ((100, 100, 600, 600), (0, 0, 1280, 720)),
    ],
)
def test_a_close_up_stays_inside_the_frame(
    box: tuple[float, float, float, float], expected: tuple[int, int, int, int]
) -> None:
    assert region_around(box, 1280, 720) == expected


@pytest.mark.parametrize(
    ("tiling", "per_frame"),
    [
        (Tiling(count=2, every=1), [2, 2, 2, 2, 2]),
        (Tiling(count=2, every=4), [2, 0, 1, 0, 1]),
        (Tiling(count=4, every=2), [4, 2, 2, 2, 2]),
        (Tiling(count=0, every=1), [0, 0, 0, 0, 0]),
    ],
)
def test_tiles_are_spent_by_policy(tiling: Tiling, per_frame: list[int]) -> None:
    frame = np.zeros((720, 1280, 3), np.uint8)
    assert [len(tiling.tiles(frame, index)) for index in range(5)] == per_frame


class Brightest:
    """Finds the brightest pixel: a box of one pixel with one landmark."""

    def detect(self, frame: np.ndarray) -> list[Detection]:
        y, x = divmod(int(frame[..., 0].argmax()), frame.shape[1])
        return [Detection((float(x), float(y), 1.0, 1.0), 1.0, ((float(x), float(y)),))]


def test_what_a_window_shows_is_placed_in_the_frame() -> None:
    frame = np.zeros((80, 120, 3), np.uint8)
    frame[50, 70] = 255
    (found,) = search(Brightest(), frame, [(60, 40, 30, 30)])
    assert list(found.box) == [70, 50, 1, 1]
    assert list(found.landmarks) == [(70, 50)]
    assert search(Brightest(), frame, []) == []
