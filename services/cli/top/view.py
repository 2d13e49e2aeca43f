"""The tables of `emostream top`: the stages, and the frame counts."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from emostream.services.cli.top.clocks import clock_lines
from emostream.services.cli.top.counts import causes, counts_table, is_short
from emostream.services.cli.top.table import new_table
from emostream.shared.account import LATE
from emostream.shared.frame_counts import frame_counts
from emostream.shared.left_out import REASONS, left_out_text
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import History, Scrape
from emostream.shared.plural import counted
from emostream.shared.scraping import Scraper

QUANTILES = (0.5, 0.95, 0.99)
NOTHING = "-"
# The metric that shows a stream in a stage, from its first frame on.
FRAMES = (
    MetricName.FRAMES_GIVEN,
    MetricName.FRAMES_TAKEN,
    MetricName.FRAMES_DROPPED,
    MetricName.FRAMES_LOST,
)


@dataclass(frozen=True)
class Row:
    """One stream in one process over the last seconds; rates per second, latency in seconds.

    `dropped` counts by reason, and `lost` over all topics, since the process started. Frames sent
    before the process listened are in neither, because they say nothing about the process.
    """

    stream: str
    frames: float | None
    latency: tuple[float | None, ...]
    faces: float | None
    dropped: Mapping[str, int]
    lost: int


def rows(history: History, stage: str) -> Iterator[Row]:
    """Yield a row for each stream of the stage."""
    last = history.last
    if last is None:
        return
    for stream in sorted({s for name in FRAMES for s in last.values(name, "stream", stage=stage)}):
        labels = {"stage": stage, "stream": stream}
        counts = {
            reason: round(last.total(MetricName.FRAMES_DROPPED, **labels, reason=reason))
            for reason in sorted(last.values(MetricName.FRAMES_DROPPED, "reason", **labels))
        }
        yield Row(
            stream=stream,
            frames=history.rate(MetricName.FRAMES_GIVEN, **labels),
            latency=tuple(
                history.quantile(q, MetricName.LATENCY_SECONDS, **labels) for q in QUANTILES
            ),
            faces=history.rate(MetricName.FACES, **labels),
            dropped={reason: count for reason, count in counts.items() if count and reason != LATE},
            lost=round(last.total(MetricName.FRAMES_LOST, **labels)),
        )


def unready(scraper: Scraper) -> list[str]:
    """Return the URLs of the processes that answer and are not ready."""
    return [
        url
        for url, history in scraper.histories.items()
        if url not in scraper.failures
        and history.last is not None
        and not all(
            history.last.total(MetricName.READY, stage=stage) for stage in history.last.stages
        )
    ]


def view(
    named: Mapping[str, str],
    scraper: Scraper,
    missing: Mapping[str, str] = MappingProxyType({}),
    faces: Mapping[str, str] = MappingProxyType({}),
) -> RenderableType:
    """Return the view.

    `named` maps the URL of each process to its name, `missing` maps unready processes to the
    reason, `faces` maps each stream to its current faces in words.
    """
    named = scraper.present(named)
    parts: list[RenderableType] = [_stages(named, scraper)]
    for url, failure in scraper.failures.items():
        if url in named:
            parts.append(Text(f"{named[url]}: no answer from {url}: {failure}", "red"))
    parts += [
        Text(f"{named[url]}: {reason}", "yellow") for url, reason in missing.items() if reason
    ]
    if faces:
        parts += ["", _faces(faces)]
    for url in named.keys() - scraper.failures.keys():
        parts += _relayed(scraper.histories[url])
    for scrape in scraper.answering():
        parts += clock_lines(scrape)
    counts = frame_counts(scraper.answering())
    for scrape in scraper.answering():
        parts += _bad_messages(scrape)
    parts += _left_out(scraper.answering())
    if counts:
        parts += ["", counts_table(counts), *map(causes, filter(is_short, counts))]
    return Group(*parts)


def _faces(faces: Mapping[str, str]) -> Table:
    table = new_table("faces now, numbered since this command started", "stream", "faces")
    for stream, text in faces.items():
        table.add_row(stream, Text(text))
    return table


def _stages(named: Mapping[str, str], scraper: Scraper) -> Table:
    seconds = max((history.seconds for history in scraper.histories.values()), default=0.0)
    table = new_table(f"the last {seconds:.0f} s", "stage", "state", "stream")
    for column in ("frames/s", "p50/95/99 ms", "faces/s", "lost", "queue"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("dropped", min_width=11)
    for url, name in named.items():
        if url in scraper.failures:
            table.add_row(name, Text("no answer", "red"))
        else:
            _add_process(table, name, scraper.histories[url])
    return table


def _add_process(table: Table, name: str, history: History) -> None:
    scrape = history.last
    if scrape is None:
        return
    for stage in sorted(scrape.stages):
        role = "standby" if stage == "classifier" and _is_standby(scrape) else stage
        shown = role if stage == name else f"{role} {name}"
        is_ready = scrape.total(MetricName.READY, stage=stage)
        state = Text("ready") if is_ready else Text("not ready", "yellow")
        if scrape.total(MetricName.DOWN, stage=stage):
            state = Text("down", "red")
        queue = str(round(scrape.total(MetricName.QUEUE_DEPTH, stage=stage)))
        lines = [_cells(row) for row in rows(history, stage)] or [[NOTHING] * 6]
        for *cells, dropped in lines:
            table.add_row(shown, state, *cells, queue, dropped)
            # Values of the whole process appear once.
            shown, state, queue = "", Text(), ""


def _is_standby(scrape: Scrape) -> bool:
    standby = MetricName.CLASSIFIER_STANDBY
    return scrape.has(standby) and bool(scrape.total(standby))


def _cells(row: Row) -> list[str]:
    dropped = ", ".join(f"{reason} {count}" for reason, count in row.dropped.items())
    return [
        row.stream,
        _number(row.frames),
        "/".join(_milliseconds(seconds) for seconds in row.latency),
        _number(row.faces),
        str(row.lost),
        dropped or NOTHING,
    ]


def _bad_messages(scrape: Scrape) -> Iterator[Text]:
    for stage in sorted(scrape.stages):
        if bad := round(scrape.total(MetricName.BAD_MESSAGES, stage=stage)):
            yield Text(f"{stage}: {counted(bad, 'message')} that violate the wire format", "yellow")


def _relayed(history: History) -> Iterator[Text]:
    """Return lines with a relay's rates for each of its sources."""
    if history.last is None or not history.last.has(MetricName.RELAY_CONNECTED):
        return
    for source in sorted(history.last.values(MetricName.RELAY_CONNECTED, "source")):
        if not history.last.total(MetricName.RELAY_CONNECTED, source=source):
            yield Text(f"relay: {source} is not connected", "yellow")
        elif (rate := history.rate(MetricName.RELAY_MESSAGES, source=source)) is not None:
            kilobytes = (history.rate(MetricName.RELAY_BYTES, source=source) or 0.0) / 1000
            yield Text(f"relay: {source}: {rate:.1f} messages/s, {kilobytes:.1f} kB/s", "dim")


def _left_out(scrapes: Sequence[Scrape]) -> Iterator[Text]:
    """Say how many faces of each stream count for nothing, since the classifiers started."""
    streams: dict[str, Counter[str]] = defaultdict(Counter)
    for scrape in scrapes:
        if not scrape.has(MetricName.FACES_LEFT_OUT):
            continue
        for stream in scrape.values(MetricName.FACES_LEFT_OUT, "stream"):
            for reason in REASONS:
                faces = scrape.total(MetricName.FACES_LEFT_OUT, stream=stream, reason=reason)
                streams[stream][reason] += round(faces)
    for stream, counts in sorted(streams.items()):
        if text := left_out_text(counts):
            yield Text(f"{stream}: {text}", "dim")


def _milliseconds(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{seconds * 1000:.0f}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"
