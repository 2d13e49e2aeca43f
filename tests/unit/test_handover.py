"""A standby answers what the active classifier does not, and neither says anything twice."""

import random
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from prometheus_client import CollectorRegistry

from emostream.services.classifier.handover import (
    FIRST_PATIENCE,
    HAND_BACK_AFTER_S,
    MOST_HELD,
    Beginning,
    HandoverInbox,
)
from emostream.services.classifier.metrics import ClassifierMetrics
from emostream.services.classifier.peers import role_of
from emostream.services.classifier.smoothing import SmoothingRules
from emostream.services.classifier.stage import STATE, ClassifierStage, Role
from emostream.shared.account import ANSWERED
from emostream.shared.classifier_peers import classifier_peers
from emostream.shared.config import load
from emostream.shared.duplicates import Duplicates
from emostream.shared.errors import ConfigError, MessageError
from emostream.shared.inbox import LiveInbox
from emostream.shared.messages import Emotion, Event, Face, Message
from tests import builders
from tests.builders import Clock
from tests.unit.test_classifier_stage import LABELS, Model

MS = 10**6


class Told:
    """What an inbox tells of frames that are not answered here, and of who answers."""

    def __init__(self) -> None:
        self.fates: list[tuple[int, str]] = []
        self.on: list[bool] = []

    def followed(self, message: Message, fate: str) -> None:
        self.fates.append((message.header.seq, fate))

    def answers(self, stream: str, part: int, *, on: bool) -> None:
        self.on.append(on)


class Side:
    """One of two classifiers: its inbox and its stage, on a clock of both."""

    def __init__(self, clock: Clock, *, is_standby: bool, labels: tuple[str, ...] = LABELS) -> None:
        self.told = Told()
        self.live = LiveInbox(lambda message, reason: None, 3, 0.2, clock)
        self.inbox = HandoverInbox(self.live, self.told, 1.0, is_standby=is_standby, clock=clock)
        self.stage = ClassifierStage(
            Model(labels),
            ClassifierMetrics(CollectorRegistry()),
            SmoothingRules(smoothing=0.3),
            32,
            role=Role.STANDBY if is_standby else Role.ACTIVE,
        )
        self.gathered: list[Message] = []
        self.running = Beginning([], [])
        self.name = f"{'standby' if is_standby else 'active'}{random.getrandbits(32):x}"

    def work(self) -> list[Any]:
        """Answer what waits, as the process does; return the headers."""
        return self._answers(self.inbox.begin(self.inbox.take(32, 0)))

    def work_overlapped(self) -> list[Any]:
        """Answer the batch that is worked on, and begin on the one that came together meanwhile."""
        begun = self.inbox.begin(self.gathered)
        said = self._answers(self.running)
        self.running, self.gathered = begun, self.inbox.take(32, 0)
        return said

    def _answers(self, beginning: Beginning) -> list[Any]:
        said = []
        for state in beginning.states:
            self.stage.go_on_from(state)
        for answer in self.stage(beginning.left):
            fields = {"publisher": self.name}
            values = {
                name: getattr(answer.header, name) for name in answer.header.__struct_fields__
            }
            said.append(type(answer.header)(**{**values, **fields}))
        return said

    def answered(self) -> list[int]:
        return [header.seq for header in self.work() if isinstance(header, Emotion)]


def faces(seq: int, *labels: int, run: str = "r", **fields: Any) -> Message:
    """Return the faces of a frame, one a label: tracks 1, 2 ..."""
    found = tuple(
        Face(number, (0, 0, 64, 64), 0.9, ())
        for number, label in enumerate(labels, 1)
        if label >= 0
    )
    crops = b"".join(bytes([label]) * 64 * 64 for label in labels if label >= 0)
    times = {"t": seq * 40 * MS, "pts": seq * 40 * MS}
    header = builders.faces(seq, *found, run=run, **{**times, **fields})
    return Message(header, crops if header.is_data else None)


