"""Scenes are drawn alike for the same seed, and what is found in them is cut out rightly."""

from dataclasses import dataclass

import numpy as np
import pytest

from emostream.models.alignment import sample
from emostream.models.evaluation.corruptions import CORRUPTIONS
from emostream.models.evaluation.scenes import Scene, SceneStyle, draw_scenes
from emostream.services.cli.evaluation.scenes import SceneSearch, detect_in_scenes
from emostream.services.detector.backends import Selection
from emostream.services.detector.detection import Detection

FACES = np.stack([np.full((48, 48), 10 * number, np.uint8) for number in range(7)])


def test_each_face_is_drawn_once() -> None:
    drawn = [index for scene in draw_scenes(FACES) for index in scene.indices]
    assert sorted(drawn) == list(range(7))
    assert drawn != list(range(7))


def test_no_face_gives_no_scene() -> None:
    assert list(draw_scenes(FACES[:0])) == []


def test_the_seed_alone_decides() -> None:
    style = SceneStyle(corrupt=CORRUPTIONS[1].scene.corrupt)
    first, again, other = (next(draw_scenes(FACES, seed, style)) for seed in (1, 1, 2))
    assert (first.picture == again.picture).all()
    assert (first.faces == again.faces).all()
    assert first.indices.tolist() == again.indices.tolist()
    assert (first.picture != other.picture).any()


def test_a_scene_is_what_a_camera_gives() -> None:
    for scene in draw_scenes(FACES):
        assert scene.picture.shape == (720, 1280, 3)
        assert scene.picture.dtype == np.uint8
        assert 1 <= len(scene.faces) == len(scene.indices) == len(scene.placements) <= 4
        assert (scene.faces[:, 2] >= 80).all()
        assert (scene.faces[:, 2] <= 300).all()
        assert (scene.faces[:, :2] >= 0).all()
        assert (scene.faces[:, :2] + scene.faces[:, 2:] <= (1280, 720)).all()


@pytest.mark.parametrize(
    "style", [SceneStyle(turn=0), SceneStyle(), SceneStyle(turn=30, turn_exactly=True)]
)
def test_the_placement_leads_back_to_the_face(style: SceneStyle) -> None:
    """A face cut out where it was drawn looks as before, within its faded rim."""
    face = np.linspace(40, 200, 48)[:, None] + 30 * np.sin(np.arange(48) / 5)
    face = face.astype(np.uint8)
    (scene,) = draw_scenes(face[None], 1, style)
    crop = sample(scene.picture, scene.placements[0], 48)[8:-8, 8:-8].astype(float)
    inside = face[8:-8, 8:-8].astype(float)
    assert np.corrcoef(crop.ravel(), inside.ravel())[0, 1] > 0.995
    assert np.abs(crop - inside).mean() < 6
    angle = np.degrees(np.arctan2(scene.placements[0][1, 0], scene.placements[0][0, 0]))
    assert abs(angle) <= style.turn + 1e-6
    if style.turn_exactly:
        assert abs(angle) == pytest.approx(30)


def test_conditions_are_drawn_as_they_say() -> None:
    styles = {condition.name: condition.scene for condition in CORRUPTIONS}
    (small,) = {
        face[2] for scene in draw_scenes(FACES, 1, styles["faces of 24 px"]) for face in scene.faces
    }
    assert small == pytest.approx(24)
    plain, dark = (
        next(draw_scenes(FACES, 1, style)) for style in (SceneStyle(), styles["low light"])
    )
    assert dark.picture.mean() < 0.2 * plain.picture.mean()


@dataclass
class Knowing:
    """A detector that knows where the faces are, but misses every second one and invents one."""

    answers: list[Scene]

    def detect(self, picture: np.ndarray) -> list[Detection]:
        scene = self.answers.pop(0)
        found = []
        for index, placement in zip(scene.indices, scene.placements, strict=True):
            if index % 2 == 0:
                eyes = [(0.318, 0.397), (0.663, 0.388), (0.5, 0.5), (0.504, 0.751)]
                points = [placement @ (x, y, 1) for x, y in eyes]
                middle = placement @ (0.5, 0.5, 1)
                side = float(np.hypot(placement[0, 0], placement[1, 0]))
                box = (middle[0] - side / 2, middle[1] - side / 2, side, side)
                found.append(Detection(box, 0.9, tuple((float(x), float(y)) for x, y in points)))
        return [*found, Detection((0, 0, 5, 5), 0.8), Detection((9, 9, 5, 5), 0.1)]


def test_found_faces_are_counted_and_cut_out() -> None:
    style = SceneStyle(turn=15)
    search = SceneSearch(
        Knowing(list(draw_scenes(FACES, 5, style))), Selection("haar"), score=0.5, tiles=0
    )
    told: list[tuple[int, int]] = []
    found = detect_in_scenes(
        FACES, search, style, 5, lambda done, total: told.append((done, total))
    )
    assert found.drawn == 7
    assert sorted(found.indices.tolist()) == [0, 2, 4, 6]
    assert found.invented == found.scenes  # the unlikely box is none
    assert found.aligned.shape == found.boxed.shape == (4, 64, 64)
    for crops in (found.aligned, found.boxed):
        for index, crop in zip(found.indices, crops, strict=True):
            assert crop[16:-16, 16:-16].mean() == pytest.approx(10 * index, abs=8)
    assert told[-1] == (7, 7)
