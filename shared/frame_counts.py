"""Counts of what became of every captured frame: answered, dropped, lost, or still in flight."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from emostream.shared.metric_names import MetricName
from emostream.shared.scraping import Scrape


@dataclass(frozen=True)
class FrameCounts:
    """The frames of a stream on one path, since the processes started.

    `dropped` counts by (stage, reason), `lost` by the stage that they did not reach.
    """

    path: str
    stream: str
    captured: int
    answered: int
    dropped: Mapping[tuple[str, str], int]
    lost: Mapping[str, int]

    @property
    def in_flight(self) -> int:
        """What is in a queue or being worked on: the rest of the sum.

        Below 0 where the counters do not belong together, as after a restart of a process.
        """
        gone = sum(self.dropped.values()) + sum(self.lost.values())
        return self.captured - self.answered - gone


@dataclass(frozen=True)
class _Path:
    """The stages that a frame passes after its capture, with the topic that each reads.

    Only streams whose metric `sign` is above 0 take it.
    """

    name: str
    stages: Mapping[str, str]
    sign: MetricName = MetricName.FRAMES_GIVEN

    @property
    def end(self) -> str:
        return list(self.stages)[-1]


# Faces travel through two stages; recorder and display take the pixels from the capture itself.
PATHS = (
    _Path("emotions", {"detector": "frame", "classifier": "faces"}),
    # A recorder reads the pixels of those streams alone whose video it keeps.
    _Path("pixels to recorder", {"recorder": "frame"}, MetricName.RECORDER_RECORDING),
    _Path("pixels to display", {"display": "frame"}),
)


def frame_counts(scrapes: Sequence[Scrape]) -> list[FrameCounts]:
    """Return the counts of each stream on each path that it takes and whose stages answered."""
    stages = {stage for scrape in scrapes for stage in scrape.stages}
    captured = {
        stream
        for scrape in scrapes
        for stream in scrape.values(MetricName.FRAMES_GIVEN, "stream", stage="capture")
    }
    return [
        _count(path, stream, scrapes)
        for path in PATHS
        if path.stages.keys() <= stages
        for stream in sorted(captured & _streams(path, scrapes))
    ]


def _streams(path: _Path, scrapes: Sequence[Scrape]) -> set[str]:
    return {
        stream
        for scrape in scrapes
        # The recorder's sign stands on no other stage's page.
        if scrape.has(path.sign)
        for stream in scrape.values(path.sign, "stream")
        if scrape.total(path.sign, stream=stream) > 0
    }


def _count(path: _Path, stream: str, scrapes: Sequence[Scrape]) -> FrameCounts:
    def total(name: MetricName, **labels: str) -> int:
        return round(sum(scrape.total(name, stream=stream, **labels) for scrape in scrapes))

    dropped = {
        (stage, reason): total(MetricName.FRAMES_DROPPED, stage=stage, reason=reason)
        for stage in path.stages
        for reason in sorted(_reasons(scrapes, stage, stream))
    }
    lost = {
        stage: total(MetricName.FRAMES_LOST, stage=stage, topic=topic)
        for stage, topic in path.stages.items()
    }
    return FrameCounts(
        path=path.name,
        stream=stream,
        captured=total(MetricName.FRAMES_GIVEN, stage="capture"),
        answered=total(MetricName.FRAMES_GIVEN, stage=path.end),
        dropped={key: count for key, count in dropped.items() if count},
        lost={stage: count for stage, count in lost.items() if count},
    )


def _reasons(scrapes: Iterable[Scrape], stage: str, stream: str) -> set[str]:
    return {
        reason
        for scrape in scrapes
        for reason in scrape.values(MetricName.FRAMES_DROPPED, "reason", stage=stage, stream=stream)
    }
