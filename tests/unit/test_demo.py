"""The demo shows what it says it shows, where it says, and detectors find it there."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from cv2.data import haarcascades

from emostream.models.average_faces import average_face, make_sheet
from emostream.models.labels import LABELS
from emostream.services.capture.demo.composites import load_composites
from emostream.services.capture.demo.scene import HOLD_S, MORPH_S, DemoScene, TrueFace
from emostream.services.detector.blazeface import BlazeFace

DATA = Path(__file__).parents[2] / "../shared/data"
Box = Sequence[float]
Finder = Callable[[np.ndarray], list[Box]]


@pytest.fixture(scope="module")
def demo() -> DemoScene:
    return DemoScene()


def overlap(a: Box, b: Box) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def haar() -> Finder:
    cascade = cv2.CascadeClassifier(haarcascades + "haarcascade_frontalface_default.xml")

    def find(frame: np.ndarray) -> list[Box]:
        gray = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), None, fx=0.5, fy=0.5)
        return [[2 * float(v) for v in box] for box in cascade.detectMultiScale(gray, 1.1, 4)]

    return find


def blazeface() -> Finder:
    detector = BlazeFace(score=0.4)
    return lambda frame: [found.box for found in detector.detect(frame)]


def yunet() -> Finder:
    weights = DATA / "models/yunet_n_320_320.onnx"
    if not weights.is_file():
        pytest.skip("the training data folder is not there")
    detector = cv2.FaceDetectorYN.create(str(weights), "", (320, 180), 0.8)

    def find(frame: np.ndarray) -> list[Box]:
        small = cv2.resize(frame, (320, 180), interpolation=cv2.INTER_AREA)
        found = detector.detect(small)[1]
        boxes: list[Box] = [] if found is None else (found[:, :4] * 4).tolist()
        return boxes

    return find


@pytest.mark.parametrize("detector", [haar, blazeface, yunet])
def test_detectors_find_nearly_every_face(demo: DemoScene, detector: Callable[[], Finder]) -> None:
    find = detector()
    faces = hits = 0
    for n in range(0, 30 * 25, 15):
        found = find(demo.frame(n))
        for face in demo.truth(n):
            faces += 1
            hits += any(overlap(face.box, box) > 0.4 for box in found)
    assert faces == 150
    assert hits >= 0.99 * faces


def test_frames_are_the_same_in_any_order_and_for_any_demo_of_a_seed(demo: DemoScene) -> None:
    later, first = demo.frame(90), demo.frame(0)
    again = DemoScene()
    assert np.array_equal(again.frame(0), first)
    assert np.array_equal(again.frame(90), later)
    assert again.truth(90) == demo.truth(90)
    assert not np.array_equal(DemoScene(seed=2).frame(0), first)
    assert first.shape == (720, 1280, 3)
    assert first.dtype == np.uint8


def test_a_frame_belongs_to_its_taker(demo: DemoScene) -> None:
    before = demo.frame(3)
    demo.frame(3)[:] = 0
    assert np.array_equal(demo.frame(3), before)


def test_every_person_shows_every_emotion_and_says_so(demo: DemoScene) -> None:
    cycle = round(len(LABELS) * (HOLD_S + MORPH_S) * demo.fps)
    frames = [demo.truth(n) for n in range(cycle)]
    for person in range(3):
        faces = [frame[person] for frame in frames]
        assert {face.label for face in faces} == set(LABELS)
        assert all(sum(face.mix.values()) == pytest.approx(1) for face in faces)
        assert all(face.label == max(face.mix, key=face.mix.__getitem__) for face in faces)
        steady = [face for face in faces if len(face.mix) == 1]
        assert 0.7 * cycle < len(steady) < cycle
        assert max(abs(face.angle) for face in faces) <= 10


def test_the_faces_stay_in_the_picture_apart_and_move(demo: DemoScene) -> None:
    faces = [demo.truth(n) for n in range(0, 60 * 25, 5)]
    for a, b, c in faces:
        assert a.box[0] + a.box[2] < b.box[0]
        assert b.box[0] + b.box[2] < c.box[0]
        for x, y, width, height in (a.box, b.box, c.box):
            assert x > 0
            assert y > 0
            assert x + width < 1280
            assert y + height < 720
    heights = [face.box[3] for frame in faces for face in frame]
    assert min(heights) < 130
    assert max(heights) > 240


def test_what_changes_in_the_picture_is_where_the_faces_are_said_to_be(demo: DemoScene) -> None:
    wall = DemoScene(faces=0).frame(0).astype(int)
    for n in (0, 200):
        changed = np.abs(demo.frame(n) - wall).max(axis=2) > 8
        for face in demo.truth(n):
            x, y, width, height = (round(value) for value in face.box)
            assert changed[y : y + height, x : x + width].mean() > 0.9
        assert changed.mean() < 0.7


def test_a_morph_is_between_its_two_emotions(demo: DemoScene) -> None:
    n = next(n for n in range(1000) if 0.4 < min(demo.truth(n)[0].mix.values()) < 0.6)
    face: TrueFace = demo.truth(n)[0]
    assert len(face.mix) == 2


@pytest.mark.parametrize(
    ("width", "height", "faces"), [(64, 36, 1), (641, 361, 2), (720, 1280, 3), (1280, 720, 5)]
)
def test_other_sizes(width: int, height: int, faces: int) -> None:
    demo = DemoScene(width, height, faces)
    assert demo.frame(10).shape == (height, width, 3)
    assert len(demo.truth(10)) == faces


def test_the_composites_are_eight_different_faces() -> None:
    tiles = load_composites()
    assert tiles.shape == (8, 48, 48)
    assert tiles.dtype == np.uint8
    rows = np.corrcoef(tiles.reshape(8, -1).astype(float))
    assert rows[~np.eye(8, dtype=bool)].max() < 0.99


def test_a_photograph_that_the_data_holds_often_counts_once() -> None:
    dice = np.random.default_rng(0)
    common = np.outer(np.hanning(48), np.hanning(48)) * 120
    people = [common + dice.normal(0, 30, (48, 48)) + 60 for _ in range(60)]
    copies = [people[0] + dice.normal(0, 2, (48, 48)) for _ in range(40)]
    faces = np.clip(np.stack(people + copies), 0, 255).astype(np.uint8)
    mean = average_face(faces)
    person = people[0] - common
    assert np.corrcoef(mean.ravel(), person.ravel())[0, 1] < 0.4


def test_the_committed_composites_are_what_the_script_makes() -> None:
    if not (DATA / "fer/labels.npz").is_file():
        pytest.skip("the training data folder is not there")
    made = make_sheet(DATA / "fer").reshape(48, 8, 48).swapaxes(0, 1)
    # Sums of floats differ in their last bits between machines.
    assert np.abs(made.astype(int) - load_composites()).max() <= 1
