"""The schedule of a replay: streams merged by time, without long pauses."""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from emostream.services.cli.replay.steps import ReplayStep, replay_steps, step_times
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import Run

# A longer pause in all streams is shortened to this, so that it ends before stages and page report
# missing input (`live.silent_after`).
LONGEST_PAUSE: Final = 5 * 10**9
# Longer delays are not caught up with, because a computer that slept would send a burst.
LATE: Final = 1.0

Item = TypeVar("Item")
ScheduledStep: TypeAlias = tuple[int, ReplayStep]


def scheduled(
    reader: ArchiveReader,
    runs: Sequence[Run],
    read: Callable[[ArchiveReader, Run], Iterator[ReplayStep]] = replay_steps,
) -> Iterator[ScheduledStep]:
    """Yield the steps of the runs from `read`, each with its time in the session, ns from 0.

    Within a run, time follows `pts`. Runs start as far apart as they originally did (`t`), but a
    stream's next run does not start before the end of its previous one.
    """
    streams = {run.stream: [other for other in runs if other.stream == run.stream] for run in runs}
    placed = (
        _with_times(step for run in of_stream for step in read(reader, run))
        for of_stream in streams.values()
    )
    return _without_long_pauses(heapq.merge(*placed, key=lambda due: due[0]))


def duration(reader: ArchiveReader, runs: Sequence[Run]) -> int:
    """Return the duration of the session in ns, without reading the faces."""
    return max((at for at, _ in scheduled(reader, runs, step_times)), default=0)


def _with_times(steps: Iterable[ReplayStep]) -> Iterator[ScheduledStep]:
    """Yield one stream's steps, each with a non-decreasing time in ns."""
    at = 0
    last: ReplayStep | None = None
    for step in steps:
        if last is None or last.run != step.run:
            at = max(at, step.t)
        else:
            # If a source's clock was set back, time stands still here.
            at += max(0, step.pts - last.pts)
        last = step
        yield at, step


def _without_long_pauses(due: Iterable[tuple[int, Item]]) -> Iterator[tuple[int, Item]]:
    """Yield the items with times from 0 on, with long pauses shortened."""
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
    """Yield each item at its time (ns) at `speed` times the pace; inf: immediately.

    Times are counted from the start, so that many short waits do not add up to a delay.
    """
    start: float | None = None
    for at, item in due:
        wanted, now = at / 1e9 / speed, clock()
        if start is None or now > start + wanted + LATE:
            start = now - wanted
        if now < start + wanted:
            sleep(start + wanted - now)
        yield at, item
