"""What two classifiers say of the same faces counts once."""

import random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from emostream.shared.account import ANSWERED
from emostream.shared.config import Live
from emostream.shared.duplicates import MOST_TRACKS, Duplicates
from emostream.shared.gaps import Gaps
from emostream.shared.health import Health
from emostream.shared.inbox import FifoInbox
from emostream.shared.intake import Intake
from emostream.shared.messages import AnyHeader, Emotion, Message
from emostream.shared.metrics import StageMetrics
from tests import builders

S = 10**9


def emotion(seq: int, publisher: str, **fields: Any) -> AnyHeader:
    return builders.emotion(seq, publisher=publisher, t=seq * S, **fields)


def event(seq: int, kind: str, label: str, publisher: str, track: int = 7) -> AnyHeader:
    told = {"label": label, "track": track, "publisher": publisher, "t": seq * S}
    return builders.event(seq, kind, **told)


def kept(*headers: AnyHeader) -> list[AnyHeader]:
    duplicates = Duplicates()
    return [header for header in headers if not duplicates.has(header)]


def test_the_first_answer_to_a_frame_counts_whoever_gives_it() -> None:
    said = [emotion(n, who) for n, who in ((1, "a"), (1, "b"), (2, "b"), (2, "a"), (3, "a"))]
    assert kept(*said) == [said[0], said[2], said[4]]


def test_an_answer_that_another_has_gone_past_comes_too_late() -> None:
    said = [emotion(5, "a"), emotion(4, "b"), emotion(6, "b")]
    assert kept(*said) == [said[0], said[2]]


def test_parts_streams_and_runs_are_apart() -> None:
    said = [
        emotion(1, "a", parts=2),
        emotion(1, "b", part=1, parts=2),
        emotion(1, "b", stream="cam2"),
        emotion(1, "b", run="next"),
    ]
    assert kept(*said) == said


def test_what_one_publisher_repeats_is_left_to_those_who_know_it() -> None:
    said = [emotion(5, "a"), emotion(5, "a"), emotion(3, "a")]
    assert kept(*said) == said


def test_a_capture_that_begins_again_with_the_same_run_is_heard() -> None:
    said = [emotion(500, "a"), builders.emotion(0, publisher="b", t=501 * S)]
    assert kept(*said) == said


def test_an_end_counts_once_and_a_probe_is_no_answer() -> None:
    end = [emotion(9, who, end=True, frames=9) for who in "ab"]
    probes = [emotion(9, who, probe=True, base=9) for who in "ab"]
    assert kept(*end) == end[:1]
    assert kept(*probes) == probes


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        ("a enter x, b enter x", 1),
        ("a enter x, b change y, a change y", 2),
        ("a enter x, b leave x, a leave x", 2),
        ("a enter x, a leave x, b enter y", 3),
        ("a enter x, a change y, a change x", 3),
        ("a enter x, b enter y", 2),
    ],
)
def test_an_event_counts_where_it_changes_something(events: str, counted: int) -> None:
    said = [
        event(number, kind, label, who)
        for number, (who, kind, label) in enumerate(map(str.split, events.split(", ")))
    ]
    assert len(kept(*said)) == counted


def test_an_event_of_a_frame_that_another_has_gone_past_is_none() -> None:
    said = [event(5, "enter", "x", "a"), event(5, "change", "y", "b"), event(4, "leave", "x", "b")]
    assert kept(*said) == said[:1]


def test_an_event_counts_though_the_clock_was_set_back_before_another_took_over() -> None:
    later = {"label": "fear", "track": 7, "publisher": "b", "t": 1 * S}
    said = [event(3600, "enter", "joy", "a"), builders.event(3601, "change", **later)]
    assert kept(*said) == said


def test_what_is_remembered_has_a_bound() -> None:
    duplicates = Duplicates()
    for track in range(2 * MOST_TRACKS):
        assert not duplicates.has(event(1, "enter", "x", "a", track))
    assert len(duplicates._tracks["cam1"]) == MOST_TRACKS
    duplicates.has(emotion(1, "a"))
    duplicates.forget("cam1")
    assert not duplicates.has(emotion(1, "b"))


