"""Blurred faces: unrecognizable where they are, where they were, and if that is unknown."""

from typing import Any

import cv2
import numpy as np
import pytest

from emostream.services.display.jpeg_encoding import encode_jpeg
from emostream.shared.blur import FaceBlur
from emostream.shared.blurring import blur_all, blur_boxes
from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined
from emostream.shared.messages import Box, Emotion, EmotionFace, Frame, Message
from tests.images import decoded

WIDTH, HEIGHT = 320, 180
FRAME_NS = 40_000_000
FACE: Box = (100, 50, 60, 60)
ELSEWHERE: Box = (230, 20, 60, 60)
PICTURE = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def joined(seq: int, faces: dict[int, Box] | None, **how: Any) -> Joined:
    """Return frame `seq` at 25/s with these faces by track; None: without results."""
    run, encoding = how.pop("run", "r"), how.pop("encoding", "bgr8")
    common: dict[str, Any] = {
        "stream": "cam1", "run": run, "seq": seq, "t": seq * FRAME_NS, "pts": 0, "marks": {},
    }  # fmt: skip
    frame = Frame(**common, width=WIDTH, height=HEIGHT, encoding=encoding)
    payload = PICTURE.tobytes()
    if encoding == "jpeg":
        payload = cv2.imencode(".jpg", PICTURE)[1].tobytes()
    if faces is None:
        return Joined(Message(frame, payload), (), False)
    found = tuple(
        EmotionFace(n, box, {"fear": 1}, {"fear": 1}, "fear", 1) for n, box in faces.items()
    )
    whole, degraded = how.get("whole", True), how.get("degraded", False)
    emotion = Emotion(**common, model="m", faces=found, part=0, parts=1, degraded=degraded)
    return Joined(Message(frame, payload), (emotion,), whole)


def detail(picture: np.ndarray, box: Box) -> float:
    """Return how much neighboring pixels differ within the box; noise has about 85."""
    x, y, across, down = map(round, box)
    region = picture[max(y, 0) : y + down, max(x, 0) : x + across].astype(int)
    return float(np.abs(np.diff(region, axis=1)).mean())


def is_blurred(picture: np.ndarray, box: Box) -> bool:
    return detail(picture, box) < 5


def show(blur: FaceBlur, one: Joined) -> np.ndarray:
    blur.observe(one)
    return blur.picture(one)


@pytest.fixture
def blur() -> FaceBlur:
    return FaceBlur(StreamSwitch(True))


@pytest.mark.parametrize(
    "box", [FACE, (-20, -20, 60, 60), (300, 150, 60, 90), (0, 0, WIDTH, HEIGHT), (40, 40, 1, 1)]
)
def test_what_is_in_a_box_is_blurred_and_nothing_else(box: Box) -> None:
    blurred = blur_boxes(PICTURE, [box])
    assert min(box[2:]) == 1 or is_blurred(blurred, box)
    x, y, across, down = map(round, box)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[max(y, 0) : y + down + 1, max(x, 0) : x + across + 1] = False
    assert (blurred[outside] == PICTURE[outside]).all()


@pytest.mark.parametrize("boxes", [[], [(400, 10, 50, 50)], [(10, 10, 0, 0), (10, -90, 30, 30)]])
def test_without_a_box_in_the_picture_it_stays_as_it_is(boxes: list[Box]) -> None:
    changed = (blur_boxes(PICTURE, boxes) != PICTURE).any(axis=2)
    assert changed.sum() <= 1


def test_a_face_is_left_with_a_handful_of_colors() -> None:
    region = blur_all(PICTURE)
    assert is_blurred(region, (0, 0, WIDTH, HEIGHT))
    face = blur_boxes(PICTURE, [FACE])[50:110, 100:160]
    # Sampled in the middle of each of its 5 x 5 cells, the rest follows.
    cells = cv2.resize(face[6::12, 6::12], (60, 60), interpolation=cv2.INTER_LINEAR)
    assert np.abs(cells.astype(int) - face).mean() < 12