def answer(seq: int, *, standby: bool = False, **fields: Any) -> Emotion:
    states = {STATE: b"\x92\x90\xc4\x00"}
    return builders.emotion(seq, t=seq * 40 * MS, standby=standby, states=states, **fields)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_standby_is_silent_while_the_active_one_answers(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    for seq in range(100):
        side.inbox.put(faces(seq))
        clock.sleep(0.03)
        side.inbox.hear(answer(seq))
        assert not side.inbox.take(32, 0)
    assert side.told.fates == [(seq, ANSWERED) for seq in range(100)]
    assert not side.told.on


def test_it_answers_from_the_last_answer_on_once_that_is_a_second_ago(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.put(faces(0))
    side.inbox.hear(answer(0))
    answered: list[int] = []
    for seq in range(1, 40):
        clock.sleep(0.04)
        side.inbox.put(faces(seq))
        given = [message.header.seq for message in side.inbox.take(99, 0)]
        if given and not answered:
            assert clock.now == pytest.approx(101.0, abs=0.05)
            assert [one.seq for one in side.inbox.begin([]).states] == [0]
        answered += given
    assert answered == list(range(1, 40))
    assert side.told.on == [True]


def test_the_last_faces_of_a_stream_are_answered_though_none_follow(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.hear(answer(0))
    side.inbox.put(faces(1))
    assert not side.inbox.take(9, 0)
    clock.sleep(1.1)
    assert [message.header.seq for message in side.inbox.take(9, 0)] == [1]


def test_a_stream_that_pauses_is_no_silence(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    for seq in range(5):
        side.inbox.put(faces(seq))
        side.inbox.hear(answer(seq))
        clock.sleep(60)
        assert not side.inbox.take(9, 0)


def test_it_hands_back_only_when_everybody_can_have_found_the_active_one(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.hear(answer(0))
    side.inbox.put(faces(1))
    clock.sleep(1.1)
    begun, seq = clock.now, 2
    while side.told.on != [True, False]:
        side.inbox.put(faces(seq))
        side.inbox.hear(answer(seq))
        side.inbox.take(9, 0)
        clock.sleep(0.04)
        seq += 1
        assert clock.now < begun + 60
    assert clock.now - begun == pytest.approx(HAND_BACK_AFTER_S, abs=0.1)
    side.inbox.put(faces(seq))
    assert not side.inbox.take(9, 0)


def test_an_active_one_that_dies_again_at_once_is_not_handed_back_to(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.hear(answer(0))
    side.inbox.put(faces(1))
    clock.sleep(1.1)
    for seq in range(2, 200):
        side.inbox.put(faces(seq))
        if seq % 100 < 50:
            side.inbox.hear(answer(seq))
        clock.sleep(0.04)
        side.inbox.take(9, 0)
    assert side.told.on == [True]


def test_two_that_are_started_together_do_not_both_answer(clock: Clock) -> None:
    active, standby = Side(clock, is_standby=False), Side(clock, is_standby=True)
    for seq in range(200):
        for side in (active, standby):
            side.inbox.put(faces(seq))
        for said in active.work():
            standby.inbox.hear(said)
        assert not standby.work()
        clock.sleep(0.04)
    assert not standby.told.on


def test_without_an_active_one_it_answers_after_a_while(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.put(faces(0))
    clock.sleep(FIRST_PATIENCE - 0.1)
    assert not side.inbox.take(9, 0)
    clock.sleep(0.2)
    assert side.inbox.take(9, 0)


def test_probes_are_for_who_answers(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.put(faces(0, probe=True, base=4))
    clock.sleep(9)
    assert not side.inbox.take(9, 0)


def test_what_is_held_has_a_bound(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    for seq in range(MOST_HELD + 60):
        side.inbox.put(faces(seq))
    clock.sleep(9)
    assert [one.header.seq for one in side.inbox.take(999, 0)] == list(range(60, MOST_HELD + 60))


def test_what_the_active_one_drops_is_not_answered_later(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    for seq in range(4):
        side.inbox.put(faces(seq))
    side.inbox.hear(answer(2))
    clock.sleep(1.1)
    assert [one.header.seq for one in side.inbox.take(9, 0)] == [3]
    assert side.told.fates == [(0, "backlog"), (1, "backlog"), (2, ANSWERED)]


def test_of_a_run_that_is_over_nothing_is_answered_after_the_next(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.put(faces(90, run="a"))
    side.inbox.put(faces(0, run="b", t=91 * 40 * MS))
    side.inbox.hear(answer(0, run="b"))
    assert [seq for seq, _ in side.told.fates] == []
    later = builders.emotion(0, run="b", t=91 * 40 * MS)
    side.inbox.hear(later)
    assert [seq for seq, _ in side.told.fates] == [90, 0]


def test_an_active_one_that_was_cut_off_goes_on_where_the_standby_is(clock: Clock) -> None:
    side = Side(clock, is_standby=False)
    side.inbox.put(faces(0))
    clock.sleep(1.1)
    assert [one.header.seq for one in side.inbox.take(9, 0)] == [0]
    clock.sleep(40)
    for seq in (1000, 1001):
        side.inbox.put(faces(seq))
    assert [one.header.seq for one in side.inbox.take(9, 0)] == [1000, 1001]
    # What the standby said meanwhile comes late, and only the newest of it is of use.
    for seq in range(900, 1003):
        side.inbox.hear(answer(seq, standby=True))
    assert [one.seq for one in side.inbox.begin([]).states] == [1000]
    side.inbox.put(faces(1003))
    assert [one.header.seq for one in side.inbox.take(9, 0)] == [1003]


def test_an_active_one_begins_when_the_standby_has_come_to_what_it_holds(clock: Clock) -> None:
    side = Side(clock, is_standby=False)
    for seq in (20, 21):
        side.inbox.put(faces(seq, 0))
    # The standby has just taken over, and answers what waited.
    for seq in (10, 11, 19):
        side.inbox.hear(answer(seq, standby=True))
        assert side.inbox.take(32, 0) == []
    side.inbox.hear(answer(20, standby=True))
    beginning = side.inbox.begin(side.inbox.take(32, 0))
    assert [state.seq for state in beginning.states] == [20]
    assert [message.header.seq for message in beginning.left] == [21]


def test_an_active_one_with_a_slow_source_does_not_wait_for_each_frame(clock: Clock) -> None:
    side = Side(clock, is_standby=False)
    side.inbox.put(faces(0))
    clock.sleep(1.1)
    side.inbox.take(9, 0)
    for seq in range(1, 9):
        clock.sleep(10)
        side.inbox.put(faces(seq, t=seq * 10**10))
        assert [one.header.seq for one in side.inbox.take(9, 0)] == [seq]


def test_what_a_standby_answers_while_it_waits_for_its_batch_is_not_answered_again(
    clock: Clock,
) -> None:
    side = Side(clock, is_standby=False)
    side.inbox.put(faces(0))
    clock.sleep(1.1)
    side.inbox.take(9, 0)
    clock.sleep(40)
    for seq in (1000, 1001, 1002):
        side.inbox.put(faces(seq))
    gathered = side.inbox.take(9, 0)
    assert [one.header.seq for one in gathered] == [1000, 1001, 1002]
    side.inbox.hear(answer(1001, standby=True))
    begun = side.inbox.begin(gathered)
    assert [one.seq for one in begun.states] == [1001]
    assert [one.header.seq for one in begun.left] == [1002]


def test_what_waits_while_a_standby_hands_back_is_left_to_the_active_one(clock: Clock) -> None:
    side = Side(clock, is_standby=True)
    side.inbox.hear(answer(0))
    side.inbox.put(faces(1))
    clock.sleep(1.1)
    side.inbox.take(9, 0)
    seq = 2
    while clock.now < 101 + HAND_BACK_AFTER_S:
        side.inbox.put(faces(seq))
        side.inbox.hear(answer(seq))
        gathered = side.inbox.take(9, 0)
        assert side.inbox.begin(gathered).left == gathered, "until then each of the two answers"
        clock.sleep(0.04)
        seq += 1
    side.inbox.put(faces(seq))
    side.inbox.put(faces(seq + 1))
    gathered = side.inbox.take(9, 0)
    assert side.told.on == [True]
    clock.sleep(0.2)
    side.inbox.hear(answer(seq))
    assert side.told.on == [True, False]
    assert [one.header.seq for one in gathered] == [seq, seq + 1]
    # The active one may have died before it answered that.
    assert [one.header.seq for one in side.inbox.begin(gathered).left] == [seq + 1]


def test_it_goes_on_from_the_last_answer_though_the_clock_was_set_back(clock: Clock) -> None:
    """And not from what it answered itself an hour ago, by the clock of then."""
    hour = 3600 * 1000 * MS
    side, seq = Side(clock, is_standby=True), 2
    side.inbox.hear(builders.emotion(0, t=9 * hour))
    side.inbox.put(faces(1, t=9 * hour + 40 * MS))
    clock.sleep(1.1)
    assert [one.header.seq for one in side.inbox.take(9, 0)] == [1]
    while side.told.on != [True, False]:
        t = 9 * hour + seq * 40 * MS
        side.inbox.put(faces(seq, t=t))
        side.inbox.hear(builders.emotion(seq, t=t))
        side.inbox.begin(side.inbox.take(9, 0))
        clock.sleep(0.04)
        seq += 1
    side.inbox.hear(builders.emotion(seq, t=8 * hour))
    side.inbox.put(faces(seq + 1, t=8 * hour + 40 * MS))
    clock.sleep(1.1)
    assert [one.header.seq for one in side.inbox.take(9, 0)] == [seq + 1]
    assert [one.seq for one in side.inbox.begin([]).states] == [seq]


class Pair:
    """An active classifier that is killed now and then, a standby, and one who hears both."""

    def __init__(self, seed: int, work: Callable[[Side], list[Any]]) -> None:
        self.work = work
        self.clock, self.choice = Clock(), random.Random(seed)
        self.active: Side | None = Side(self.clock, is_standby=False)
        self.standby = Side(self.clock, is_standby=True)
        self.back_at = float("inf")
        # A subscriber finds a restarted classifier within a second.
        self.hears_active_from = 0.0
        self.duplicates = Duplicates()
        self.answers: list[Emotion] = []
        self.events: list[Event] = []

    def step(self, message: Message) -> None:
        if self.active is None and self.clock.now >= self.back_at:
            self.active = Side(self.clock, is_standby=False)
            self.hears_active_from = self.clock.now + self.choice.uniform(0, 1)
        for side in filter(None, (self.active, self.standby)):
            side.inbox.put(message)
        if self.active:
            said = self.work(self.active)
            for header in said:
                self.standby.inbox.hear(header)
            self.heard(said if self.clock.now >= self.hears_active_from else [])
        said = self.work(self.standby)
        for header in said if self.active else ():
            self.active.inbox.hear(header)  # type: ignore[union-attr]
        self.heard(said)
        self.clock.sleep(0.04)

    def heard(self, said: list[Any]) -> None:
        for header in said:
            if not self.duplicates.has(header):
                (self.events if isinstance(header, Event) else self.answers).append(header)

    def kill(self) -> None:
        self.active = None
        self.back_at = self.clock.now + self.choice.uniform(0.2, 5)


def people(choice: random.Random, count: int) -> list[tuple[int, ...]]:
    """Return the labels of up to four people in each frame; -1 while one is away."""
    shown, frames = [0, 1, 2, -1], []
    for _ in range(count):
        if choice.random() < 0.02:
            shown[choice.randrange(4)] = choice.choice((-1, 0, 1, 2, 3))
        frames.append(tuple(shown))
    return frames


@pytest.mark.parametrize("work", [Side.work, Side.work_overlapped])
@pytest.mark.parametrize("seed", range(3))
def test_kills_leave_no_trace_in_answers_and_events(
    seed: int, work: Callable[[Side], list[Any]]
) -> None:
    """They are those of a classifier that was never killed, each once and in order."""
    pair, frames = Pair(seed, work), people(random.Random(seed), 1000)
    alone = ClassifierStage(
        Model(), ClassifierMetrics(CollectorRegistry()), SmoothingRules(smoothing=0.3), 32
    )
    wanted: list[Any] = []
    for seq, shown in enumerate(frames):
        message = faces(seq, *shown)
        wanted += [one.header for one in alone([message])]
        if seq > 60 and pair.active and pair.choice.random() < 0.008:
            pair.kill()
        pair.step(message)
    assert any(one.standby for one in pair.answers)
    last = pair.answers[-1].seq
    assert last > 950
    assert [one.seq for one in pair.answers] == list(range(last + 1))
    assert [_told(one) for one in pair.answers] == [
        _told(one) for one in wanted if isinstance(one, Emotion) and one.seq <= last
    ]
    events = [one for one in wanted if isinstance(one, Event) and one.seq <= last]
    assert len(events) > 10
    assert sorted(map(_what, pair.events)) == sorted(map(_what, events))


def _told(header: Emotion) -> list[tuple[Any, ...]]:
    return [(face.track, face.label, round(face.confidence, 9)) for face in header.faces]


def _what(event: Event) -> tuple[Any, ...]:
    return event.seq, event.track, event.kind, event.label, event.previous


def test_what_another_hands_on_is_checked_before_it_is_used() -> None:
    stage = Side(Clock(), is_standby=True).stage
    other = Side(Clock(), is_standby=False, labels=("yes", "no")).stage
    (*_, given) = other([faces(0, 1)])
    assert isinstance(given.header, Emotion)
    with pytest.raises(MessageError, match="its labels are yes, no"):
        stage.go_on_from(given.header)
    for states in ({}, {STATE: b""}, {STATE: b"junk"}, {STATE: b"\x92\x90\xc4\x01\x00"}):
        with pytest.raises(MessageError, match="cannot continue"):
            stage.go_on_from(builders.emotion(0, states=states))
    assert stage([faces(1, 1)])


def test_a_state_that_no_classifier_has_is_not_gone_on_from() -> None:
    """Else answers would break the wire format, or a track would never leave."""
    side = Side(Clock(), is_standby=True)
    (*_, given) = Side(Clock(), is_standby=False).stage([faces(0, 1)])
    labels, packed = msgpack.unpackb(given.header.states[STATE])
    for path, value in (
        ((1, 0, 0), -1),  # the track's number
        ((1, 0, 0), 2**60),
        ((1, 0, 2), 10**12),  # when it was present
        ((1, 0, 4), 10**12),  # when it was judged
        ((1, 0, 5, 0, 3), float("nan")),  # evidence
        ((1, 0, 5, 1, 3), float("inf")),  # smoothed
        ((1, 0, 5, 2), 2**63),  # pts
        ((0, 1), -1),  # t of the last frame
        ((3, 0), 2**64 - 1),  # the clock of absence
    ):
        state = msgpack.unpackb(packed)
        at = state
        for step in path[:-1]:
            at = at[step]
        assert at[path[-1]] != value
        at[path[-1]] = value
        states = {STATE: msgpack.packb([labels, msgpack.packb(state)])}
        with pytest.raises(MessageError, match="cannot continue"):
            side.stage.go_on_from(builders.emotion(0, states=states))
    assert side.stage([faces(1, 1)])


def test_answers_say_who_gave_them_and_one_alone_hands_nothing_on() -> None:
    for role in Role:
        stage = ClassifierStage(
            Model(), ClassifierMetrics(CollectorRegistry()), SmoothingRules(), 32, role=role
        )
        given = [one.header for seq in range(3) for one in stage([faces(seq, 1)])]
        assert {type(one) for one in given} == {Event, Emotion}
        assert {one.standby for one in given if isinstance(one, Event | Emotion)} == {
            role is Role.STANDBY
        }
        assert all(
            bool(one.states) != (role is Role.ALONE) for one in given if isinstance(one, Emotion)
        )


@pytest.mark.parametrize(
    ("settings", "peers"),
    [
        ([], ()),
        (["classifier.standbys=['tcp://127.0.0.1:5753']"], ("tcp://127.0.0.1:5753",)),
        (
            ["classifier.standby=true", "connect.emotion=['tcp://a:1','tcp://127.0.0.1:5653']"],
            ("tcp://a:1",),
        ),
        (["classifier.standby=true", "classifier.active=['tcp://b:2']"], ("tcp://b:2",)),
    ],
)
def test_each_listens_to_those_it_takes_over_from(settings: list[str], peers: tuple[str]) -> None:
    config = load(None, settings)
    assert classifier_peers(config, 1) == peers
    assert (role_of(config.classifier, peers) is Role.ALONE) == (not peers)


@pytest.mark.parametrize(
    "settings",
    [
        ["classifier.standby=true"],
        ["classifier.standby=true", "classifier.bind='tcp://0.0.0.0:5553'"],
    ],
)
def test_a_standby_of_nobody_is_refused(settings: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"classifier\.active"):
        classifier_peers(load(None, settings))


@pytest.mark.parametrize(
    ("settings", "instance"),
    [
        (["classifier.standby=true", "classifier.active=['tcp://127.0.0.1:5553']"], 0),
        (["classifier.standby=true", "classifier.active=['tcp://127.0.0.1:5653']"], 1),
        (["classifier.standbys=['tcp://127.0.0.1:5553']"], 0),
    ],
)
def test_a_classifier_that_would_take_over_from_itself_is_refused(
    settings: list[str], instance: int
) -> None:
    with pytest.raises(ConfigError, match="this classifier's own address"):
        classifier_peers(load(None, settings), instance)


def test_a_standby_is_refused_where_every_frame_counts() -> None:
    with pytest.raises(ConfigError, match="only with live delivery"):
        load(None, ["delivery=lossless", "lossless.credit_from=['recorder']",
                    "capture.sources=[{name='a',url='a.mp4',pace='fast'}]",
                    "classifier.standby=true"])  # fmt: skip
