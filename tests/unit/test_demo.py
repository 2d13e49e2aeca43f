"""The demo shows what it says it shows, where it says, and detectors find it there."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from cv2.data import haarcascades

from emostream.models.demo_pictures.face_mesh import Meshes
from emostream.models.demo_pictures.photographs import distinct
from emostream.models.head_pose import head_pose
from emostream.models.labels import LABELS
from emostream.services.capture.demo import pictures
from emostream.services.capture.demo.actor import HOLD_S, MORPH_S
from emostream.services.capture.demo.pictures import load_people, load_points
from emostream.services.capture.demo.scene import DemoScene, TrueFace
from emostream.services.detector.blazeface import BlazeFace
from emostream.shared.errors import SourceError
from tests.boxes import iou

DATA = Path(__file__).parents[2] / "../shared/data"
Box = Sequence[float]
Finder = Callable[[np.ndarray], list[Box]]


@pytest.fixture(scope="module")
def demo() -> DemoScene:
    return DemoScene()


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


@pytest.mark.parametrize(
    "detector", [pytest.param(haar, marks=pytest.mark.evidence), blazeface, yunet]
)
def test_detectors_find_nearly_every_face(demo: DemoScene, detector: Callable[[], Finder]) -> None:
    find = detector()
    faces = hits = 0
    for n in range(0, 30 * 25, 15):
        found = find(demo.frame(n))
        for face in demo.truth(n):
            faces += 1
            hits += any(iou(face.box, box) > 0.4 for box in found)
    assert faces == 150
    assert hits >= 0.99 * faces


def test_a_frame_belongs_to_its_taker(demo: DemoScene) -> None:
    before = demo.frame(3)
    demo.frame(3)[:] = 0
    assert np.array_equal(demo.frame(3), before)


def test_every_person_shows_every_emotion_and_says_so(demo: DemoScene) -> None:
    emotions = load_points().emotions
    assert set(emotions) == set(LABELS)
    cycle = round(len(emotions) * (HOLD_S + MORPH_S) * demo.fps)
    frames = [demo.truth(n) for n in range(0, cycle, 2)]
    for person in range(3):
        faces = [frame[person] for frame in frames]
        assert {face.label for face in faces} == set(emotions)
        assert all(sum(face.mix.values()) == pytest.approx(1) for face in faces)
        assert all(face.label == max(face.mix, key=face.mix.__getitem__) for face in faces)
        steady = [face for face in faces if len(face.mix) == 1]
        assert 0.7 * len(faces) < len(steady) < len(faces)


def test_the_faces_stay_in_the_picture_apart_and_move(demo: DemoScene) -> None:
    faces = [demo.truth(n) for n in range(0, 90 * 25, 9)]
    for a, b, c in faces:
        assert a.box[0] + a.box[2] < b.box[0]
        assert b.box[0] + b.box[2] < c.box[0]
        for x, y, width, height in (a.box, b.box, c.box):
            assert x > 0
            assert y > 0
            assert x + width < 1280
            assert y + height < 720
    widths = [face.box[2] for frame in faces for face in frame]
    assert 75 < min(widths) < 100
    assert 280 < max(widths) < 330


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


def test_eyes_close_heads_turn_and_mouths_open(demo: DemoScene) -> None:
    faces = [demo.truth(n)[0] for n in range(0, 40 * 25, 2)]
    opened = [face for face in faces if face.mix == {"surprise": 1.0}]
    closed = [face for face in faces if face.mix == {"neutral": 1.0}]
    mouths = [np.median([face.mouth_opening for face in some]) for some in (opened, closed)]
    assert mouths[0] > 0.12
    assert mouths[1] < 0.06
    eyes = [face.eye_opening for face in closed]
    assert np.median(eyes) > 0.2
    assert min(face.eye_opening for face in faces) < 0.1
    for angles, limit in (("yaw", 11), ("pitch", 5), ("roll", 6)):
        turns = [getattr(face, angles) for face in faces]
        assert 0.5 * limit < max(turns) <= limit
        assert -limit <= min(turns) < -0.5 * limit


def test_the_landmarks_show_the_pose_that_is_said(demo: DemoScene) -> None:
    faces = [face for n in range(0, 40 * 25, 50) for face in demo.truth(n)]
    seen = [head_pose(face.landmarks) for face in faces]
    assert all(seen)
    for angle, least in (("yaw", 0.9), ("roll", 0.95)):
        pairs = [
            (getattr(face, angle), getattr(pose, angle))
            for face, pose in zip(faces, seen, strict=True)
        ]
        assert np.corrcoef(np.array(pairs).T)[0, 1] > least


def test_eyes_and_mouth_are_dark_where_the_truth_says(demo: DemoScene) -> None:
    darker = []
    for n in range(0, 40 * 25, 60):
        frame = cv2.cvtColor(demo.frame(n), cv2.COLOR_BGR2GRAY)
        for face in demo.truth(n):
            if face.eye_opening < 0.2:
                continue
            eyes, size = np.array(face.landmarks[:2]), face.box[2]
            below = eyes + np.array([0, 0.22 * size])
            shades = [
                [
                    frame[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].mean()
                    for x, y in at
                ]
                for at in (eyes, below)
            ]
            darker.append(np.mean(shades[0]) < 0.85 * np.mean(shades[1]))
    assert np.mean(darker) > 0.95


def test_a_transition_bends_the_mouth_and_shows_no_two(demo: DemoScene) -> None:
    """Mouths open steadily on the way to surprise."""
    frames = [demo.truth(n)[0] for n in range(33 * 25)]
    starts = [
        n
        for n in range(1, len(frames) - 30)
        if "surprise" in frames[n].mix and len(frames[n].mix) == 2 and len(frames[n - 1].mix) == 1
        and frames[n - 1].label != "surprise"
    ]  # fmt: skip
    openings = [frames[starts[0] + k].mouth_opening for k in range(round(MORPH_S * 25))]
    assert openings == sorted(openings)
    assert openings[-1] > openings[0] + 0.05


def test_the_pictures_are_small_and_three_people(demo: DemoScene) -> None:
    files = (pictures.PEOPLE, pictures.FACES, pictures.POINTS)
    assert sum(path.stat().st_size for path in files) < 1_000_000
    people = load_people()
    assert [len(person.heads) for person in people] == [len(load_points().emotions)] * 3
    # Premultiplied: no color in transparent areas, which would glow.
    sprites = [sprite.pixels for person in people for sprite in (*person.heads, person.body)]
    assert all((sprite[..., :3] <= sprite[..., 3:]).all() for sprite in sprites)
    means = [person.heads[0].pixels[240:390, 150:290, :3].mean(axis=(0, 1)) for person in people]
    assert min(np.abs(a - b).max() for a in means for b in means if a is not b) > 10


@pytest.mark.parametrize("name", ["PEOPLE", "FACES", "POINTS"])
def test_a_damaged_picture_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(b"no picture")
    monkeypatch.setattr(pictures, name, file)
    loader = pictures.load_points if name == "POINTS" else pictures.load_people
    with pytest.raises(SourceError, match=r"damaged: .* restore the file"):
        loader.__wrapped__()


def test_a_photograph_that_the_data_holds_often_counts_once() -> None:
    dice = np.random.default_rng(0)
    common = np.outer(np.hanning(48), np.hanning(48)) * 120
    people = [common + dice.normal(0, 30, (48, 48)) + 60 for _ in range(20)]
    copies = [people[0] + dice.normal(0, 2, (48, 48)) for _ in range(9)] + [people[1][:, ::-1]]
    faces = np.clip(np.stack(people + copies), 0, 255).astype(np.uint8)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 22), np.linspace(0, 1, 22)), axis=-1)
    flat = np.zeros((468, 3), np.float32)
    flat[:, :2] = grid.reshape(-1, 2)[:468]
    found = np.repeat(flat[None], len(faces), axis=0)
    leveled = 384 * found + np.array([64, 68, 0], np.float32)
    meshes = Meshes(found, leveled.astype(np.float32), np.ones(len(faces), bool))
    every = np.arange(len(faces))
    chosen = distinct(faces, meshes, every, every.astype(np.float32), len(faces))
    assert len(chosen) == 20
    assert len({0, *range(20, 29)} & set(chosen.tolist())) == 1
    assert len({1, 29} & set(chosen.tolist())) == 1
