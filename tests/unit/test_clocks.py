"""The clocks of publishers, by round trips: what counts, and what messages are told."""

import pytest

from emostream.services.cli.top.clocks import clock_lines
from emostream.shared.clock_metrics import ClockCollector
from emostream.shared.clocks import (
    ANSWERS_WITHIN_S,
    ASK_FIRST_S,
    ASK_LATER_S,
    ASK_NOBODY_S,
    FIRST_ANSWERS,
    FOUND_GONE_AFTER_S,
    MOST_ASKED,
    MOST_PUBLISHERS,
    SHORTEST_FOR_S,
    SILENT_AFTER_S,
    ClockAnswer,
    ClockQuestions,
    Clocks,
    Offset,
)
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Message
from emostream.shared.metric_samples import Scrape
from tests import builders
from tests.builders import Clock

HOUR = 3_600_000_000_000
MS = 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clocks(clock: Clock) -> Clocks:
    return Clocks(clock)


def sent(publisher: str = "p", **header: int) -> Message:
    marks = {"capture": (1, 2), "classifier": (3, 4)}
    fields = {"publisher": publisher, "marks": marks, "t": 5, **header}
    return Message(builders.emotion(0, **fields))


def told(clocks: Clocks, message: Message) -> tuple[int, int]:
    header = clocks.local(message).header
    return header.clock_offset, header.clock_uncertainty


def test_the_shortest_round_trip_counts(clocks: Clocks) -> None:
    clocks.add("p", HOUR + 9 * MS, 20 * MS)
    clocks.add("p", HOUR + 1 * MS, 4 * MS)
    clocks.add("p", HOUR - 8 * MS, 30 * MS)
    assert told(clocks, sent()) == (HOUR + 1 * MS, 2 * MS)
    assert clocks.local(sent()).header.local_t == HOUR + 1 * MS + 5


def test_an_offset_within_its_uncertainty_changes_nothing(clocks: Clocks) -> None:
    clocks.add("p", 2 * MS, 4 * MS)
    message = sent()
    assert clocks.local(message) is message
    assert message.header.local_t == message.header.t


def test_until_a_clock_is_known_nothing_is_told_of_age(clocks: Clocks, clock: Clock) -> None:
    assert clocks.local(sent()).header.local_t is None
    clock.now += ANSWERS_WITHIN_S
    # It does not know the question: as before there was one.
    message = sent()
    assert clocks.local(message) is message
    assert clocks.local(sent("")).header.local_t == 5


def test_a_clock_that_is_set_is_followed_at_once(clocks: Clocks) -> None:
    clocks.add("p", 0, 2 * MS)
    clocks.add("p", HOUR, 40 * MS)
    assert told(clocks, sent()) == (HOUR, 20 * MS)


def test_an_old_round_trip_is_forgotten_since_clocks_drift(clocks: Clocks, clock: Clock) -> None:
    clocks.add("p", HOUR, 2 * MS)
    for _ in range(3):
        clock.now += SHORTEST_FOR_S / 2 + 1
        clocks.add("p", HOUR + 3 * MS, 8 * MS)
    assert told(clocks, sent()) == (HOUR + 3 * MS, 4 * MS)


def test_offsets_add_up_to_none_on_the_way_back(clocks: Clocks, clock: Clock) -> None:
    there, back = Clocks(clock), clocks
    there.add("capture", -HOUR + 1 * MS, 4 * MS)
    back.add("detector", HOUR + 1 * MS, 6 * MS)
    given = there.local(sent("capture")).header
    answer = sent(
        "detector", clock_offset=given.clock_offset, clock_uncertainty=given.clock_uncertainty
    )
    assert told(back, answer) == (2 * MS, 5 * MS)


def test_no_number_of_publishers_fills_the_memory(clocks: Clocks) -> None:
    clocks.add("first", HOUR, MS)
    for number in range(MOST_PUBLISHERS):
        clocks.local(sent(f"p{number}"))
    clocks.add("last", HOUR, MS)
    clocks.local(sent("last"))
    assert [publisher for _, publisher, _ in clocks.measured()] == ["last"]


