"""What the display shows: frames with their own results, the state of the streams, the past."""

import json
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from emostream.services.display.commands import Command, CommandHandler
from emostream.services.display.display_state import MAX_EVENTS, MAX_LABELS, DisplayState
from emostream.services.display.face_timeline import GAP_NS, HISTORY_NS, MAX_TRACKS
from emostream.services.display.jpeg_encoding import LONG_SIDE, encode_jpeg
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.picture_encoding import picture_packet
from emostream.services.display.schema import Update
from emostream.services.display.stage import DisplayStage
from emostream.shared.blur import FaceBlur
from emostream.shared.control import OnOff, StreamSwitch
from emostream.shared.errors import MessageError
from emostream.shared.join import Joined
from emostream.shared.messages import Control, Emotion, EmotionFace, EmotionPrior, Frame, Message
from tests import builders
from tests.builders import Clock, header_of
from tests.images import decoded

S = 10**9
START = 1_700_000_000 * S
TRACK = (1_700_000_000 << 20) + 7


class WallClock(Clock):
    """A clock that the test turns; `wall` gives the same time in ns since the epoch."""

    def wall(self) -> int:
        return START + int(self.now * S)


class FakeSink:
    """A sink that remembers what it showed; a picture of one value is broken."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int, str | None]] = []

    def show(self, joined: Joined) -> None:
        if joined.frame.payload == b"broken":
            raise MessageError("payload", "a JPEG that cannot be decoded")
        label = joined.faces[0].label if joined.faces else None
        header = joined.frame.header
        self.shown.append((header.stream, header.seq, label))

    def idle(self) -> None:
        pass

    def forget(self, stream: str) -> None:
        pass


class Rig:
    """A stage with one screen, its state and its clock."""

    def __init__(self) -> None:
        self.clock = WallClock()
        self.state = DisplayState(self.clock, self.clock.wall)
        self.registry = CollectorRegistry()
        self.screen = FakeSink()
        self.errors: list[MessageError] = []
        self.commands = CommandHandler(StreamSwitch(False), self.clock.wall, self.clock)
        self.stage = DisplayStage(
            [self.screen], self.state, self.commands, DisplayMetrics(self.registry),
            self.errors.append, 0.5, self.clock,
        )  # fmt: skip

    def give(self, *messages: Message) -> None:
        assert self.stage(messages) == []

    def later(self, seconds: float, *messages: Message) -> None:
        self.clock.now += seconds
        self.give(*messages)

    def count(self, results: str) -> float:
        labels = {"stream": "cam1", "results": results}
        return self.registry.get_sample_value("emostream_display_frames_total", labels) or 0.0


@pytest.fixture
def rig() -> Rig:
    return Rig()


def common(seq: int, stream: str = "cam1", t: int = 0, run: str = "r1") -> dict[str, Any]:
    at = t or START + 100 * S + seq * S // 25
    return {"stream": stream, "run": run, "seq": seq, "t": at, "pts": seq * S // 25, "marks": {}}


def frame(seq: int, stream: str = "cam1", width: int = 32, height: int = 16) -> Message:
    """Return a frame of the gray that is its number."""
    message = builders.frame(width=width, height=height, **common(seq, stream))
    return Message(message.header, bytes([seq % 256]) * (3 * width * height))


def jpeg(seq: int, data: bytes, width: int = 32) -> Message:
    return Message(Frame(**common(seq), width=width, height=16, encoding="jpeg"), data)


def face(label: str, confidence: float = 0.5, track: int = TRACK) -> EmotionFace:
    shares = {label: confidence}
    box = (1.04, 2.0, 8.0, 9.0)
    return builders.face(track, label, box=box, smoothed=shares, confidence=confidence)


def emotion(
    seq: int, label: str = "fear", stream: str = "cam1", t: int = 0, degraded: bool = False
) -> Message:
    found = (face(label),)
    return Message(builders.emotion(**common(seq, stream, t), faces=found, degraded=degraded))


def event(seq: int, kind: str = "change") -> Message:
    return Message(builders.event(kind=kind, track=TRACK, previous="neutral", **common(seq)))


def test_results_are_shown_on_their_own_frame(rig: Rig) -> None:
    rig.give(frame(0), frame(1), emotion(1, "anger"), emotion(0, "fear"))
    assert rig.screen.shown == [("cam1", 0, "fear"), ("cam1", 1, "anger")]
    assert rig.count("whole") == 2


def test_a_frame_waits_for_its_results_and_is_then_shown_without(rig: Rig) -> None:
    rig.give(frame(0))
    rig.later(0.4)
    assert rig.screen.shown == []
    rig.later(0.2)
    assert rig.screen.shown == [("cam1", 0, None)]
    assert rig.count("none") == 1
    rig.give(emotion(0))
    assert len(rig.screen.shown) == 1


def test_streams_do_not_wait_for_each_other(rig: Rig) -> None:
    rig.give(frame(0, "cam1"), frame(0, "cam2"), emotion(0, stream="cam2"))
    assert rig.screen.shown == [("cam2", 0, "fear")]


def test_a_broken_picture_is_told_and_the_next_is_shown(rig: Rig) -> None:
    rig.give(jpeg(0, b"broken"), emotion(0), frame(1), emotion(1))
    assert [error.reason for error in rig.errors] == ["payload"]
    assert rig.screen.shown == [("cam1", 1, "fear")]


def encoded(message: Message, quality: int = 80, results: tuple[Emotion, ...] = ()) -> bytes:
    return encode_jpeg(Joined(message, results, True), quality, FaceBlur(StreamSwitch(False)))


def test_a_viewer_s_command_goes_to_the_bus(rig: Rig) -> None:
    rig.commands.submit(Command("cam1", "record", OnOff(True)))
    (message,) = rig.stage([])
    assert message.topic == "control/cam1/"
    rig.give(frame(0), emotion(0))


def test_a_command_on_the_bus_is_obeyed_and_an_unknown_one_told(rig: Rig) -> None:
    for name in ("blur", "fly"):
        header = Control(**common(0), command=name, arguments={"on": True})
        rig.give(Message(header), frame(0), emotion(0))
    assert rig.commands.blur.is_on("cam1")
    assert [error.reason for error in rig.errors] == ["command"]
    assert rig.screen.shown == [("cam1", 0, "fear")]


def test_a_packet_carries_the_picture_and_its_results() -> None:
    message = frame(200)
    joined = Joined(message, (header_of(emotion(200), Emotion),), True)
    blur = FaceBlur(StreamSwitch(False))
    blur.observe(joined)
    data = picture_packet(joined, encoded(message, 90, results=joined.results), blur)
    length = int.from_bytes(data[:4], "big")
    facts = json.loads(data[4 : 4 + length])
    picture = decoded(data[4 + length :])
    assert picture.shape == (16, 32, 3)
    assert np.abs(picture.astype(int) - 200).max() <= 2
    assert {name: facts[name] for name in ("stream", "run", "seq", "width", "height")} == {
        "stream": "cam1", "run": "r1", "seq": 200, "width": 32, "height": 16,
    }  # fmt: skip
    assert (facts["pts"], facts["results"]) == (8000, "whole")
    (one,) = facts["faces"]
    assert one["track"] == TRACK < 2**53
    assert one["box"] == [1.0, 2.0, 8.0, 9.0]
    assert (one["label"], one["confidence"], one["smoothed"]) == ("fear", 0.5, {"fear": 0.5})
    assert facts["prior"] == {}
    # A fifth more than the box, for a page that is to blur the picture while it stands still.
    assert (facts["blurred"], facts["blur_areas"]) == (False, [[0, 1, 10, 11]])


def test_a_packet_says_which_shares_the_probabilities_reckon_with() -> None:
    prior = EmotionPrior("uniform", 1.0, {"fear": 0.5, "joy": 0.5})
    header = msgspec.structs.replace(header_of(emotion(0), Emotion), prior=prior)
    joined, blur = Joined(frame(0), (header,), True), FaceBlur(StreamSwitch(True))
    data = picture_packet(joined, b"", blur)
    facts = json.loads(data[4:])
    assert facts["prior"] == prior.shares
    # Where the faces are was not noted.
    assert (facts["blurred"], facts["blur_areas"]) == (True, None)


def jpeg_of(width: int, height: int) -> bytes:
    _, data = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))
    return data.tobytes()


@pytest.mark.parametrize("data", [b"no jpeg", jpeg_of(320, 16), jpeg_of(32, 16)[:40]])
def test_a_jpeg_of_another_size_is_not_passed_on(data: bytes) -> None:
    with pytest.raises(MessageError, match="JPEG"):
        encoded(jpeg(0, data))


def test_a_jpeg_is_passed_on_as_it_is_and_a_large_picture_made_smaller() -> None:
    small = jpeg_of(32, 16)
    assert encoded(jpeg(0, small)) == small
    large = encoded(frame(0, width=2 * LONG_SIDE, height=100))
    assert decoded(large).shape == (50, LONG_SIDE, 3)
    with pytest.raises(MessageError):
        encoded(jpeg(0, b"no jpeg", width=2 * LONG_SIDE))


def play(rig: Rig, seqs: range, answered: bool = True) -> Update:
    """Let frames come at 25/s, each shown 30 ms after its capture."""
    for seq in seqs:
        rig.clock.now = 100.03 + seq / 25
        rig.give(frame(seq), *([emotion(seq)] if answered else []))
    return rig.state.update(0)


def test_a_stream_of_which_only_the_end_is_known_has_a_state(rig: Rig) -> None:
    end = builders.frame(8, end=True, frames=8, stream="film")
    rig.give(end)
    rig.later(2)
    state = rig.state.update(0).streams["film"]
    assert (state.ended, state.age_ms, state.fps) == (True, 2000, 0.0)
    assert rig.state.snapshots()["film"].seq is None


def test_a_stream_that_is_forgotten_leaves_nothing_but_its_events(rig: Rig) -> None:
    play(rig, range(10))
    rig.stage.forget("cam1")
    update = rig.state.update(0)
    assert (update.streams, update.spans, rig.state.has_stream("cam1")) == ({}, {}, False)
    assert "cam1" not in generate_latest(rig.registry).decode()
    shown = len(rig.screen.shown)
    rig.give(frame(0), emotion(0))
    assert len(rig.screen.shown) == shown + 1


def test_invented_labels_and_faces_have_a_bound(rig: Rig) -> None:
    for seq in range(60):
        found = [face(f"label {seq} {n}", track=1000 * seq + n) for n in range(100)]
        rig.give(Message(builders.emotion(**common(seq), faces=tuple(found))))
    update = rig.state.update(0)
    assert len(update.labels) == MAX_LABELS
    assert len(update.spans["cam1"]) == MAX_TRACKS


def test_results_of_a_clock_far_ahead_are_forgotten_when_time_goes_on(rig: Rig) -> None:
    rig.give(emotion(0, t=2**63 - 1))
    for seq in range(5):
        rig.give(emotion(seq))
    (segment,) = rig.state.update(0).spans["cam1"]
    assert segment[2] < 2e12


def test_the_state_tells_rate_latency_and_age(rig: Rig) -> None:
    state = play(rig, range(100)).streams["cam1"]
    assert state.fps == pytest.approx(25, abs=0.1)
    assert state.latency_ms == pytest.approx(30, abs=1)
    assert (state.age_ms, state.stale, state.ended) == (0, False, False)
    rig.later(10)
    silent = rig.state.update(0).streams["cam1"]
    assert (silent.age_ms, silent.fps, silent.stale) == (10_000, 0.0, False)


def test_emotions_are_stale_while_frames_come_without_and_fresh_when_they_are_back(
    rig: Rig,
) -> None:
    play(rig, range(25))
    assert play(rig, range(25, 100), answered=False).streams["cam1"].stale
    rig.give(emotion(100, degraded=True))
    assert rig.state.update(0).streams["cam1"].stale
    assert not play(rig, range(101, 110)).streams["cam1"].stale


def test_a_classifier_that_never_answered_is_stale_too(rig: Rig) -> None:
    assert not play(rig, range(25), answered=False).streams["cam1"].stale
    assert play(rig, range(25, 100), answered=False).streams["cam1"].stale


def test_the_end_of_a_source_is_told_until_it_starts_again(rig: Rig) -> None:
    play(rig, range(5))
    end = Frame(**common(5), width=32, height=16, encoding="bgr8", end=True, frames=5)
    rig.give(Message(end))
    assert rig.state.update(0).streams["cam1"].ended
    assert not play(rig, range(5, 10)).streams["cam1"].ended


def spans(update: Update) -> list[tuple[float, float, str]]:
    """Return (start, end, label) in s since the start."""
    rows = update.spans.get("cam1", [])
    return sorted(((a - START / 1e6) / 1e3, (b - START / 1e6) / 1e3, label)
                  for _, a, b, label, _ in rows)  # fmt: skip


def test_the_timeline_joins_what_stays_and_parts_what_changes(rig: Rig) -> None:
    for second, label in enumerate(["fear", "fear", "anger", "anger"]):
        rig.give(emotion(second, label, t=START + second * S))
    assert spans(rig.state.update(0)) == [(0, 2, "fear"), (2, 3, "anger")]


def test_a_face_that_was_away_leaves_a_gap_in_its_timeline(rig: Rig) -> None:
    for at in (0, GAP_NS, 3 * GAP_NS):
        rig.give(emotion(at // S, t=START + at))
    assert spans(rig.state.update(0)) == [(0, 1, "fear"), (3, 3, "fear")]


def test_what_is_older_than_five_minutes_is_forgotten(rig: Rig) -> None:
    seconds = 3 * HISTORY_NS // S
    for second in range(seconds):
        header = emotion(second, t=START + second * S).header
        faces = (face("fear", track=second), face("fear", track=10**6))
        rig.state.add_results(Emotion(**{**fields(header), "faces": faces}))
    update = rig.state.update(0)
    tracks = {row[0] for row in update.spans["cam1"]}
    assert len(tracks) == HISTORY_NS // S + 2
    assert min(tracks) == seconds - 1 - HISTORY_NS // S


def fields(header: Any) -> dict[str, Any]:
    return {name: getattr(header, name) for name in header.__struct_fields__}


def test_an_update_holds_only_what_is_new(rig: Rig) -> None:
    rig.give(emotion(0, "fear", t=START), event(0))
    first = rig.state.update(0)
    assert first.complete
    assert (len(first.events), spans(first)) == (1, [(0, 0, "fear")])
    assert rig.state.update(first.revision).events == []
    assert rig.state.update(first.revision).spans == {}
    rig.give(emotion(1, "anger", t=START + S))
    second = rig.state.update(first.revision)
    assert not second.complete
    assert spans(second) == [(0, 1, "fear"), (1, 1, "anger")]
    rig.give(emotion(2, "anger", t=START + 2 * S), event(2, "leave"))
    third = rig.state.update(second.revision)
    assert spans(third) == [(1, 2, "anger")]
    assert [event.kind for event in third.events] == ["leave"]


def test_only_the_last_events_are_kept(rig: Rig) -> None:
    for seq in range(3 * MAX_EVENTS):
        rig.give(event(seq))
    events = rig.state.update(0).events
    assert len(events) == MAX_EVENTS
    assert events[-1].t == common(3 * MAX_EVENTS - 1)["t"] / 1e6


def test_a_stream_tells_how_many_of_its_captured_frames_are_analyzed(rig: Rig) -> None:
    """By the numbers of the frames: the display need not have seen those that were left out."""
    rig.give(frame(0))
    rig.later(0.6)
    assert rig.state.update(0).streams["cam1"].analyzed == 1, "nothing was answered yet"
    for seq in range(0, 101, 4):
        rig.later(4 / 25, frame(seq), emotion(seq))
    assert rig.state.update(0).streams["cam1"].analyzed == 0.25
    for seq in range(101, 301):
        rig.later(1 / 25, frame(seq), emotion(seq))
    assert rig.state.update(0).streams["cam1"].analyzed == 1


def test_a_part_that_nobody_answers_counts_as_not_analyzed(rig: Rig) -> None:
    for seq in range(100):
        rig.later(1 / 25, frame(seq), Message(builders.emotion(**common(seq, "cam1", 0), parts=2)))
    assert rig.state.update(0).streams["cam1"].analyzed == 0.5


def test_a_stream_tells_that_a_standby_answers_until_the_active_one_is_heard(rig: Rig) -> None:
    def give(seq: int, *standby: bool, part: int = 0, parts: int = 2) -> bool:
        fields = {**common(seq, "cam1", 0), "part": part, "parts": parts}
        rig.later(1 / 25, *(Message(builders.emotion(**fields, standby=one)) for one in standby))
        return rig.state.update(0).streams["cam1"].standby

    assert not any(give(seq, False, part=part) for seq in range(50) for part in (0, 1))
    rig.later(1.1)
    # Of one part alone.
    assert all(give(seq, True, part=1) for seq in range(50, 75))
    assert all(give(seq, seq % 2 == 1, part=seq % 2) for seq in range(75, 175))
    # Whose answer comes first varies, while both answer; nothing flickers.
    assert not any(give(seq, seq % 8 > 0, part=1) for seq in range(176, 250))
    assert all([give(seq, True, part=1) for seq in range(250, 300)][26:])
    # Another detector deals to fewer parts: what was of the other one is forgotten.
    assert not any([give(seq, False, parts=1) for seq in range(300, 500)][130:])


def test_faces_have_small_numbers_of_their_own_in_each_stream(rig: Rig) -> None:
    """They are told before the first picture with the face, and with each of its events."""
    rig.give(event(0, "enter"), emotion(0), frame(0))
    first = rig.state.update(0)
    assert first.numbers == {TRACK: 1}
    assert [each.number for each in first.events] == [1]
    assert not rig.state.has_new_names(first.revision)
    garden = builders.emotion(**common(0, "garden"), faces=(face("fear", track=TRACK + 1),))
    rig.give(Message(garden))
    assert rig.state.has_new_names(first.revision)
    assert rig.state.update(first.revision).numbers == {TRACK + 1: 1}
    poor = msgspec.structs.replace(face("fear", track=TRACK + 2), label="", left_out="quality")
    rig.give(Message(builders.emotion(**common(1), faces=(face("fear"), poor))))
    assert set(rig.state.update(0).numbers) == {TRACK, TRACK + 1}


def test_the_page_gets_the_faces_that_are_kept_beside_the_pictures_own() -> None:
    joined = Joined(frame(0), (), False)
    packet = picture_packet(joined, b"jpeg", FaceBlur(StreamSwitch(False)), [face("fear")])
    length = int.from_bytes(packet[:4], "big")
    facts = json.loads(packet[4 : 4 + length])
    assert facts["faces"] == []
    assert [(one["track"], one["label"]) for one in facts["kept"]] == [(TRACK, "fear")]
