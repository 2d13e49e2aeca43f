"""The pipeline's status from the stages' metrics, for the page and programs."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from emostream.services.display.schema import (
    ConfiguredSource,
    Drop,
    Loss,
    PathCounts,
    StageState,
    VideoFile,
)
from emostream.shared.frame_counts import FrameCounts, frame_counts
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import History, Scrape
from emostream.shared.scraping import Scraper


class PipelineStatus(msgspec.Struct, frozen=True):
    """The status of all stages at the last poll; empty while nobody needs it.

    `recording` maps the recorders' streams to whether their video is recorded, `unblurred` are the
    streams with visible faces in it. `sources` are the captures' configured sources, `videos` the
    files being written, by stream.
    """

    stages: list[StageState] = []
    accounts: list[PathCounts] = []
    recording: dict[str, bool] = {}
    unblurred: frozenset[str] = frozenset()
    sources: list[ConfiguredSource] = []
    videos: dict[str, VideoFile] = {}


def pipeline_status(
    named: Mapping[str, str], scraper: Scraper, reason_of: Callable[[str], str]
) -> PipelineStatus:
    """Return the status from the last scrape.

    `named` maps the URL of each process to its stage; `reason_of` returns why the process at a URL
    is not ready.
    """
    stages = []
    for url, name in scraper.present(named).items():
        if url in scraper.failures or scraper.histories[url].last is None:
            reason = scraper.failures.get(url, "")
            stages.append(StageState(name, urlsplit(url).netloc, "away", reason, None))
        else:
            stages += _answering(url, scraper.histories[url], reason_of)
    scrapes = scraper.answering()
    recording: dict[str, bool] = {}
    unblurred = set()
    for scrape in filter(_is_recorder, scrapes):
        for stream in scrape.values(MetricName.RECORDER_RECORDING, "stream"):
            on = scrape.total(MetricName.RECORDER_RECORDING, stream=stream) > 0
            recording[stream] = recording.get(stream, False) or on
            if on and not scrape.total(MetricName.RECORDER_BLURRED, stream=stream):
                unblurred.add(stream)
    accounts = [_path_counts(counts) for counts in frame_counts(scrapes)]
    return PipelineStatus(stages, accounts, recording, frozenset(unblurred))


def _is_recorder(scrape: Scrape) -> bool:
    """Whether the process is a recorder that has opened its database."""
    return scrape.has(MetricName.RECORDER_RECORDING) and scrape.has(MetricName.RECORDER_BLURRED)


def _answering(url: str, history: History, reason_of: Callable[[str], str]) -> list[StageState]:
    last = history.last
    assert last is not None
    address = urlsplit(url).netloc
    states = []
    for stage in sorted(last.stages):
        rate = _rate(history, stage)
        fps = None if rate is None else round(rate, 1)
        if last.total(MetricName.READY, stage=stage) > 0:
            analyzed, whole_only = _analyzed(history, stage), _whole_only(history, stage)
            states.append(StageState(stage, address, "ready", "", fps, analyzed, whole_only))
        elif last.total(MetricName.DOWN, stage=stage) > 0:
            states.append(StageState(stage, address, "down", reason_of(url), None))
        else:
            states.append(StageState(stage, address, "not ready", reason_of(url), fps))
    return states


def _rate(history: History, stage: str) -> float | None:
    if stage == "recorder":
        # It records the results of every frame, but the pictures of only some streams.
        return history.rate(MetricName.RECORDER_ROWS, table="frames")
    return history.rate(MetricName.FRAMES_GIVEN, stage=stage)


def _analyzed(history: History, stage: str) -> float | None:
    """Return the share of frames that a detector or classifier processes; None without frames."""
    if stage not in ("detector", "classifier"):
        return None
    taken = history.increase(MetricName.FRAMES_TAKEN, stage=stage)
    missed = history.increase(MetricName.FRAMES_LOST, stage=stage) + sum(
        history.increase(MetricName.FRAMES_DROPPED, stage=stage, reason=reason)
        for reason in ("backlog", "stale")
    )
    return round(taken / (taken + missed), 3) if taken + missed else None


def _whole_only(history: History, stage: str) -> float | None:
    """Return the share of a detector's frames that were searched without tiles."""
    narrowed = history.rate(MetricName.DETECTOR_WHOLE_ONLY) if stage == "detector" else None
    taken = history.rate(MetricName.FRAMES_TAKEN, stage=stage)
    return None if narrowed is None or not taken else round(narrowed / taken, 3)


def _path_counts(counts: FrameCounts) -> PathCounts:
    return PathCounts(
        counts.stream,
        counts.path,
        counts.captured,
        counts.answered,
        [Drop(stage, reason, count) for (stage, reason), count in counts.dropped.items()],
        [Loss(stage, count) for stage, count in counts.lost.items()],
        counts.in_flight,
        [Loss(stage, count) for stage, count in counts.lost_with_process.items()],
        counts.part,
    )
