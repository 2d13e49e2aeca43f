"""How well a face can be judged: its measures, its pose, and what they say together."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from emostream.models.head_pose import MOUTH, NOSE, head_pose
from emostream.models.quality import assess, assess_all, fitted, probability, share_outside, terms
from emostream.services.capture.demo.scene import DemoScene
from emostream.shared.messages import Box, Point, Quality
from emostream.shared.pixels import Image

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


@dataclass(frozen=True)
class Found:
    box: Box
    landmarks: tuple[Point, ...] = ()


AT = Found((100.0, 100.0, 120.0, 120.0))


@pytest.fixture(scope="module")
def crop() -> Image:
    """A face of the demo, 64 x 64."""
    scene = DemoScene(640, 360)
    x, y, width, height = (round(number) for number in scene.truth(0)[0].box)
    gray = cv2.cvtColor(scene.frame(0)[y : y + height, x : x + width], cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(gray, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)


def projected(yaw: float, pitch: float, roll: float) -> list[Point]:
    """Return the landmarks of the mean face, turned by hand: up or down, then aside, then leant."""
    a, b, c = np.radians([yaw, pitch, roll])
    up = [[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]]
    aside = [[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]]
    lean = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    body = np.array([(-0.5, 0, 0), (0.5, 0, 0), (0, *NOSE), (0, *MOUTH)])
    turned = np.array(lean) @ np.array(aside) @ np.array(up) @ body.T
    return [(200 + 60 * x, 150 + 60 * y) for x, y in turned[:2].T.tolist()]


@pytest.mark.parametrize(
    "angles",
    [
        *((0, 0, 0), (35, 0, 0), (-50, 0, 0), (0, 25, 0), (0, -30, 0), (0, 0, 45), (0, 0, 170)),
        *((25, 15, -30), (-40, -20, 80)),
    ],
)
def test_the_pose_of_the_mean_face_is_found_exactly(angles: tuple[float, float, float]) -> None:
    pose = head_pose(projected(*angles))
    assert pose is not None
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx(angles, abs=1e-6)


def test_a_nose_to_the_right_turns_to_the_persons_left_and_one_that_rises_looks_up() -> None:
    level: list[Point] = [(80, 100), (120, 100), (100, 124), (100, 144)]
    right: list[Point] = [*level[:2], (110, 124), level[3]]
    up: list[Point] = [*level[:2], (100, 114), level[3]]
    aside, risen = head_pose(right), head_pose(up)
    assert aside is not None and risen is not None
    assert aside.yaw > 10 and risen.pitch > 10


@pytest.mark.parametrize(
    "landmarks",
    [[], [(1.0, 2.0)] * 4, [(float(x), 2.0) for x in range(4)], [(float("nan"), 0.0)] * 4],
)
def test_no_four_points_have_no_pose(landmarks: list[Point]) -> None:
    assert head_pose(landmarks) is None


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((10, 10, 20, 20), 0.0),
        ((-10, 10, 20, 20), 0.5),
        ((90, 40, 20, 20), 0.75),
        ((-50, 0, 20, 20), 1.0),
        ((10, 10, 0, 20), 1.0),
    ],
)
def test_the_share_outside_the_picture(box: Box, share: float) -> None:
    assert share_outside(box, 100, 50) == pytest.approx(share)


def test_measures_follow_what_is_done_to_a_face(crop: Image) -> None:
    random = np.random.default_rng(0)
    usual = assess(crop, AT, 1280, 720)
    dark = assess((crop // 8).astype(np.uint8), AT, 1280, 720)
    noisy = np.clip(crop + 30 * random.standard_normal(crop.shape), 0, 255).astype(np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 4), np.uint8)
    assert dark.brightness < 0.2 < usual.brightness
    assert dark.contrast < usual.contrast / 4
    assert assess(noisy, AT, 1280, 720).noise > 2 * usual.noise
    assert assess(blurred, AT, 1280, 720).sharpness < 0.7 * usual.sharpness
    assert usual.size_px == 120
    assert (usual.yaw, usual.pitch, usual.roll, usual.cut) == (None, None, None, 0.0)


def test_a_face_gets_no_better_by_what_makes_it_worse(crop: Image) -> None:
    usual = assess(crop, AT, 1280, 720).overall
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 4), np.uint8)
    for worse in (
        assess(blurred, AT, 1280, 720),
        assess(crop, Found((100, 100, 11, 11)), 1280, 720),
        assess(crop, Found((1220, 100, 120, 120)), 1280, 720),
        assess(crop, Found(AT.box, tuple(projected(60, 0, 0))), 1280, 720),
        assess(crop, Found(AT.box, tuple(projected(0, 35, 0))), 1280, 720),
    ):
        assert worse.overall < usual - 0.03
    assert all(weight <= 0 for weight in fitted().weights.values())


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_crop_has_measures_within_their_range(level: int) -> None:
    quality = assess(np.full((64, 64), level, np.uint8), Found((0, 0, 0.5, 0.5)), 10, 10)
    values = msgspec.structs.asdict(quality)
    shares = ("sharpness", "brightness", "contrast", "noise", "cut", "overall")
    assert all(0 <= values[name] <= 1 for name in shares)


def test_the_fit_weighs_the_terms_and_says_where_it_comes_from() -> None:
    best = Quality(200.0, 0.3, 0.5, 0.2, 0.005, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert fitted().weights.keys() == terms(best).keys()
    assert probability(terms(best), fitted()) > 0.75
    for fact in ("command", "date", "classifier", "classifier_sha256", "detector", "faces"):
        assert fitted().provenance[fact]


@pytest.mark.parametrize(("roll", "like"), [(90, 0), (-90, 0), (180, 0), (100, 10), (-170, 10)])
def test_a_face_that_lies_on_its_side_is_judged_where_the_picture_was_turned(
    roll: float, like: float
) -> None:
    def with_roll(roll: float) -> float:
        quality = Quality(200.0, 0.3, 0.5, 0.2, 0.005, 0.0, 0.0, roll, 0.0, 0.0)
        return probability(terms(quality), fitted())

    assert with_roll(roll) == pytest.approx(with_roll(like))
    assert with_roll(45) < with_roll(0)


def test_each_measure_is_documented() -> None:
    section = PAGE.read_text("utf-8").partition("\n## Quality\n")[2].partition("\n## ")[0]
    measures = [name for name in Quality.__struct_fields__ if name != "overall"]
    assert all(f"`{name}`" in section for name in measures)


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_each_of_many_faces_has_the_quality_that_it_has_alone(count: int) -> None:
    crops = np.random.default_rng(0).integers(0, 255, (count, 64, 64)).astype(np.uint8)
    crops = np.array([cv2.GaussianBlur(crop, (0, 0), 1 + 0.3 * n) for n, crop in enumerate(crops)])
    crops = crops.reshape(count, 64, 64).astype(np.uint8)
    for one, crop in zip(assess_all(crops, [AT] * count, 1280, 720), crops, strict=True):
        alone = assess(crop, AT, 1280, 720)
        assert msgspec.structs.astuple(one) == pytest.approx(msgspec.structs.astuple(alone))