def test_switched_off_the_picture_is_as_it_came() -> None:
    assert (show(FaceBlur(StreamSwitch(False)), joined(0, {1: FACE})) == PICTURE).all()


def test_the_box_is_enlarged_so_that_no_chin_looks_out(blur: FaceBlur) -> None:
    picture = show(blur, joined(0, {1: FACE}))
    assert is_blurred(picture, (95, 45, 70, 70))
    assert not is_blurred(picture, ELSEWHERE)


def test_before_any_results_the_whole_picture_is_blurred(blur: FaceBlur) -> None:
    for seq in range(3):
        assert is_blurred(show(blur, joined(seq, None)), (0, 0, WIDTH, HEIGHT))


def test_without_results_faces_are_blurred_where_they_were_with_room_to_move(
    blur: FaceBlur,
) -> None:
    show(blur, joined(0, {1: FACE}))
    picture = show(blur, joined(1, None))
    assert is_blurred(picture, (86, 36, 88, 88))
    assert not is_blurred(picture, ELSEWHERE)


def test_where_results_stay_away_faces_may_be_anywhere(blur: FaceBlur) -> None:
    show(blur, joined(0, {1: FACE}))
    assert not is_blurred(show(blur, joined(25, None)), ELSEWHERE)
    assert is_blurred(show(blur, joined(26, None)), (0, 0, WIDTH, HEIGHT))
    assert not is_blurred(show(blur, joined(27, {})), ELSEWHERE)


@pytest.mark.parametrize("how", [{"whole": False}, {"degraded": True}])
def test_partial_and_degraded_results_do_not_uncover_a_face(
    blur: FaceBlur, how: dict[str, bool]
) -> None:
    show(blur, joined(0, {1: FACE}))
    picture = show(blur, joined(1, {2: ELSEWHERE}, **how))
    assert is_blurred(picture, FACE)
    assert is_blurred(picture, ELSEWHERE)
    assert is_blurred(show(blur, joined(27, {}, **how)), (0, 0, WIDTH, HEIGHT))


def test_a_face_that_is_not_found_again_stays_blurred_for_a_second(blur: FaceBlur) -> None:
    show(blur, joined(0, {1: FACE}))
    assert is_blurred(show(blur, joined(25, {})), FACE)
    assert not is_blurred(show(blur, joined(26, {})), FACE)


def test_a_new_run_knows_nothing_of_the_one_before(blur: FaceBlur) -> None:
    show(blur, joined(5, {1: FACE}))
    assert is_blurred(show(blur, joined(6, None, run="r2")), (0, 0, WIDTH, HEIGHT))


def test_a_box_that_is_no_number_blurs_everything(blur: FaceBlur) -> None:
    picture = show(blur, joined(0, {1: (float("nan"), 0, 9, 9)}))
    assert is_blurred(picture, (0, 0, WIDTH, HEIGHT))


def test_who_switches_on_later_knows_where_the_faces_are() -> None:
    switch = StreamSwitch(False)
    blur = FaceBlur(switch)
    one = joined(0, {1: FACE})
    show(blur, one)
    switch.set("cam1", True)
    assert is_blurred(blur.picture(one), FACE)
    assert not is_blurred(blur.picture(one), ELSEWHERE)


def test_a_jpeg_is_not_passed_on_while_its_faces_are_to_be_blurred() -> None:
    switch = StreamSwitch(False)
    blur = FaceBlur(switch)
    one = joined(0, {1: FACE}, encoding="jpeg")
    blur.observe(one)
    assert encode_jpeg(one, 90, blur) == one.frame.payload
    switch.set("cam1", True)
    picture = decoded(encode_jpeg(one, 90, blur))
    assert is_blurred(picture, FACE)
    assert not is_blurred(picture, ELSEWHERE)
