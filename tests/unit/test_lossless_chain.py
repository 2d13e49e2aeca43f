"""Lossless delivery without sockets: stages are killed, and every frame counts once.

The stages here are small, but what sees to the delivery is the real thing: the window of capture,
the sequence of each stage, and the recorder's stage and database.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from emostream.services.capture.lossless.credit_window import CreditWindow
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.services.recorder.lossless import MAX_EVENTS
from emostream.shared.config import Lossless
from emostream.shared.errors import DeliveryError, MessageError
from emostream.shared.messages import (
    Credit,
    Emotion,
    EmotionFace,
    Event,
    Face,
    Faces,
    Frame,
    Header,
    Message,
    common_fields,
)
from emostream.shared.replay_sequence import ReplaySequence
from tests import builders
from tests.builders import frame, header_of
from tests.recorders import lossless_recorder

FRAMES = 60
STEP = 0.02
BLANK = header_of(frame(stream="film"), Frame)


class Counting:
    """A stage that remembers how many frames it has worked on, and tells of it."""

    def __init__(self) -> None:
        self.count = 0

    def state(self, header: Header) -> bytes:
        packed: bytes = msgpack.packb(self.count)
        return packed

    def restore(self, header: Header, state: bytes | None) -> None:
        self.count = msgpack.unpackb(state) if state else 0


class Detector(Counting):
    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def __call__(self, message: Message) -> list[Message]:
        header = message.header
        self.count += header.is_data
        faces = (Face(self.count, (0, 0, 1, 1), 0.5, ()),) if header.is_data else ()
        return [
            Message(
                Faces(
                    **common_fields(header), width=1, height=1, crop=(1, 1), part=part,
                    parts=self.parts, faces=faces if self.count % self.parts == part else (),
                ),
                shard=part,
            )
            for part in range(self.parts)
        ]  # fmt: skip


class Classifier(Counting):
    def __call__(self, message: Message) -> list[Message]:
        header = message.header
        assert isinstance(header, Faces)
        self.count += header.is_data
        label = {"a": self.count / 1000}
        faces = tuple(
            EmotionFace(face.track, face.box, label, label, "a", self.count / 1000)
            for face in header.faces
        )
        emotion = Emotion(
            **common_fields(header), model="m", faces=faces, part=header.part, parts=header.parts,
            degraded=False,
        )  # fmt: skip
        events = [
            Message(
                Event(
                    **common_fields(header), kind="change", track=face.track, label="a",
                    previous="b", confidence=0.5, since=header.pts,
                )
            )
            for face in header.faces
        ]  # fmt: skip
        return [*events, Message(emotion)]


class Chain:
    """Capture, detector, classifiers and recorder, joined by lists instead of sockets."""

    def __init__(self, folder: Path, parts: int = 1, frames: int = FRAMES) -> None:
        self.folder, self.parts, self.frames = folder, parts, frames
        self.now = 0.0
        self.forged = False
        self.refused: list[str] = []
        self.pids = iter(range(1, 10**9))
        self.queues: dict[str, list[Message]] = {name: [] for name in ("d", "c", "r", "back")}
        self.alive = {"d": True, "c": True, "r": True}
        self.given = 0
        self.worked: list[tuple[str, int]] = []
        for name in ("capture", "d", "c", "r"):
            self.start(name)

    def start(self, name: str) -> None:
        settings = Lossless(credit_from=("recorder",), window=4, stall_timeout=5.0)
        if name == "capture":
            self.window = CreditWindow([BLANK], settings, lambda: self.now, lambda: next(self.pids))
            self.given = 0
        elif name == "d":
            stage = Detector(self.parts)
            self.detector = ReplaySequence("detector", stage, self.noted("d", stage), 4)
        elif name == "c":
            self.classifiers = []
            for _ in range(self.parts):
                stage_c = Classifier()
                self.classifiers.append(
                    ReplaySequence("classifier", stage_c, self.noted("c", stage_c), 4)
                )
        else:
            self.archive = ArchiveWriter(self.folder / "emostream.db")
            self.recorder = lossless_recorder(self.archive, self.refuse, window=4)
        if name in self.alive:
            self.alive[name] = True

    def noted(
        self, name: str, stage: Callable[[Message], list[Message]]
    ) -> Callable[[Message], list[Message]]:
        def work(message: Message) -> list[Message]:
            if message.header.is_data:
                self.worked.append((name, message.header.seq))
            return stage(message)

        return work

    def refuse(self, error: MessageError) -> None:
        if not self.forged:
            raise AssertionError(error)
        self.refused.append(error.reason)

    def kill(self, name: str) -> None:
        """End a stage without warning; what waits for it is gone."""
        if name == "r":
            # What was not committed is lost with the process.
            self.archive._connection.close()
        self.alive[name] = False
        self.queues[name].clear()

    def send(self, name: str, messages: list[Message]) -> None:
        if self.alive.get(name, True):
            self.queues[name] += messages

    def step(self) -> None:
        """Let each process do a little."""
        self.now += STEP
        for message in self.queues["back"]:
            assert isinstance(message.header, Credit)
            try:
                self.window.record_credit(message.header)
            except MessageError as error:
                self.refuse(error)
        self.queues["back"].clear()
        self.send("d", self.window.due())
        if self.window.has_room:
            self.send("d", self.give())
        for name in ("d", "c", "r"):
            for _ in range(2):
                if self.alive[name] and self.queues[name]:
                    self.work(name, self.queues[name].pop(0))

    def give(self) -> list[Message]:
        seq, self.given = self.given, self.given + 1
        changes: dict[str, Any] = {"seq": seq, "pts": seq * 40_000_000}
        if seq == self.frames:
            changes |= {"end": True, "frames": seq}
        elif self.window.is_written("film", seq):
            return []
        return self.window.add(Message(msgspec.structs.replace(BLANK, **changes)))

    def work(self, name: str, message: Message) -> None:
        match name:
            case "d":
                self.send("c", _through(self.detector, message))
            case "c":
                assert isinstance(message.header, Faces)
                self.send("r", _through(self.classifiers[message.header.part], message))
            case _:
                self.send("back", self.recorder([message]))

    def run(self, chaos: Callable[[int], None] = lambda n: None, steps: int = 20_000) -> None:
        for n in range(steps):
            if self.window.is_done:
                return
            chaos(n)
            self.step()
        raise AssertionError(f"no end after {steps} steps, {self.given} frames given")

    def rows(self) -> list[tuple[object, ...]]:
        with ArchiveReader(self.folder / "emostream.db") as reader:
            (run,) = reader.runs()
            assert run.frames == self.frames
            rows: list[tuple[object, ...]] = [
                (a.row.seq, a.row.pts, a.state, [(f.track_id, f.confidence) for f in a.faces])
                for a in reader.recorded_frames(run)
            ]
            return rows + [(e.seq, e.kind, e.track_id) for e in reader.event_rows(run)]


def _through(sequence: ReplaySequence, message: Message) -> list[Message]:
    return sequence.work(message) if sequence.expects(message) else sequence.repeat(message)


@pytest.fixture
def start_chain(tmp_path: Path) -> Iterator[Callable[..., Chain]]:
    """Starts chains, and ends what their recorders hold open after the test."""
    started: list[Chain] = []

    def start(parts: int = 1, frames: int = FRAMES) -> Chain:
        started.append(Chain(tmp_path / f"{len(started)}", parts, frames))
        return started[-1]

    yield start
    for chain in started:
        chain.kill("r")


def expected(frames: int = FRAMES, parts: int = 1) -> list[tuple[object, ...]]:
    answers: list[tuple[object, ...]] = [
        (seq, seq * 40_000_000, "whole", [(seq + 1, (seq + 1) / 1000)]) for seq in range(frames)
    ]
    return answers + [(seq, "change", seq + 1) for seq in range(frames)]


@pytest.mark.parametrize("parts", [1, 2])
def test_every_frame_is_recorded_once_and_in_order(
    start_chain: Callable[..., Chain], parts: int
) -> None:
    chain = start_chain(parts)
    chain.run()
    assert chain.rows() == expected()
    assert chain.worked.count(("d", 7)) == 1


@pytest.mark.parametrize("late", ["d", "c", "r"])
def test_a_stage_that_starts_late_misses_nothing(
    start_chain: Callable[..., Chain], late: str
) -> None:
    chain = start_chain()
    chain.kill(late)
    chain.run(lambda n: chain.start(late) if n == 50 else None)
    assert chain.rows() == expected()


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("seed", range(12))
def test_stages_killed_at_random_leave_no_trace(
    start_chain: Callable[..., Chain], seed: int, parts: int
) -> None:
    """Each stage of the chain, capture too, dies now and then and loses all that it held."""
    dice = random.Random(seed)
    chain = start_chain(parts)
    back: dict[str, int] = {}

    def chaos(n: int) -> None:
        for name, when in list(back.items()):
            if n >= when:
                chain.start(name)
                del back[name]
        if dice.random() < 0.02 and n < 4_000:
            name = dice.choice(["capture", "d", "c", "r"])
            if name == "capture":
                chain.start(name)
            elif name not in back:
                chain.kill(name)
                back[name] = n + dice.randint(1, 60)

    chain.run(chaos)
    assert chain.rows() == expected()


FAR = 2**52


@pytest.mark.parametrize(
    ("queue", "changes", "reasons"),
    [
        ("d", {"probe": True, "base": FAR, "pid": FAR}, set()),
        ("c", {"probe": True, "base": FAR, "pid": FAR}, set()),
        ("d", {"seq": FAR}, set()),
        ("c", {"seq": FAR}, set()),
        ("r", {"seq": FAR}, {"leap"}),
        ("r", {"seq": FAR, "end": True, "frames": FAR}, {"leap"}),
        ("r", {"probe": True, "pid": FAR}, set()),
        ("back", {"seq": FAR}, {"credit"}),
        ("back", {"seq": 60, "end": True, "frames": 60}, {"credit"}),
    ],
)
def test_one_message_that_could_not_have_been_sent_costs_no_frame(
    start_chain: Callable[..., Chain], queue: str, changes: dict[str, Any], reasons: set[str]
) -> None:
    chain = start_chain()
    chain.forged = True

    def chaos(n: int) -> None:
        if n not in (40, 41, 90):
            return
        kinds: dict[str, Header] = {
            "d": BLANK,
            "c": builders.faces(),
            "r": builders.emotion(),
            "back": credit_header(),
        }
        place = {"stream": BLANK.stream, "run": BLANK.run}
        header: Any = msgspec.structs.replace(kinds[queue], **place, **changes)
        chain.queues[queue].insert(0, Message(header))

    chain.run(chaos)
    assert chain.rows() == expected()
    assert set(chain.refused) == reasons


def credit_header() -> Credit:
    return Credit(**{**builders.COMMON, "seq": 0}, consumer="recorder")


def test_of_events_without_answers_few_are_kept(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain()
    chain.forged = True
    flood = [Message(builders.event(n, stream="film", track=n)) for n in range(MAX_EVENTS + 7)]
    assert chain.recorder(flood) == []
    assert chain.refused == ["leap"] * 7


def test_a_stage_that_hangs_for_a_moment_is_waited_for(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain()

    def chaos(n: int) -> None:
        chain.alive["c"] = not 30 <= n < 130  # two seconds in which it takes nothing
        if n == 30:
            chain.queues["c"].clear()

    chain.run(chaos)
    assert chain.rows() == expected()
    assert [pair for pair in chain.worked if pair[0] == "d"] == [("d", n) for n in range(FRAMES)]


def test_without_a_stage_the_run_ends_with_a_clear_error(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain()
    chain.kill("c")
    with pytest.raises(DeliveryError, match=r"film: no answer from recorder for 5 s"):
        chain.run()
    other = start_chain()

    def chaos(n: int) -> None:
        if n == 30:
            other.kill("d")

    with pytest.raises(DeliveryError, match=r"film: frame \d+ was not written within 5 s"):
        other.run(chaos)


def test_an_ended_run_is_confirmed_again_to_a_capture_that_starts_again(
    start_chain: Callable[..., Chain],
) -> None:
    chain = start_chain()
    chain.run()
    worked = len(chain.worked)
    chain.start("capture")
    chain.run()
    assert chain.given == 0, "nothing needs to be read again"
    assert len(chain.worked) == worked
    assert chain.rows() == expected()


def test_an_empty_recording_ends_too(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(frames=0)
    chain.run()
    assert chain.rows() == []
