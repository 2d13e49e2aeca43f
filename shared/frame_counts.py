"""Counts what happened to every captured frame: answered, dropped, lost, or in flight."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from emostream.shared.account import ANSWERED, LATE, LOST
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape


@dataclass(frozen=True)
class FrameCounts:
    """The frame counts of a stream on one path, since the start of the oldest known process.

    `dropped` counts by (stage, reason), `lost` by the stage that the frames did not reach,
    `lost_with_process` by the stage whose process was killed. `in_flight` counts frames in queues
    or in progress. It may be a few frames off, because processes are not read at the same instant.
    `part` is the part of the stream's faces, None if there is only one.
    """

    path: str
    stream: str
    captured: int
    answered: int
    in_flight: int
    dropped: Mapping[tuple[str, str], int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    lost_with_process: Mapping[str, int] = field(default_factory=dict)
    part: int | None = None

    @property
    def unexplained(self) -> int:
        """The frames that the sum does not explain; should be 0."""
        terms = (self.dropped, self.lost, self.lost_with_process)
        gone = sum(sum(term.values()) for term in terms)
        return self.captured - self.answered - gone - self.in_flight


class _Observer(NamedTuple):
    """A stage that keeps an account of its input on a topic."""

    stage: str
    topic: str


@dataclass(frozen=True)
class _Path:
    """The path of a frame to the stage `end`, and the stages that know what happened to it.

    Frames that a later observer received, or that only it missed, were answered at the end. If
    there is a metric `sign`, only streams for which it is above 0 take this path.
    """

    name: str
    end: str
    observers: Sequence[_Observer]
    sign: MetricName | None = None


# The processes are not read at the same instant, so a sum may be a few frames off.
SKEW: Final = 5
_CLASSIFIER: Final = _Observer("classifier", "faces")
_ROWS: Final = _Observer("recorder", "emotion")
# Faces pass through two stages; recorder and display get the pixels directly from capture.
PATHS: Final = (
    _Path("emotions", "classifier", (_CLASSIFIER, _ROWS, _Observer("display", "emotion"))),
    _Path("rows", "recorder", (_ROWS,)),
    # A recorder reads pixels only for streams whose video it records.
    _Path(
        "pixels to recorder",
        "recorder",
        (_Observer("recorder", "frame"),),
        MetricName.RECORDER_RECORDING,
    ),
    _Path("pixels to display", "display", (_Observer("display", "frame"),)),
)


@dataclass(frozen=True)
class _Account:
    """What one observer knows about a part of a stream; `run_frames` counts the frames of `run`."""

    observer: _Observer
    part: int
    run: str
    run_frames: int
    known: int
    fates: Mapping[tuple[str, str], int]
    with_process: Mapping[str, int]

    @property
    def witnessed(self) -> int:
        """The frames since it started to listen; it knows nothing about earlier ones."""
        return self.known - self.fates.get((self.observer.stage, LATE), 0)

    def rank(self, path: _Path) -> int:
        """The number of frames that it knows were answered at the path's end.

        One subscriber may have received more than another from a process that was killed. If they
        are about equal, the end itself is preferred, even if another was read some frames later.
        """
        fates, _ = self.at_the_end(path)
        skew = SKEW if self.observer.stage == path.end else 0
        return fates.get((path.end, ANSWERED), 0) + skew

    def at_the_end(self, path: _Path) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
        """Return the fates, and the losses with processes, up to the path's end."""
        fates, with_process = dict(self.fates), dict(self.with_process)
        stage = self.observer.stage
        if stage != path.end:
            beyond = [key for key in fates if key[0] == stage and key[1] != LATE]
            answered = sum(fates.pop(key) for key in beyond) + with_process.pop(stage, 0)
            fates[path.end, ANSWERED] = answered
        return fates, with_process


def frame_counts(scrapes: Sequence[Scrape]) -> list[FrameCounts]:
    """Return the counts of each stream (and part) on each path with an observer.

    Streams whose capture does not answer are left out.
    """
    captured = _captured(scrapes)
    return [
        counts
        for path in PATHS
        for stream, (run, frames) in sorted(captured.items())
        for counts in _counts(path, stream, run, frames, scrapes)
    ]


def _captured(scrapes: Sequence[Scrape]) -> dict[str, tuple[str, int]]:
    """Return the current run of each captured stream, and its number of frames."""
    found = {}
    for scrape in scrapes:
        for stream in scrape.values(MetricName.RUN_FRAMES, "stream", stage="capture"):
            labels = {"stage": "capture", "stream": stream}
            (run,) = scrape.values(MetricName.RUN_FRAMES, "run", **labels)
            found[stream] = run, round(scrape.total(MetricName.RUN_FRAMES, **labels))
    return found


def _counts(
    path: _Path, stream: str, run: str, frames: int, scrapes: Sequence[Scrape]
) -> Iterator[FrameCounts]:
    accounts = [account for scrape in scrapes for account in _accounts(scrape, path, stream)]
    parts = sorted({account.part for account in accounts})
    for part in parts:
        best = _best([account for account in accounts if account.part == part], path)
        in_flight = frames - best.run_frames if best.run == run else frames
        fates, with_process = best.at_the_end(path)
        yield FrameCounts(
            path=path.name,
            stream=stream,
            captured=best.known + in_flight,
            answered=fates.pop((path.end, ANSWERED), 0),
            in_flight=in_flight,
            dropped={key: count for key, count in fates.items() if count and key[1] != LOST},
            lost={stage: count for (stage, fate), count in fates.items() if count and fate == LOST},
            lost_with_process={stage: count for stage, count in with_process.items() if count},
            part=part if len(parts) > 1 else None,
        )


def _best(accounts: Sequence[_Account], path: _Path) -> _Account:
    """Return the account of the observer that ran longest and received most."""
    most = max(account.witnessed for account in accounts)
    witnesses = [account for account in accounts if account.witnessed >= most - SKEW]
    return max(witnesses, key=lambda account: account.rank(path))


def _accounts(scrape: Scrape, path: _Path, stream: str) -> Iterator[_Account]:
    if scrape.has(MetricName.CLASSIFIER_STANDBY) and scrape.total(MetricName.CLASSIFIER_STANDBY):
        # Later stages show what it answers; about the rest, it only knows that another one
        # answered.
        return
    if path.sign and not (scrape.has(path.sign) and scrape.total(path.sign, stream=stream)):
        return
    for observer in path.observers:
        labels = {**observer._asdict(), "stream": stream}
        for part in scrape.values(MetricName.FRAMES_KNOWN, "part", **labels):
            yield _account(scrape, observer, {**labels, "part": part})


def _account(scrape: Scrape, observer: _Observer, labels: Mapping[str, str]) -> _Account:
    (run,) = scrape.values(MetricName.RUN_FRAMES, "run", **labels)
    fates = scrape.by(MetricName.FRAMES_ACCOUNTED, ("at", "fate"), **labels)
    with_process = scrape.by(MetricName.FRAMES_LOST_WITH_PROCESS, ("process",), **labels)
    return _Account(
        observer=observer,
        part=int(labels["part"]),
        run=run,
        run_frames=round(scrape.total(MetricName.RUN_FRAMES, **labels)),
        known=round(scrape.total(MetricName.FRAMES_KNOWN, **labels)),
        fates={(at, fate): round(count) for (at, fate), count in fates.items()},
        with_process={process: round(count) for (process,), count in with_process.items()},
    )
