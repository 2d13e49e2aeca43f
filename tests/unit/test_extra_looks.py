"""Extra looks: what needs one gets it, within the budget, and a cut ends what was followed."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from emostream.services.detector.backends import select
from emostream.services.detector.detection import Detection
from emostream.services.detector.extra_looks import ExtraLooks, LookCounts
from emostream.services.detector.metrics import DetectorMetrics
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Region, Tiling
from emostream.services.detector.tracking import track_ids
from emostream.shared.messages import Faces, Frame, Message
from emostream.shared.pixels import Image

TILING = Tiling(2, 1000, seen=640, extra_looks=0.5)
WINDOWED = Tiling(2, 1000, seen=640, extra_looks=0.5, search_every=1000)
FACE = (100.0, 100.0, 80.0, 80.0)


def room(seed: int = 0) -> Image:
    """A picture of 1280 x 720 with large blocks of any lightness, and noise."""
    random = np.random.default_rng(seed)
    blocks = random.integers(20, 230, (9, 16, 1)).repeat(80, axis=0).repeat(80, axis=1)
    return noisy(np.clip(blocks, 0, 255).astype(np.uint8).repeat(3, axis=2), seed)


def noisy(picture: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).integers(-8, 9, picture.shape, np.int8)
    return np.clip(picture + noise.astype(np.int16), 0, 255).astype(np.uint8)


class Stream:
    """The extra looks of one stream, a frame at a time."""

    def __init__(self, tiling: Tiling = TILING) -> None:
        self.counts: LookCounts = Counter()
        self.looks = ExtraLooks(tiling, self.counts)
        self.is_searched = tiling.search_every == 1

    def show(self, frame: Image, missing: Sequence[tuple[float, ...]] = ()) -> list[Region]:
        """Return the regions that are searched by need."""
        self.looks.begin(frame)
        boxes = [(x, y, w, h) for x, y, w, h in missing]
        return self.looks.wanted(frame, boxes, is_searched=self.is_searched)


def test_a_still_picture_needs_none() -> None:
    stream = Stream()
    for seed in range(20):
        assert stream.show(noisy(room(), seed)) == []
    assert not stream.counts


def test_a_tile_that_changed_is_searched_once() -> None:
    stream = Stream()
    for _ in range(6):
        stream.show(room())
    entered = room()
    entered[300:360, 1200:1260] = 255 - entered[300:360, 1200:1260]
    assert stream.show(entered) == [(560, 0, 720, 720)]
    assert stream.show(entered) == []


def test_a_region_that_changed_is_searched_once_where_frames_are_not_searched_in_full() -> None:
    stream = Stream(WINDOWED)
    for _ in range(6):
        stream.show(room())
    entered = room()
    entered[330:390, 1010:1070] = 255 - entered[330:390, 1010:1070]
    assert stream.show(entered) == [(880, 240, 320, 240)]
    assert stream.show(entered) == []


def test_a_change_is_explained_by_a_known_person_until_that_leaves() -> None:
    stream = Stream(WINDOWED)
    for _ in range(6):
        stream.show(room())
    entered = room()
    entered[330:390, 1010:1070] = 255 - entered[330:390, 1010:1070]
    stream.looks.begin(entered)
    stream.looks.follow(entered, [(1000.0, 320.0, 80.0, 80.0)])
    assert stream.looks.wanted(entered, []) == []
    assert stream.show(room()) != []


def test_a_change_that_comes_slowly_is_seen_too() -> None:
    stream = Stream()
    picture = room().astype(np.float32)
    searched = []
    for _ in range(12):
        picture[300:400, 1100:1200] += 1.0
        searched += stream.show(np.clip(picture, 0, 255).astype(np.uint8))
    assert searched == [(560, 0, 720, 720)]


@pytest.mark.parametrize("budget", [0.0, 0.3, 1.0])
def test_the_budget_holds_whatever_happens(budget: float) -> None:
    stream = Stream(Tiling(2, 1000, seen=640, extra_looks=budget))
    spent = 0.0
    for seed in range(40):
        far_apart = [(x, 100.0, 150.0, 150.0) for x in (0.0, 400.0, 800.0)]
        for _, _, width, height in stream.show(room(seed), far_apart):
            spent += min(1.0, width * height / 640**2)
    assert spent <= 40 * budget + 1e-6
    assert (spent > 0.8 * 40 * budget) or not budget
    skipped = sum(count for (_, had_room), count in stream.counts.items() if not had_room)
    assert skipped > 0


def test_small_faces_cost_little() -> None:
    stream = Stream()
    stream.show(room())
    lost = [(100.0 * place, 100.0, 24.0, 24.0) for place in range(8)]
    assert len(stream.show(room(), lost)) == 8
    assert stream.counts == {("lost", True): 8}


def test_a_cut_is_another_pattern_and_a_flash_is_none() -> None:
    stream = Stream()
    brighter = np.clip(room() * 0.5 + 120, 0, 255).astype(np.uint8)
    cuts = []
    for frame in (room(), brighter, room(1), room(1)):
        stream.show(frame)
        cuts.append(stream.looks.is_cut)
    assert cuts == [False, False, True, False]


def test_what_is_restored_goes_on_as_if_nothing_had_happened() -> None:
    whole, restored = Stream(), Stream()
    for seed in range(6):
        frame = room(seed // 3)
        expected = whole.show(frame, [FACE])
        again = Stream()
        again.looks.restore(restored.looks.state())
        assert again.show(frame, [FACE]) == expected
        restored = again


class Fixed:
    """A detector that finds the same in every picture, and remembers the sizes."""

    def __init__(self) -> None:
        self.found = [Detection(FACE, 0.9)]
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, frame: Image) -> list[Detection]:
        self.shapes.append(frame.shape)
        return self.found if frame.shape == (720, 1280, 3) else []


def message(seq: int, picture: Image) -> Message:
    header = Frame(
        stream="film",
        run="1",
        seq=seq,
        t=0,
        pts=seq * 40_000_000,
        marks={},
        width=1280,
        height=720,
        encoding="bgr8",
        recorded=True,
    )
    return Message(header, picture.tobytes())


def tracks(stage: DetectorStage, seq: int, picture: Image) -> list[int]:
    header = stage(message(seq, picture))[0].header
    assert isinstance(header, Faces)
    return [face.track for face in header.faces]


def test_a_face_in_the_next_shot_is_another() -> None:
    stage = DetectorStage(Fixed(), track_ids(1), tiling=TILING)
    first = tracks(stage, 0, room())
    assert tracks(stage, 1, room()) == first
    other = tracks(stage, 2, room(1))
    assert len(other) == 1
    assert other != first


def test_a_new_shot_is_searched_in_every_tile() -> None:
    detector = Fixed()
    stage = DetectorStage(detector, track_ids(1), tiling=TILING)
    for seq in range(8):
        tracks(stage, seq, room())
    detector.shapes.clear()
    tracks(stage, 8, room(1))
    assert detector.shapes == [(720, 1280, 3), (720, 720, 3), (720, 720, 3)]
    assert stage.looks == {("changed", True): 2}


def test_a_frame_that_is_seen_as_it_is_has_no_tiles() -> None:
    assert TILING.every_tile(np.zeros((270, 480, 3), np.uint8)) == ()
    assert len(TILING.every_tile(np.zeros((720, 1280, 3), np.uint8))) == 2


def test_looks_and_detector_are_told_by_the_metrics() -> None:
    registry = CollectorRegistry()
    looks: LookCounts = Counter()
    metrics = DetectorMetrics(registry, looks)
    chosen = select("haar")
    metrics.set_detector(chosen)
    assert registry.get_sample_value("emostream_detector_info", chosen.labels) == 1

    def value(reason: str, result: str) -> float | None:
        name = "emostream_detector_looks_total"
        return registry.get_sample_value(name, {"reason": reason, "result": result})

    assert value("lost", "done") == value("changed", "skipped") == 0
    looks["changed", False] += 3
    assert value("changed", "skipped") == 3


def test_small_faces_are_given_up_before_frames_are() -> None:
    """A tile whose turn was left out for lack of time is searched once there is time again."""
    detector = Fixed()
    stage = DetectorStage(detector, track_ids(1), tiling=Tiling(2, 1, seen=640, extra_looks=1.0))
    whole, tile = (720, 1280, 3), (720, 720, 3)
    stage(message(0, room()))
    assert detector.shapes == [whole, tile, tile]
    for seq in (1, 2):
        detector.shapes.clear()
        detector.found = []
        stage(message(seq, room()), whole_only=True)
        assert detector.shapes == [whole], (
            "neither tiles nor a close-up of the face that is missing"
        )
    stage(message(3, room()))
    assert detector.shapes[1:4] == [whole, tile, tile]
    assert stage.whole_only == 2
