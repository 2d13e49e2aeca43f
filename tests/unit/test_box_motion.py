"""Boxes in pictures without results: kept for a second, and moved on."""

from typing import Any

import pytest

from emostream.services.display.box_motion import BoxMotion
from emostream.shared.join import Joined
from emostream.shared.messages import EmotionFace
from tests import builders
from tests.builders import face

MS = 10**6
BOX = (100.0, 50.0, 40.0, 60.0)


def joined(
    ms: float, *faces: EmotionFace, parts: int = 1, missing: int = 0, **fields: Any
) -> Joined:
    """A frame captured at `ms`, with its faces in the first of its parts; `missing` never came."""
    results = tuple(
        builders.emotion(0, *(faces if part == 0 else ()), part=part, parts=parts)
        for part in range(parts - missing)
    )
    return Joined(builders.frame(t=round(ms * MS), **fields), results, not missing)


def unanswered(ms: float, **fields: Any) -> Joined:
    return Joined(builders.frame(t=round(ms * MS), **fields), (), False)


def moving() -> BoxMotion:
    """A face that went 8 pixels right and 4 down within 40 ms."""
    motion = BoxMotion()
    assert motion.observe(joined(1000, face(7, box=BOX))) == ()
    assert motion.observe(joined(1040, face(7, box=(108.0, 54.0, 40.0, 60.0)))) == ()
    return motion


def test_boxes_move_on_at_their_last_velocity() -> None:
    motion = moving()
    for ms in (1080, 1240, 2040):
        (kept,) = motion.observe(unanswered(ms))
        frames = (ms - 1040) / 40
        assert kept.box == pytest.approx((108 + 8 * frames, 54 + 4 * frames, 40, 60))
        assert (kept.track, kept.label) == (7, "fear")


def test_after_a_second_nobody_knows_where_a_face_is() -> None:
    motion = moving()
    assert len(motion.observe(unanswered(2040))) == 1
    assert motion.observe(unanswered(2041)) == ()


def test_an_answer_without_the_face_ends_it() -> None:
    motion = moving()
    assert motion.observe(joined(1080)) == ()
    assert motion.observe(unanswered(1120)) == ()


def test_a_face_that_comes_back_moves_by_its_own_answers_again() -> None:
    motion = moving()
    motion.observe(unanswered(1080))
    motion.observe(joined(1120, face(7, box=BOX)))
    (kept,) = motion.observe(unanswered(1160))
    assert kept.box == pytest.approx((96, 48, 40, 60))


def test_of_a_partial_answer_the_missing_part_is_kept() -> None:
    motion = BoxMotion()
    motion.observe(joined(1000, face(7), face(8)))
    (kept,) = motion.observe(joined(1040, face(7), parts=2, missing=1))
    assert kept.track == 8


def test_another_run_begins_without_faces() -> None:
    assert moving().observe(unanswered(1080, run="another")) == ()
