"""Between whole searches faces are followed in windows, and nothing that happens is missed."""

import cv2
import numpy as np
import pytest

from emostream.services.detector.detection import Detection
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.track_windows import (
    MOST_WINDOWS,
    NARROW,
    WIDE,
    WindowSize,
    search_windows,
    windows_around,
)
from emostream.services.detector.tracking import track_ids
from emostream.shared.messages import Box, Faces, Frame, Message
from emostream.shared.pixels import Image

WHOLE = (720, 1280, 3)
BY_NEED = Tiling(0, 1, seen=640, search_every=5)
SIDE = NARROW.side


class Squares:
    """Finds white squares of ten pixels and more, and remembers the sizes of what it is shown."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.blind_to: tuple[int, ...] = ()

    def detect(self, frame: Image) -> list[Detection]:
        self.shapes.append(frame.shape)
        if frame.shape == self.blind_to:
            return []
        white = (frame[..., 0] > 190).astype(np.uint8)
        _, _, found, _ = cv2.connectedComponentsWithStats(white)
        boxes = [(float(x), float(y), float(w), float(h)) for x, y, w, h, _ in found[1:]]
        return [
            Detection((x, y, w, h), 0.9, ((x, y), (x + w, y), (x + w / 2, y + h / 2), (x, y + h)))
            for x, y, w, h in boxes
            if min(w, h) >= 10
        ]


def picture(*boxes: tuple[int, int, int]) -> Image:
    """A gray frame with white squares at x, y of a side."""
    frame = np.full(WHOLE, 90, np.uint8)
    for x, y, side in boxes:
        frame[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)] = 255
    return frame


class Stream:
    """A stage with one stream, frame by frame."""

    def __init__(self, tiling: Tiling = BY_NEED) -> None:
        self.detector = Squares()
        self.stage = DetectorStage(self.detector, track_ids(1), tiling=tiling)
        self.seq = 0

    def message(self, frame: Image) -> Message:
        header = Frame(
            stream="cam1",
            run="1",
            seq=self.seq,
            t=0,
            pts=self.seq * 40_000_000,
            marks={},
            width=1280,
            height=720,
            encoding="bgr8",
        )
        return Message(header, frame.tobytes())

    def show(self, frame: Image) -> list[Box]:
        """Return the boxes that are found; `searched` are then the sizes that were searched."""
        self.detector.shapes.clear()
        header = self.stage(self.message(frame))[0].header
        assert isinstance(header, Faces)
        self.seq += 1
        self.tracks = [face.track for face in header.faces]
        return [face.box for face in header.faces]

    @property
    def searched(self) -> list[tuple[int, ...]]:
        return self.detector.shapes


@pytest.mark.parametrize(
    "boxes",
    [
        [(600, 300, 80)],
        [(0, 0, 200)],
        [(1180, 620, 100), (100, 600, 40)],
        [(20, 20, 20), (400, 100, 500), (1000, 300, 60), (200, 500, 90), (1100, 20, 33)],
        [(100, 60, 640)],
    ],
)
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_what_windows_show_is_placed_in_the_frame(
    size: WindowSize, boxes: list[tuple[int, int, int]]
) -> None:
    detector = Squares()
    expected = [(x + 0.1 * side, y - 0.1 * side, float(side), float(side)) for x, y, side in boxes]
    found = search_windows(detector, picture(*boxes), windows_around(expected, 1280, 720, size))
    assert len(found) == len(boxes)
    found.sort(key=lambda one: one.box)
    for one, (x, y, side) in zip(found, sorted(boxes), strict=True):
        off = 2 * max(1.0, size.zoom * side / size.side)
        assert one.box == pytest.approx((x, y, side, side), abs=off)
        assert one.landmarks[2] == pytest.approx((x + side / 2, y + side / 2), abs=off)
    assert len(detector.shapes) == 1


def test_windows_do_not_depend_on_the_order_in_which_tracks_began() -> None:
    boxes = [(400.0, 90.0, 60.0, 70.0), (20.0, 200.0, 50.0, 50.0), (400.0, 10.0, 30.0, 30.0)]
    assert windows_around(boxes, 640, 360, WIDE) == windows_around(boxes[::-1], 640, 360, WIDE)


def test_without_windows_nothing_is_searched() -> None:
    detector = Squares()
    assert search_windows(detector, picture((9, 9, 90)), []) == []
    assert detector.shapes == []


def test_a_face_that_is_followed_is_searched_in_its_window_alone() -> None:
    stream = Stream()
    whole, tracks = [], set()
    for seq in range(11):
        assert len(stream.show(picture((200 + 3 * seq, 200, 80), (900, 300, 120)))) == 2
        tracks |= set(stream.tracks)
        whole.append(WHOLE in stream.searched)
        assert stream.searched == [WHOLE] if whole[-1] else [(SIDE, 2 * SIDE, 3)]
    assert whole == [seq % 5 == 0 for seq in range(11)]
    assert len(tracks) == 2
    assert stream.stage.windows_only == 8


def test_a_face_that_enters_is_found_at_once_where_the_picture_changed() -> None:
    stream = Stream()
    for _ in range(2):
        stream.show(picture((200, 200, 80)))
    assert len(stream.show(picture((200, 200, 80), (900, 300, 120)))) == 2
    windows, (height, width, _) = stream.searched
    assert windows == (SIDE, SIDE, 3)
    assert 120 <= height < 480 and 120 <= width < 480
    stream.show(picture((200, 200, 80), (900, 300, 120)))
    assert stream.searched == [(SIDE, 2 * SIDE, 3)]


def test_a_face_that_left_its_window_is_found_at_once() -> None:
    stream = Stream()
    for _ in range(2):
        stream.show(picture((200, 200, 80)))
    (box,) = stream.show(picture((330, 240, 80)))
    assert box == pytest.approx((330, 240, 80, 80), abs=1)


def test_a_face_that_is_missing_from_its_narrow_window_is_searched_in_a_wide_one() -> None:
    stream = Stream()
    for _ in range(2):
        stream.show(picture((200, 200, 80)))
    stream.detector.blind_to = (SIDE, SIDE, 3)
    (box,) = stream.show(picture((200, 200, 80)))
    assert box == pytest.approx((200, 200, 80, 80), abs=2)
    assert stream.searched == [(SIDE, SIDE, 3), (WIDE.side, WIDE.side, 3)]


def test_a_person_who_moves_is_no_reason_to_search_more() -> None:
    stream = Stream()
    for seq in range(5):
        frame = picture((600, 200, 80))
        frame[300:400, 580 + 9 * seq : 660 + 9 * seq] = 30 * seq
        stream.show(frame)
        assert stream.searched == ([WHOLE] if seq == 0 else [(SIDE, SIDE, 3)])


def test_a_large_change_is_searched_in_the_full_frame_and_then_tile_by_tile() -> None:
    stream = Stream(Tiling(4, 1000, seen=640, extra_looks=2.0, search_every=1000))
    dark = picture()
    bright = dark.copy()
    bright[100:620, :700] = bright[100:620, 900:] = 130
    for _ in range(3):
        stream.show(dark)
    searched = []
    for _ in range(7):
        stream.show(bright)
        searched.append(stream.searched[:])
    assert searched[:2] == [[WHOLE], [(400, 712, 3)]]
    assert all(len(shapes) == 1 for shapes in searched[:4])
    assert searched[-2:] == [[], []]


def test_after_a_sudden_change_the_full_frame_and_its_tiles_are_searched_at_once() -> None:
    stream = Stream(Tiling(4, 1000, seen=640, extra_looks=2.0, search_every=1000))
    for _ in range(3):
        stream.show(picture((200, 200, 80)))
    tracks = stream.tracks
    flash = np.clip(picture((200, 200, 80)).astype(int) + 40, 0, 255).astype(np.uint8)
    stream.show(flash)
    assert [shape for shape in stream.searched if shape != (SIDE, SIDE, 3)] == [
        WHOLE,
        *([(400, 712, 3)] * 4),
    ]
    assert stream.tracks == tracks


@pytest.mark.parametrize("tiling", [Tiling(4, 10, 1280, 2.0, 10), Tiling(0, 1, 640, 2.0, 10)])
def test_after_a_sudden_change_a_frame_without_tiles_is_searched_once(tiling: Tiling) -> None:
    """It does not differ from the searched one any more."""
    stream = Stream(tiling)
    searched = []
    for seq in range(30):
        stream.show(picture() if seq < 3 else picture() + np.uint8(40))
        searched += [seq] * len(stream.searched)
    assert searched == [0, 3, 10, 20]


def test_an_empty_room_is_searched_now_and_then() -> None:
    stream = Stream()
    whole = []
    for _ in range(11):
        assert stream.show(picture()) == []
        whole.append(stream.searched == [WHOLE])
    assert whole == [seq % 5 == 0 for seq in range(11)]
    assert len(stream.show(picture((900, 300, 120)))) == 1


def test_too_many_faces_are_searched_in_the_whole_frame() -> None:
    stream = Stream()
    crowd = picture(*((20 + 95 * place, 300, 60) for place in range(MOST_WINDOWS + 1)))
    for _ in range(3):
        assert len(stream.show(crowd)) == MOST_WINDOWS + 1
        assert stream.searched == [WHOLE]


def test_one_search_in_every_frame_is_as_before() -> None:
    stream = Stream(Tiling(0, 1))
    for _ in range(4):
        stream.show(picture((200, 200, 80)))
        assert stream.searched == [WHOLE]


@pytest.mark.parametrize("search_every", [1, 2, 4, 5, 10])
def test_every_tile_has_its_turns(search_every: int) -> None:
    tiling = Tiling(2, 6, search_every=search_every)
    frame = picture()
    turns = [tile for index in range(1, 600) for tile in tiling.tiles(frame, index)]
    for tile in tiling.every_tile(frame):
        assert turns.count(tile) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("every", [6, 10, 24])
def test_tiles_have_their_turns_in_frames_that_are_not_searched_in_full(every: int) -> None:
    tiling = Tiling(2, every, seen=640, search_every=5)
    for index in range(1, 100):
        turns = tiling.tiles(picture(), index)
        assert len(turns) <= 1
        assert not (turns and tiling.is_due(index))
        assert tiling.has_turn(index) == (bool(turns) or tiling.is_due(index))


def moving_scene() -> list[Image]:
    """Somebody walks through, somebody jumps, and the shot changes."""
    frames = [picture((40 * seq - 100, 200, 90), (900, 300, 120)) for seq in range(12)]
    frames += [picture((700, 100, 60))] * 4 + [255 - picture((100, 400, 60))] * 3
    return frames + [picture((300 + 90 * seq, 400, 60)) for seq in range(6)]


def test_what_is_restored_goes_on_as_if_nothing_had_happened() -> None:
    tiling = Tiling(2, 3, search_every=4)
    whole, restored = Stream(tiling), Stream(tiling)
    for frame in moving_scene():
        message = restored.message(frame)
        again = DetectorStage(Squares(), track_ids(1), tiling=tiling)
        again.restore(message.header, restored.stage.state(message.header))
        expected = whole.show(frame)
        header = again(message)[0].header
        assert isinstance(header, Faces)
        assert [face.box for face in header.faces] == expected
        restored.stage, restored.seq = again, restored.seq + 1
        assert again.state(message.header)[:1] == whole.stage.state(message.header)[:1]


def test_frames_that_are_searched_ahead_give_what_they_give_in_turn() -> None:
    tiling = Tiling(2, 3, search_every=4)
    plain = Stream(tiling)
    quick = DetectorStage(Squares(), track_ids(1), tiling=tiling, helpers=[Squares(), Squares()])
    messages = []
    for frame in moving_scene():
        messages.append(plain.message(frame))
        plain.seq += 1
    for number, message in enumerate(messages):
        quick.look_ahead(messages[number : number + 8])
        assert quick(message) == plain.stage(message)
