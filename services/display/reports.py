"""What the stages say of themselves, as the page and programs are told of it."""

from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from emostream.shared.frame_counts import GIVEN, READY, FrameCounts, frame_counts
from emostream.shared.scraping import History, Scraper

RECORDING = "emostream_recorder_recording"
BLURRED = "emostream_recorder_blurred"


class StageState(msgspec.Struct, frozen=True):
    """A stage now, by its metrics; `fps` are the frames/s that it gave over the last 10 s.

    `away`: it does not answer. `reason` says why it is not ready or away. A process that was only
    given by its address is `unknown` until it has answered.
    """

    stage: str
    address: str
    state: Literal["ready", "not ready", "away"]
    reason: str
    fps: float | None


class Drop(msgspec.Struct, frozen=True):
    """Frames that arrived at a stage and were not worked on."""

    stage: str
    reason: str
    count: int


class Loss(msgspec.Struct, frozen=True):
    """Frames that were sent and never arrived at a stage."""

    stage: str
    count: int


class LossSum(msgspec.Struct, frozen=True):
    """Where the frames of a stream went: captured = answered + dropped + lost + in flight.

    Counted since the processes started; `in_flight` below 0 says that one started again since.
    """

    stream: str
    path: str
    captured: int
    answered: int
    dropped: list[Drop]
    lost: list[Loss]
    in_flight: int


class Report(msgspec.Struct, frozen=True):
    """What all stages said when they were last asked; nothing while nobody looks.

    `recording` maps the streams that recorders know to whether their video is kept, `unblurred`
    are those whose faces are visible in it.
    """

    stages: list[StageState] = []
    accounts: list[LossSum] = []
    recording: dict[str, bool] = {}
    unblurred: frozenset[str] = frozenset()


def report(named: Mapping[str, str], scraper: Scraper, why: Callable[[str], str]) -> Report:
    """Return what the last scrape says.

    `named` maps the URL of each process to its stage; `why` tells what the one at a URL lacks.
    """
    stages = []
    for url, name in named.items():
        if url in scraper.failures or scraper.histories[url].last is None:
            reason = scraper.failures.get(url, "")
            stages.append(StageState(name, urlsplit(url).netloc, "away", reason, None))
        else:
            stages += _answering(url, scraper.histories[url], why)
    scrapes = scraper.answering()
    recording: dict[str, bool] = {}
    unblurred = set()
    for scrape in scrapes:
        for stream in scrape.values(RECORDING, "stream"):
            on = scrape.total(RECORDING, stream=stream) > 0
            recording[stream] = recording.get(stream, False) or on
            if on and not scrape.total(BLURRED, stream=stream):
                unblurred.add(stream)
    sums = [_loss_sum(counts) for counts in frame_counts(scrapes)]
    return Report(stages, sums, recording, frozenset(unblurred))


def _answering(url: str, history: History, why: Callable[[str], str]) -> list[StageState]:
    last = history.last
    assert last is not None
    address = urlsplit(url).netloc
    states = []
    for stage in sorted(last.values(READY, "stage")):
        ready = last.total(READY, stage=stage) > 0
        rate = _rate(history, stage)
        fps = None if rate is None else round(rate, 1)
        states.append(
            StageState(stage, address, "ready", "", fps)
            if ready
            else StageState(stage, address, "not ready", why(url), fps)
        )
    return states


def _rate(history: History, stage: str) -> float | None:
    if stage == "recorder":
        # It keeps the results of every frame, the pictures of some streams alone.
        return history.rate("emostream_recorder_rows_total", table="frames")
    return history.rate(GIVEN, stage=stage)


def _loss_sum(counts: FrameCounts) -> LossSum:
    return LossSum(
        counts.stream,
        counts.path,
        counts.captured,
        counts.answered,
        [Drop(stage, reason, count) for (stage, reason), count in counts.dropped.items()],
        [Loss(stage, count) for stage, count in counts.lost.items()],
        counts.in_flight,
    )
