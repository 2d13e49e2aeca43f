"""Sources on their threads: the newest picture, back-pressure, loss, freezing and reopening."""

import logging
import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from emostream.services.capture.backoff import Backoff
from emostream.services.capture.clock import Clock, SystemClock
from emostream.services.capture.picture import OnSkip, Picture, Pictures
from emostream.services.capture.pts import MonotonicPts
from emostream.services.capture.source_set import SourceSet
from emostream.services.capture.source_status import SourceStatus
from emostream.shared.config import Source
from emostream.shared.errors import SourceError, TemporaryFolderError
from emostream.shared.source_report import SourceState
from tests.builders import WaitingClock

LIMIT = 20.0


def picture(n: int) -> Picture:
    """The n-th picture, which says so in its pixels."""
    return Picture(np.full((1, 1, 3), n, np.uint8), n * 40_000_000)


def numbers(sources: SourceSet, count: int) -> list[int]:
    """Take `count` pictures and return what they say."""
    taken: list[int] = []
    while len(taken) < count:
        found = sources.take(LIMIT)
        if found is not None:
            taken.append(int(found[1].pixels[0, 0, 0]))
    return taken


def times_of(sources: SourceSet, count: int) -> list[int]:
    """Take `count` pictures and return their times."""
    return [found[1].pts for _ in range(count) if (found := sources.take(LIMIT))]


def until(sources: SourceSet, state: SourceState) -> SourceStatus:
    """Return the status of the only source as soon as it is in this state."""
    while (status := next(iter(sources.statuses().values()))).state is not state:
        sources.take(0.01)
    return status


class Script:
    """A reader that plays a list of steps at each opening: pictures, errors, events, calls."""

    def __init__(self, *openings: list[object]) -> None:
        self.openings: Iterator[list[object]] = iter(openings)

    def __call__(self, settings: Source, on_skip: OnSkip, clock: Clock) -> Pictures:
        for step in next(self.openings, [SourceError("nothing left")]):
            match step:
                case int():
                    yield picture(step)
                case threading.Event():
                    assert step.wait(LIMIT)
                case Exception():
                    raise step
                case _:
                    assert callable(step)
                    step()


LIVE = Source(name="cam", url="camera:0", freeze_after=5.0)
FILE = Source(name="clip", url="clip.mp4", pace="real")
FAST = Source(name="clip", url="clip.mp4", pace="fast")


@pytest.mark.parametrize("settings", [LIVE, FILE])
def test_who_comes_late_gets_the_newest_pictures(settings: Source) -> None:
    given, hold = threading.Event(), threading.Event()
    reader = Script([*range(10), given.set, hold])
    with SourceSet([settings], WaitingClock(), reader) as sources:
        assert given.wait(LIMIT)
        assert numbers(sources, 2) == [8, 9]
        status = sources.statuses()[settings.name]
        hold.set()
    assert (status.pictures, status.dropped) == (10, 8)


def test_a_fast_file_waits_for_its_taker_and_loses_nothing() -> None:
    third, drawn = threading.Event(), list[int]()
    steps: list[object] = [step for n in range(10) for step in (partial(drawn.append, n), n)]
    steps.insert(5, third.set)
    with SourceSet([FAST], WaitingClock(), Script(steps)) as sources:
        assert third.wait(LIMIT)
        # Two wait, and the third is in the thread's hand.
        assert drawn == [0, 1, 2]
        assert numbers(sources, 10) == list(range(10))
        assert sources.take(LIMIT) is None
        assert sources.finished
        status = sources.statuses()["clip"]
    assert (status.state, status.error, status.dropped) == (SourceState.ENDED, "", 0)
    assert status.ready


def test_closing_frees_a_reader_that_waits_for_its_taker() -> None:
    with SourceSet([FAST], WaitingClock(), Script(list(range(10)))) as sources:
        numbers(sources, 1)
    names = [thread.name for thread in threading.enumerate()]
    assert "source clip" not in names


