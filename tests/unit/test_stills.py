"""How single pictures are searched: in as many tiles as their size asks for, the right way up."""

import numpy as np
import pytest

from emostream.services.detector.backends import Backend
from emostream.services.detector.detection import Detection
from emostream.services.recognition.stills import search_still, usual_tiles
from emostream.shared.pixels import Image


@pytest.mark.parametrize(
    ("backend", "shape", "tiles"),
    [
        ("yunet", (720, 1280), 2),
        ("yunet", (1080, 1920), 8),
        ("yunet", (2160, 3840), 15),
        ("blazeface", (480, 640), 2),
        ("blazeface", (2160, 3840), 8),
        ("haar", (2160, 3840), 0),
    ],
)
def test_larger_pictures_get_more_tiles(
    backend: Backend, shape: tuple[int, int], tiles: int
) -> None:
    assert usual_tiles(backend, np.zeros((*shape, 3), np.uint8)) == tiles


class Compass:
    """A detector that finds a face at the picture's red corner, with a score by its place."""

    def __init__(self, scores: dict[str, float]) -> None:
        self._scores = scores

    def detect(self, frame: Image) -> list[Detection]:
        height, width = frame.shape[:2]
        y, x = (int(place) for place in np.argwhere(frame[..., 2] == 255)[0])
        corner = ("top" if y < height / 2 else "bottom") + (" left" if x < width / 2 else " right")
        score = self._scores.get(corner, 0.0)
        return [Detection((x, y, 10, 10), score, ((x, y),) * 4)] if score else []


def picture() -> Image:
    """90 x 160 pixels, of which one in the upper left corner is red."""
    drawn = np.zeros((90, 160, 3), np.uint8)
    drawn[4, 8, 2] = 255
    return drawn


@pytest.mark.parametrize(
    ("scores", "gain", "landmark"),
    [
        ({"top left": 0.9, "bottom left": 0.92}, 1.08, (8, 4)),  # not enough better
        ({"top left": 0.8, "bottom left": 0.92}, 1.08, (9, 4)),
        ({"top left": 0.8, "top right": 0.92}, 1.08, (8, 5)),
        ({"top left": 0.8, "bottom right": 0.92}, 1.08, (9, 5)),
        ({"top left": 0.6, "bottom left": 0.79}, 1.08, (8, 4)),  # not sure enough
        ({"top left": 0.5, "bottom left": 0.92}, None, (8, 4)),  # there is one as it is
        ({"bottom left": 0.92}, None, (9, 4)),
    ],
)
def test_a_picture_is_turned_where_that_shows_more(
    scores: dict[str, float], gain: float | None, landmark: tuple[float, float]
) -> None:
    """Points come back where they were, to the pixel whose corner they name."""
    (found,) = search_still(Compass(scores), picture(), 0, 0.5, gain)
    assert found.landmarks[0] == landmark
    x, y, width, height = found.box
    assert (width, height) == (10, 10)
    assert min(abs(x - landmark[0]), abs(x + 10 - landmark[0])) == 0
    assert min(abs(y - landmark[1]), abs(y + 10 - landmark[1])) == 0


def test_nothing_is_found_in_any_turn() -> None:
    assert search_still(Compass({}), picture(), 0, 0.5, 1.08) == []
    assert search_still(Compass({"bottom left": 0.7}), picture(), 0, 0.5) == []
