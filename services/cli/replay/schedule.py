"""When each recorded step is due again: streams merged by time, without long pauses."""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from emostream.services.cli.replay.steps import ReplayStep, replay_steps, step_times
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import Run

# A pause longer than this in all streams is shortened to it: it ends before stages and page begin
# to miss their input (`live.silent_after`).
LONGEST_PAUSE: Final = 5 * 10**9
# Later than this, nothing is made up for: a computer that slept would give a burst.
LATE: Final = 1.0

Item = TypeVar("Item")
ScheduledStep: TypeAlias = tuple[int, ReplayStep]


def scheduled(
    reader: ArchiveReader,
    runs: Sequence[Run],
    read: Callable[[ArchiveReader, Run], Iterator[ReplayStep]] = replay_steps,
) -> Iterator[ScheduledStep]:
    """Yield the steps of the runs, as `read`, each with its time in the session, ns from 0.

    Within a run time goes by `pts`; runs, of one stream or of several, start as far apart as they
    did (`t`), but a stream's next run not before its last one's end.
    """
    streams = {run.stream: [other for other in runs if other.stream == run.stream] for run in runs}
    placed = (
        _with_times(step for run in of_stream for step in read(reader, run))
        for of_stream in streams.values()
    )
    return _without_long_pauses(heapq.merge(*placed, key=lambda due: due[0]))


def duration(reader: ArchiveReader, runs: Sequence[Run]) -> int:
    """Return how long the session lasts, in ns; without reading the faces."""
    return max((at for at, _ in scheduled(reader, runs, step_times)), default=0)


def _with_times(steps: Iterable[ReplayStep]) -> Iterator[ScheduledStep]:
    """Yield one stream's steps, each with a time in ns that never falls."""
    at = 0
    last: ReplayStep | None = None
    for step in steps:
        if last is None or last.run != step.run:
            at = max(at, step.t)
        else:
            # A source's clock that is set back stands still here.
            at += max(0, step.pts - last.pts)
        last = step
        yield at, step


def _without_long_pauses(due: Iterable[tuple[int, Item]]) -> Iterator[tuple[int, Item]]:
    """Yield the items with times from 0 on, of which no two in turn are far apart."""
    now, last = 0, None
    for at, item in due:
        if last is not None:
            now += min(at - last, LONGEST_PAUSE)
        last = at
        yield now, item


def paced(
    due: Iterable[tuple[int, Item]],
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[tuple[int, Item]]:
    """Give each item when its time, ns, has come at `speed` times the pace; inf: at once.

    Counted from the start, so that many short waits add up to no delay.
    """
    start: float | None = None
    for at, item in due:
        wanted, now = at / 1e9 / speed, clock()
        if start is None or now > start + wanted + LATE:
            start = now - wanted
        if now < start + wanted:
            sleep(start + wanted - now)
        yield at, item