def test_closing_is_not_taken_for_the_end_of_a_file(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    started = threading.Event()

    def reader(settings: Source, on_skip: OnSkip, clock: Clock) -> Pictures:
        yield picture(0)
        started.set()
        clock.wait(3600)

    with SourceSet([FILE], SystemClock(), reader) as sources:
        assert started.wait(LIMIT)
        assert sources.take(LIMIT)
    assert sources.statuses()["clip"].state is SourceState.OPEN
    assert caplog.messages == []


def test_sources_are_taken_in_turn() -> None:
    other = Source(name="other", url="other.mp4", pace="fast")
    with SourceSet(
        [FAST, other], WaitingClock(), lambda *_: (picture(n) for n in range(4))
    ) as sources:
        taken = [found[0] for found in iter(partial(sources.take, LIMIT), None)]
    assert sorted(taken) == ["clip"] * 4 + ["other"] * 4
    assert sources.finished


def test_a_loop_goes_on_with_rising_times() -> None:
    settings = Source(name="clip", url="clip.mp4", pace="fast", loop=True)
    with SourceSet([settings], WaitingClock(), Script([0, 1, 2], [0, 1, 2])) as sources:
        times = times_of(sources, 6)
    assert times == [n * 40_000_000 for n in range(6)]


def test_a_file_that_breaks_off_ends_with_its_error(caplog: pytest.LogCaptureFixture) -> None:
    reader = Script([0, 1, SourceError("clip.mp4: ends early")])
    with SourceSet([FAST], WaitingClock(), reader) as sources:
        assert numbers(sources, 2) == [0, 1]
        status = until(sources, SourceState.ENDED)
        assert sources.finished
    assert status.error == "clip.mp4: ends early"
    assert not status.ready
    assert caplog.messages == ["clip: clip.mp4: ends early"]


def test_want_of_room_for_temporary_files_is_not_taken_for_the_end_of_a_file() -> None:
    full = TemporaryFolderError("no room")
    with SourceSet([FAST], WaitingClock(), Script([0, full])) as sources:
        with pytest.raises(TemporaryFolderError):
            while True:
                sources.take(0.01)
        assert sources.statuses()["clip"].state is not SourceState.ENDED
    # A source of a live pipeline only says why; the others continue.
    with SourceSet([FILE], WaitingClock(), Script([0, full])) as sources:
        assert until(sources, SourceState.ENDED).error == "no room"


def test_a_lost_camera_is_tried_for_ever_with_longer_and_longer_waits() -> None:
    clock = WaitingClock(tries=12)
    with SourceSet([LIVE], clock, Script()) as sources:
        assert clock.stopped.wait(LIMIT)
        status = sources.statuses()["cam"]
    assert clock.waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert (status.state, status.error) == (SourceState.LOST, "nothing left")
    assert status.reconnects == 10
    assert not status.ready


def test_a_stream_that_ends_is_opened_again_and_its_times_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    taken, hold = threading.Event(), threading.Event()
    script = Script([0, 1, taken], [0, 1, hold])
    with SourceSet([LIVE], WaitingClock(), script) as sources:
        before = times_of(sources, 2)
        taken.set()
        after = times_of(sources, 2)
        status = sources.statuses()["cam"]
        hold.set()
    # Half a second of waiting lies between the two openings.
    assert (before, after) == ([0, 40_000_000], [580_000_000, 620_000_000])
    assert (status.state, status.error, status.reconnects) == (SourceState.OPEN, "", 1)
    assert caplog.messages[:2] == [
        "cam: camera:0: the stream ended; trying again in 0.5 s",
        "cam: pictures arrive again after 0.5 s",
    ]


def test_a_reader_that_hangs_is_given_up_and_replaced() -> None:
    clock, hang, hold = WaitingClock(), threading.Event(), threading.Event()
    with SourceSet([LIVE], clock, Script([1, hang, 2], [3, hold])) as sources:
        assert numbers(sources, 1) == [1]
        clock.time += 4.9
        sources.take(0)
        assert sources.statuses()["cam"].state is SourceState.OPEN
        clock.time += 0.2
        sources.take(0)
        status = sources.statuses()["cam"]
        assert (status.state, status.error) == (SourceState.LOST, "camera:0: no picture for 5 s")
        clock.time += 0.5
        assert numbers(sources, 1) == [3]
        # What the first reader delivers when it wakes up is no longer useful.
        hang.set()
        for thread in threading.enumerate():
            if thread.name == "source cam" and thread is not newest_thread():
                thread.join(LIMIT)
        assert sources.take(0) is None
        hold.set()


def newest_thread() -> threading.Thread:
    return [thread for thread in threading.enumerate() if thread.name == "source cam"][-1]


def test_no_more_than_three_hanging_threads_pile_up() -> None:
    clock, hang = WaitingClock(), threading.Event()
    openings: list[int] = []
    script = Script(*([partial(openings.append, n), hang] for n in range(9)))
    with SourceSet([LIVE], clock, script) as sources:
        for _ in range(50):
            clock.time += 31
            sources.take(0.01)
        assert len(openings) == 3
        hang.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_that_breaks_down_is_not_taken_for_an_open_source() -> None:
    clock, hold = WaitingClock(), threading.Event()
    with SourceSet([LIVE], clock, Script([1, ZeroDivisionError()], [2, hold])) as sources:
        assert numbers(sources, 1) == [1]
        status = until(sources, SourceState.LOST)
        assert status.error == "camera:0: its reader crashed"
        clock.time += 0.5
        assert numbers(sources, 1) == [2]
        hold.set()


def test_what_cannot_be_decoded_is_counted() -> None:
    given, hold = threading.Event(), threading.Event()

    def reader(settings: Source, on_skip: OnSkip, clock: Clock) -> Pictures:
        yield picture(1)
        on_skip("cam: damaged")
        on_skip("cam: damaged")
        yield picture(2)
        given.set()
        assert hold.wait(LIMIT)

    with SourceSet([LIVE], WaitingClock(), reader) as sources:
        assert given.wait(LIMIT)
        assert sources.statuses()["cam"].skipped == 2
        hold.set()


def test_the_backoff_starts_again_after_a_source_was_well() -> None:
    backoff = Backoff()
    assert [backoff.next(0) for _ in range(3)] == [0.5, 1, 2]
    assert backoff.next(60) == 0.5
    assert backoff.next(0) == 1


@pytest.mark.parametrize(
    ("raw", "steps"),
    [
        ([0, 40, 80], [0, 40, 40]),
        ([0, 100, 100, 300], [0, 100, 100, 200]),
        ([0, 40, 95443_000, 95443_040], [0, 40, 40, 40]),
        ([0, 40, 80, 0, 40], [0, 40, 40, 40, 40]),
    ],
)
def test_times_only_rise(raw: list[int], steps: list[int]) -> None:
    pts = MonotonicPts()
    times = [pts.next(time * 1_000_000) for time in raw]
    assert np.diff([0, *times]).tolist() == [step * 1_000_000 for step in steps]


def test_the_real_clock_stops_waiting_at_once() -> None:
    clock = SystemClock()
    clock.stop()
    before = clock.now()
    assert clock.wait(60)
    assert clock.now() - before < 10
