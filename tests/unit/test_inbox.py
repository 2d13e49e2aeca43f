"""The inboxes: live work stays fresh and fair, everything else is kept."""

from typing import Any

from emostream.shared.inbox import PAUSE_TAIL_S, PAUSED_BACKLOG, FifoInbox, LiveInbox
from emostream.shared.messages import Message
from tests import builders
from tests.builders import Clock


def frame(seq: int, stream: str = "a", **fields: Any) -> Message:
    return builders.frame(seq, stream=stream, **fields)


class Drops(list[tuple[str, int, str]]):
    def __call__(self, message: Message, reason: str) -> None:
        self.append((message.header.stream, message.header.seq, reason))


def seqs(messages: list[Message]) -> list[tuple[str, int]]:
    return [(message.header.stream, message.header.seq) for message in messages]


def test_full_inbox_keeps_everything_in_order() -> None:
    inbox = FifoInbox()
    for seq in range(100):
        inbox.put(frame(seq))
    assert len(inbox) == 100
    assert seqs(inbox.take(3, timeout=0)) == [("a", 0), ("a", 1), ("a", 2)]
    assert len(inbox) == 97


def test_a_full_inbox_keeps_no_more_pictures_than_it_may() -> None:
    drops = Drops()
    inbox = FifoInbox(drops, max_pictures=2)
    for seq in range(4):
        inbox.put(frame(seq))
    inbox.put(frame(4, end=True, frames=4))
    assert drops == [("a", 2, "backlog"), ("a", 3, "backlog")]
    assert seqs(inbox.take(9, 0)) == [("a", 0), ("a", 1), ("a", 4)]
    inbox.put(frame(5))
    assert seqs(inbox.take(9, 0)) == [("a", 5)]


def test_an_empty_inbox_gives_nothing_after_its_timeout() -> None:
    assert FifoInbox().take(1, timeout=0.001) == []
    assert LiveInbox(Drops()).take(1, timeout=0.001) == []


def test_a_fresh_backlog_is_worked_off_in_order() -> None:
    drops = Drops()
    inbox = LiveInbox(drops, backlog=3, clock=Clock())
    for seq in range(3):
        inbox.put(frame(seq))
    assert [seqs(inbox.take(1, 0))[0][1] for _ in range(3)] == [0, 1, 2]
    assert drops == []


def test_beyond_the_backlog_the_newest_wins_and_the_rest_is_counted() -> None:
    drops = Drops()
    inbox = LiveInbox(drops, backlog=3, clock=Clock())
    for seq in range(4):
        inbox.put(frame(seq))
    assert seqs(inbox.take(9, 0)) == [("a", 3)]
    assert drops == [("a", 0, "backlog"), ("a", 1, "backlog"), ("a", 2, "backlog")]


def test_what_grew_old_gives_way_to_the_newest() -> None:
    drops, clock = Drops(), Clock()
    inbox = LiveInbox(drops, backlog=3, max_age=0.2, clock=clock)
    inbox.put(frame(0))
    clock.now += 0.15
    inbox.put(frame(1))
    clock.now += 0.15
    assert seqs(inbox.take(1, 0)) == [("a", 1)]
    assert drops == [("a", 0, "stale")]


def test_the_newest_is_worked_on_however_old_it_is() -> None:
    drops, clock = Drops(), Clock()
    inbox = LiveInbox(drops, max_age=0.2, clock=clock)
    inbox.put(frame(0))
    clock.now += 60.0
    assert seqs(inbox.take(1, 0)) == [("a", 0)]
    assert drops == []


def test_a_busy_stream_does_not_starve_another() -> None:
    drops = Drops()
    inbox = LiveInbox(drops, backlog=3, clock=Clock())
    for seq in range(50):
        inbox.put(frame(seq, "busy"))
    inbox.put(frame(0, "calm"))
    for seq in range(50, 52):
        inbox.put(frame(seq, "busy"))
    assert ("calm", 0) in seqs(inbox.take(2, 0))
    assert all(stream == "busy" for stream, _, _ in drops)


def test_an_end_takes_no_frame_s_place_in_the_backlog() -> None:
    drops = Drops()
    inbox = LiveInbox(drops, backlog=1, clock=Clock())
    inbox.put(frame(0))
    inbox.put(frame(1, end=True, frames=1))
    assert seqs(inbox.take(9, 0)) == [("a", 0), ("a", 1)]
    assert drops == []


def test_an_end_is_never_thinned_and_stays_behind_its_frames() -> None:
    drops = Drops()
    inbox = LiveInbox(drops, backlog=1, clock=Clock())
    inbox.put(frame(0))
    inbox.put(frame(1))
    inbox.put(frame(2, end=True, frames=2))
    assert seqs(inbox.take(9, 0)) == [("a", 1), ("a", 2)]
    assert [seq for _, seq, _ in drops] == [0]


def test_a_patient_inbox_drops_nothing_until_what_gathered_is_worked_off() -> None:
    drops, clock = Drops(), Clock()
    inbox = LiveInbox(drops, backlog=3, max_age=0.2, clock=clock)
    with inbox.pause_dropping():
        for seq in range(10):
            inbox.put(frame(seq))
            clock.now += 0.1
    assert seqs(inbox.take(10, 0)) == [("a", seq) for seq in range(10)]
    assert drops == []
    clock.now += PAUSE_TAIL_S
    for seq in range(10, 14):
        inbox.put(frame(seq))
    assert drops == [("a", 10, "backlog"), ("a", 11, "backlog"), ("a", 12, "backlog")]


def test_patience_has_an_end_in_numbers() -> None:
    drops = Drops()
    inbox = LiveInbox(drops, backlog=3, clock=Clock())
    with inbox.pause_dropping():
        for seq in range(PAUSED_BACKLOG + 1):
            inbox.put(frame(seq))
    assert len(drops) == PAUSED_BACKLOG


def test_a_stage_is_behind_before_anything_is_dropped() -> None:
    """By how long messages wait here; how long they were on the way is no fault of the stage."""
    clock, drops = Clock(), Drops()
    inbox = LiveInbox(drops, backlog=3, max_age=0.2, clock=clock)

    def is_behind_after(count: int) -> bool:
        assert len(inbox.take(count, 0)) == count
        return inbox.is_behind

    inbox.put(frame(0), age=0.1)
    assert not is_behind_after(1)
    inbox.put(frame(1))
    clock.sleep(0.06)
    assert is_behind_after(1)
    for seq in (2, 3, 4):
        inbox.put(frame(seq))
    assert is_behind_after(1), "as many wait as may"
    assert not is_behind_after(2)
    assert drops == []


def test_a_pause_within_a_pause_does_not_end_it() -> None:
    drops, clock = Drops(), Clock()
    inbox = LiveInbox(drops, backlog=3, clock=clock)
    with inbox.pause_dropping():
        with inbox.pause_dropping():
            pass
        clock.now += PAUSE_TAIL_S + 1
        for seq in range(10):
            inbox.put(frame(seq))
    assert drops == []


def test_how_long_messages_wait_says_whether_a_stage_keeps_up() -> None:
    clock = Clock()
    inbox = LiveInbox(Drops(), backlog=2, max_age=0.5, clock=clock)
    assert inbox.longest_wait() == 0
    inbox.put(frame(0))
    clock.now += 0.25
    inbox.put(frame(0, "b"))
    assert inbox.longest_wait() == 0.25
    inbox.put(frame(1))
    inbox.put(frame(2))
    assert inbox.longest_wait() == 0.5, "some were dropped, however young"
    clock.now += 0.125
    assert inbox.longest_wait() == 0.125, "of what is left"