class Counts:
    """An intake whose losses and duplicates are counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = StageMetrics("recorder", self.registry)
        self.intake = Intake(
            self.metrics, Health(10.0), Live(), Emotion, counts_losses=True, wall=lambda: 0
        )
        self.inbox = FifoInbox()

    def take(self, *headers: AnyHeader) -> None:
        for header in headers:
            self.intake.take(Message(header), self.inbox, Emotion)

    def seqs(self) -> list[int]:
        return [message.header.seq for message in self.inbox.take(10_000, 0)]

    def count(self, name: str) -> float:
        labels = {"stage": "recorder", "stream": "cam1", "topic": "emotion"}
        return self.registry.get_sample_value(f"emostream_{name}_total", labels) or 0.0


def said(seq: int, publisher: str, sent: int) -> AnyHeader:
    return builders.emotion(seq, publisher=publisher, sent=sent)


def test_duplicates_are_dropped_and_counted_and_are_no_loss() -> None:
    counts = Counts()
    # The active one answers, its standby from frame 10 on, and the restarted one next to it.
    counts.take(*(said(n, "active", n) for n in range(10)))
    counts.take(*(said(n, "standby", n - 10) for n in range(10, 20)))
    for n in range(20, 30):
        counts.take(said(n, "standby", n - 10), said(n, "again", n - 17))
    counts.take(*(said(n, "again", n - 17) for n in range(30, 40)))
    assert counts.seqs() == list(range(40))
    assert counts.count("duplicate_answers") == 10
    assert counts.count("frames_lost") == 0


def test_a_standby_that_has_answered_much_before_is_believed_at_once() -> None:
    counts = Counts()
    counts.take(*(said(n, "active", 500_000 + n) for n in range(10)))
    counts.take(*(said(n, "standby", 70_000 + n) for n in range(10, 20)))
    assert counts.seqs() == list(range(20))
    assert counts.count("frames_lost") == 0


def test_a_loss_counts_once_though_two_answer_by_turns() -> None:
    counts = Counts()
    choice, lost = random.Random(3), 0
    for n in range(1000):
        arrived = False
        for who in ("active", "standby"):
            # Of a burst only some arrives; what neither sent in time is lost.
            if choice.random() < 0.7:
                counts.take(said(n, who, n))
                arrived = True
        lost += not arrived and n > 0
    counts.take(said(1000, "active", 1000), said(1000, "standby", 1000))
    assert len(counts.seqs()) == 1001 - lost
    assert 0 < counts.count("frames_lost") <= lost


@pytest.mark.parametrize("seed", range(5))
def test_the_sum_closes_whoever_answers_and_whatever_gets_lost(seed: int) -> None:
    """Three publishers, alternately and at once; each lacks frames, and says which it dropped."""
    counts, choice = Counts(), random.Random(seed)
    accounts = counts.metrics.accounts
    missed = {who: {"detector/lost": 0, "classifier/backlog": 0} for who in "abc"}
    sent = dict.fromkeys("abc", 0)
    speaking = {"a"}
    for seq in range(3000):
        if choice.random() < 0.02:
            speaking = {*choice.sample("abc", choice.choice((1, 1, 2)))}
        nobody = choice.random() < 0.03
        for who in sorted("abc", key=lambda _: choice.random()):
            if nobody:
                missed[who]["detector/lost"] += 1
            elif who in speaking and choice.random() < 0.05:
                missed[who]["classifier/backlog"] += 1
            elif who in speaking:
                fields = {"publisher": who, "sent": sent[who], "missed": {**missed[who]}}
                sent[who] += 1
                if choice.random() > 0.05:
                    counts.take(builders.emotion(seq, t=seq, **fields))
        for message in counts.inbox.take(99, 0):
            accounts.take(message.header)
    (_, account), *_ = accounts._accounts.items()
    assert account.known == account.fates.total() == account.next_seq
    assert account.fates["recorder", ANSWERED] > 2000
    assert all(count >= 0 for count in account.fates.values()), account.fates


def test_gaps_of_one_publisher_are_counted_as_before() -> None:
    found: list[int] = []
    gaps = Gaps(lambda message, count: None, lambda message, count: found.append(count))
    for seq, sent in ((0, 0), (3, 3), (4, 4), (9, 6)):
        gaps.see(Message(said(seq, "a", sent)))
    assert found == [0, 2, 1]
    gaps.see(Message(said(12, "b", 2)))
    assert found == [0, 2, 1, 2]
