"""People of the demo are drawn in some frames only, without any visible difference."""

import numpy as np
import pytest

from emostream.services.capture.demo import drawing
from emostream.services.capture.demo.movement import Pose
from emostream.services.capture.demo.portrait import Portrait
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.demo.silhouette import Part
from emostream.services.capture.demo.warping import Region, layers


@pytest.fixture(scope="module")
def demo() -> DemoScene:
    return DemoScene()


def test_frames_are_the_same_in_any_order_and_for_any_demo_of_a_seed(demo: DemoScene) -> None:
    later, first = demo.frame(90), demo.frame(0)
    again = DemoScene()
    assert np.array_equal(again.frame(0), first)
    assert np.array_equal(again.frame(90), later)
    assert again.truth(90) == demo.truth(90)
    assert not np.array_equal(DemoScene(seed=2).frame(0), first)
    assert first.shape == (720, 1280, 3)
    assert first.dtype == np.uint8


def test_a_frame_does_not_depend_on_those_before_it(demo: DemoScene) -> None:
    blink = next(n for n in range(1000) if min(f.eye_opening for f in demo.truth(n)) < 0.1)
    numbers = range(blink - 4, blink + 5)
    forward = [demo.frame(n) for n in numbers]
    backward = [demo.frame(n) for n in reversed(numbers)][::-1]
    alone = [DemoScene().frame(n) for n in numbers]
    for one, other, third in zip(forward, backward, alone, strict=True):
        assert np.array_equal(one, other)
        assert np.array_equal(one, third)


def test_a_face_changes_where_its_truth_does_and_nowhere_else(demo: DemoScene) -> None:
    before, told = demo.frame(0), demo.truth(0)
    stayed = 0
    for n in range(1, 120):
        frame, truth = demo.frame(n), demo.truth(n)
        for old, new in zip(told, truth, strict=True):
            x, y, width, height = (round(value) for value in new.box)
            middle = np.s_[y + height // 4 : y + height, x + width // 4 : x + 3 * width // 4]
            assert np.array_equal(before[middle], frame[middle]) == (old == new)
            stayed += old == new
        before, told = frame, truth
    # Each person is drawn again in every second frame, and in each of a blink.
    assert 0.4 < stayed / (3 * 119) < 0.5


def test_what_drawing_leaves_out_is_not_seen(
    demo: DemoScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head's reach and the parts that hide what is behind only save time."""
    numbers = range(0, 60 * 25, 93)
    drawn = [demo.frame(n) for n in numbers]
    everywhere = (-60.0, 0.0, 700.0, 600.0)

    def head(portrait: Portrait, pose: Pose) -> tuple[Part, Part]:
        return everywhere, (0, 0, 0, 0)

    monkeypatch.setattr(Portrait, "head", head)
    monkeypatch.setattr(
        drawing, "layers", lambda region, picture, _: layers(region, picture, Region(0, 0, 0, 0))
    )
    whole = DemoScene()
    for n, frame in zip(numbers, drawn, strict=True):
        # Where a map's nodes lie depends on the region, so that strands of hair differ a little.
        assert np.abs(whole.frame(n).astype(int) - frame).max() < 32
