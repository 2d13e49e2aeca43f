"""Each frame is answered on each shard; faces keep their track, streams and runs are apart."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from emostream.services.detector.backends import Choice, create
from emostream.services.detector.detection import Detection
from emostream.services.detector.process import new_detector, new_tiling, selected
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tiling import Tiling
from emostream.services.detector.tracking import track_ids
from emostream.shared.config import Detector
from emostream.shared.errors import MessageError
from emostream.shared.messages import Faces, Frame, Message
from emostream.shared.pixels import crops
from emostream.shared.wire import decode, encode
from tests.builders import header_of

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "../shared/data/clips"
TWO = [Detection((100, 100, 60, 60), 0.9), Detection((300, 100, 60, 60), 0.8)]


class Fixed:
    """Finds the same faces in every whole frame, whatever it shows, and none in a part."""

    def __init__(self, faces: list[Detection], shape: tuple[int, int] = (720, 1280)) -> None:
        self.faces = faces
        self.shape = shape
        self.calls = 0

    def detect(self, frame: np.ndarray) -> list[Detection]:
        self.calls += 1
        return list(self.faces) if frame.shape[:2] == self.shape else []


def stage_of(
    detector: Fixed,
    shards: int = 1,
    tiling: Tiling = Tiling(count=0, every=1),  # noqa: B008
) -> DetectorStage:
    return DetectorStage(detector, track_ids(1_800_000_000), tiling=tiling, shards=shards)


def message(
    seq: int = 0, *, stream: str = "cam1", run: str = "1", shape: tuple[int, int] = (720, 1280)
) -> Message:
    header = Frame(
        stream=stream,
        run=run,
        seq=seq,
        t=1000 + seq,
        pts=seq * 40_000_000,
        marks={"capture": (1, 2)},
        width=shape[1],
        height=shape[0],
        encoding="bgr8",
    )
    return Message(header, bytes(shape[0] * shape[1] * 3))


def answer(stage: DetectorStage, sent: Message) -> Faces:
    (given,) = stage(sent)
    header = given.header
    assert isinstance(header, Faces)
    return header


def tracks(header: Faces) -> list[int]:
    return [face.track for face in header.faces]


class Bright:
    """Finds a face in the brightest corner of what it is shown; many may look at a time."""

    def detect(self, frame: np.ndarray) -> list[Detection]:
        rows, columns = np.nonzero(frame[..., 0] == frame.max())
        return [Detection((float(columns[0]), float(rows[0]), 60, 60), 0.9)]


def moving(seq: int, **changes: str) -> Message:
    """A frame with a white square that moves with `seq`."""
    sent = message(seq, shape=(90, 160), **changes)
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[seq : seq + 9, 3 * seq : 3 * seq + 9] = 255
    return Message(sent.header, picture.tobytes())


def test_frames_that_are_searched_ahead_give_what_they_give_in_turn() -> None:
    sent = [moving(seq, stream=stream) for seq in range(20) for stream in ("cam1", "cam2")]
    tiling = Tiling(count=2, every=3)
    plain = DetectorStage(Bright(), track_ids(1), tiling=tiling)
    quick = DetectorStage(Bright(), track_ids(1), tiling=tiling, helpers=[Bright(), Bright()])
    for number, one in enumerate(sent):
        quick.look_ahead(sent[number : number + 8])
        assert quick(one) == plain(one)


def test_a_search_ahead_of_a_frame_whose_turn_did_not_come_as_expected_is_not_used() -> None:
    tiling = Tiling(count=2, every=2)
    plain = DetectorStage(Bright(), track_ids(1), tiling=tiling)
    quick = DetectorStage(Bright(), track_ids(1), tiling=tiling, helpers=[Bright()])
    assert quick(moving(0)) == plain(moving(0))
    quick.look_ahead([moving(1), moving(2)])
    assert quick(moving(2)) == plain(moving(2))  # 1 was discarded: 2 gets other tiles
    for seq in range(3, 60):
        quick.look_ahead([moving(seq), moving(100 + seq)])
        assert quick(moving(seq)) == plain(moving(seq))


def test_a_broken_picture_that_was_searched_ahead_is_told_in_its_turn() -> None:
    stage = DetectorStage(Bright(), track_ids(1), tiling=Tiling(0, 1), helpers=[Bright()])
    stage(moving(0))
    header = msgspec.structs.replace(moving(1).header, encoding="jpeg")
    broken = Message(header, b"no jpeg")
    stage.look_ahead([broken, moving(2)])
    with pytest.raises(MessageError):
        stage(broken)
    assert len(answer(stage, moving(2)).faces) == 1


@pytest.mark.parametrize("shards", [1, 2, 5])
@pytest.mark.parametrize("faces", [[], TWO[:1], TWO])
def test_every_frame_is_answered_on_every_shard(shards: int, faces: list[Detection]) -> None:
    stage = stage_of(Fixed(faces), shards)
    for seq in range(3):
        given = stage(message(seq))
        assert [one.topic for one in given] == [f"faces/{shard}/cam1/" for shard in range(shards)]
        dealt = []
        for shard, one in enumerate(given):
            # What is given must pass as what the next process takes.
            header = decode([bytes(part) for part in encode(one)]).header
            assert isinstance(header, Faces)
            assert (header.part, header.parts) == (shard, shards)
            assert (header.seq, header.t, header.pts) == (seq, 1000 + seq, seq * 40_000_000)
            assert (header.run, header.marks) == ("1", {"capture": (1, 2)})
            assert (header.width, header.height, header.crop) == (1280, 720, (64, 64))
            assert crops(one).shape == (len(header.faces), 64, 64)
            assert all(track % shards == shard for track in tracks(header))
            dealt += [face.box for face in header.faces]
        assert sorted(dealt) == sorted(one.box for one in faces)


def test_tracks_go_on_and_a_new_run_begins_again() -> None:
    stage = stage_of(Fixed(TWO))
    first = tracks(answer(stage, message(0)))
    assert tracks(answer(stage, message(1))) == first
    after = tracks(answer(stage, message(0, run="2")))
    assert not set(after) & set(first)


def test_streams_do_not_share_tracks() -> None:
    stage = stage_of(Fixed(TWO))
    one = tracks(answer(stage, message(0, stream="cam1")))
    other = tracks(answer(stage, message(0, stream="cam2")))
    assert not set(one) & set(other)
    assert tracks(answer(stage, message(1, stream="cam1"))) == one


@pytest.mark.parametrize(
    ("tiling", "calls"),
    [(Tiling(0, 1), [1, 1, 1, 1]), (Tiling(2, 4), [3, 1, 2, 1]), (Tiling(2, 1), [3, 3, 3, 3])],
)
def test_looks_are_spent_by_policy(tiling: Tiling, calls: list[int]) -> None:
    detector = Fixed(TWO)
    stage = stage_of(detector, tiling=tiling)
    spent = []
    for seq in range(4):
        before = detector.calls
        stage(message(seq))
        spent.append(detector.calls - before)
    assert spent == calls


def test_a_lost_face_is_looked_for_a_while() -> None:
    detector = Fixed(TWO)
    stage = stage_of(detector, tiling=Tiling(2, 1000))
    stage(message(0))
    detector.faces = TWO[:1]
    spent = []
    for seq in range(1, 20):
        before = detector.calls
        stage(message(seq))
        spent.append(detector.calls - before)
    assert spent == [2] * 12 + [1] * 7


def test_the_size_may_change_midway() -> None:
    stage = DetectorStage(create("blazeface"), track_ids(1), tiling=Tiling(2, 1))
    for seq, shape in enumerate([(720, 1280), (1, 1), (480, 640), (1, 200), (720, 1280)]):
        header = answer(stage, message(seq, shape=shape))
        assert (header.height, header.width) == shape
        assert header.faces == ()


@pytest.mark.parametrize("shape", [(1, 1), (720, 1280)])
def test_a_gray_jpeg_is_a_picture_too(shape: tuple[int, int]) -> None:
    encoded = cv2.imencode(".jpg", np.full(shape, 90, np.uint8))[1].tobytes()
    header = Frame(
        stream="cam1",
        run="1",
        seq=0,
        t=0,
        pts=0,
        marks={},
        width=shape[1],
        height=shape[0],
        encoding="jpeg",
    )
    stage = stage_of(Fixed([Detection((0, 0, 40, 40), 0.9)], shape))
    (given,) = stage(Message(header, encoded))
    assert (crops(given) == 90).all()
    broken = Message(header, encoded[:50])
    with pytest.raises(MessageError):
        stage(broken)


def clip(name: str) -> list[np.ndarray]:
    path = CLIPS / f"{name}.gif"
    if not path.is_file():
        pytest.skip("the training data folder with the clips is missing")
    capture = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(frame)


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("face-demographics-walking", 2),
        ("head-pose-face-detection-female-and-male", 2),
        ("head-pose-face-detection-male", 1),
    ],
)
@pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
@pytest.mark.parametrize("backend", ["yunet", "blazeface"])
def test_people_in_clips_are_counted_and_followed(
    name: str, people: int, backend: Choice, live: bool
) -> None:
    settings = Detector(backend=backend)
    chosen = selected(settings)
    tiling = new_tiling(settings, chosen, live=live)
    stage = DetectorStage(new_detector(settings, chosen), track_ids(1), tiling=tiling)
    right, seen = 0, set()
    frames = clip(name)
    for seq, frame in enumerate(frames):
        header = message(seq, shape=frame.shape[:2]).header
        found = answer(stage, Message(header, frame.tobytes()))
        right += len(found.faces) == people
        seen |= set(tracks(found))
    assert right >= 0.97 * len(frames)
    assert len(seen) == people


def test_an_hour_without_a_face_a_frame_a_second_is_answered_frame_by_frame() -> None:
    stage = stage_of(Fixed([], shape=(4, 4)))
    for seq in range(3600):
        header = answer(stage, message(seq, shape=(4, 4)))
        assert (header.seq, header.faces) == (seq, ())


def test_probes_and_ends_are_passed_on_to_every_shard() -> None:
    stage = stage_of(Fixed(TWO), shards=2)
    for fields in ({"end": True, "frames": 9}, {"probe": True, "pid": 7, "base": 3}):
        sent = Message(msgspec.structs.replace(message(9).header, **fields))
        given = stage(sent)
        assert [one.topic for one in given] == ["faces/0/cam1/", "faces/1/cam1/"]
        for one in given:
            assert decode([bytes(part) for part in encode(one)]).header == one.header
            assert {name: getattr(one.header, name) for name in fields} == fields


def test_each_face_carries_its_quality() -> None:
    """Measured where pixels are square: of a face half outside a picture that is stored narrow."""
    detector = Fixed([Detection((-30, 100, 60, 60), 0.9)], shape=(720, 1280))
    sent = message(shape=(720, 640))
    header = header_of(sent, Frame)
    narrow = Message(msgspec.structs.replace(header, pixel_aspect=2.0), sent.payload)
    (face,) = answer(stage_of(detector), narrow).faces
    assert list(face.box) == pytest.approx([-15, 100, 30, 60])
    quality = face.quality
    assert quality is not None
    assert [quality.size_px, quality.cut] == pytest.approx([60, 0.5])
    assert 0 < quality.overall < 0.7, "there is nothing to be seen of it"