def test_it_is_asked_quickly_at_first_and_then_now_and_then(clocks: Clocks, clock: Clock) -> None:
    assert clocks.ask_every == ASK_NOBODY_S
    clocks.local(sent())
    assert clocks.ask_every == ASK_FIRST_S
    for _ in range(FIRST_ANSWERS):
        clocks.add("p", 0, MS)
    assert clocks.ask_every == ASK_LATER_S
    clocks.local(sent("silent"))
    clock.now += ANSWERS_WITHIN_S
    assert clocks.ask_every == ASK_LATER_S


def test_questions_and_answers_give_the_middle_of_the_round_trip(clock: Clock) -> None:
    clocks = Clocks(clock)
    questions = ClockQuestions(clocks, clock, lambda: HOUR + round(clock.now * 1e9))
    first = questions.due()
    assert first
    assert questions.due() is None
    clock.now += 0.010
    questions.take(first[0], ClockAnswer(1, "p", round(clock.now * 1e9) - 4 * MS))
    offset, uncertainty = told(clocks, sent())
    assert offset == pytest.approx(HOUR - 1 * MS, abs=1000)
    assert uncertainty == pytest.approx(5 * MS, abs=1000)


def test_few_questions_are_open_and_late_answers_count_for_nothing(clock: Clock) -> None:
    clocks = Clocks(clock)
    questions = ClockQuestions(clocks, clock)
    asked, ended = [], []
    for _ in range(2 * MOST_ASKED):
        due = questions.due()
        assert due
        asked.append(due[0])
        ended.append(due[1])
        clock.now += ASK_LATER_S
    assert ended == [""] * MOST_ASKED + asked[:MOST_ASKED]
    questions.take(asked[0], ClockAnswer(1, "p", 1))
    assert clocks.local(sent()).header.local_t is None


def test_one_that_has_just_fallen_silent_is_not_asked(clock: Clock) -> None:
    questions = ClockQuestions(Clocks(clock), clock)
    assert questions.due(), "nobody was heard yet"
    clock.now += ASK_LATER_S
    questions.hear()
    clock.now += SILENT_AFTER_S
    assert questions.due()
    silent = []
    for _ in range(60):
        clock.now += 0.1
        if questions.due():
            silent.append(clock.now)
    # By then the connection to one that is gone has ended.
    assert silent[0] == pytest.approx(100 + ASK_LATER_S + FOUND_GONE_AFTER_S, abs=0.15)
    clock.now += ASK_LATER_S
    questions.hear()
    assert questions.due(), "one that speaks seldom is asked when it does"


def test_a_capture_with_a_fast_clock_makes_no_age_of_the_detectors_work(clock: Clock) -> None:
    """Of the marks that of the publisher counts, not the latest."""
    second = 1_000_000_000
    pacer = LinkPacer(["faces/0/"], 0.2, clock, lambda: 100 * second)
    for work in (0, second):
        marks = {"capture": (0, 4000 * second - work), "detector": (0, 100 * second)}
        message = Message(builders.faces(marks=marks))
        assert pacer.age(message) == 0.0


def test_top_and_the_metrics_show_a_clock_that_differs(clocks: Clocks) -> None:
    for publisher, offset in (("p", HOUR), ("same", 0)):
        clocks.add(publisher, offset, 4 * MS)
        clocks.local(sent(publisher))
    assert clocks.measured()[0] == ("classifier", "p", Offset(HOUR, 2 * MS))
    samples = {
        family.name: {frozenset(s.labels.items()): s.value for s in family.samples}
        for family in ClockCollector("recorder", clocks).collect()
    }
    assert sorted(samples["emostream_clock_offset_seconds"].values()) == [0.0, 3600.0]
    (line,) = clock_lines(Scrape(0.0, samples))
    assert "recorder: the clock of classifier is 3600.000 s behind (± 2.0 ms)" in line.plain


def test_a_publisher_that_ended_after_few_answers_is_asked_for_no_longer(
    clocks: Clocks, clock: Clock
) -> None:
    for _ in range(FIRST_ANSWERS):
        clocks.add("there", 0, MS)
    clocks.add("gone", 0, MS)
    assert clocks.ask_every == ASK_FIRST_S
    clock.now += ANSWERS_WITHIN_S + 1
    assert clocks.ask_every == ASK_LATER_S
