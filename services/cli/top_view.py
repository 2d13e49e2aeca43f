"""The tables of `emostream top`: what each stage does, and where the frames went."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.cli.accounts import DROPPED, GIVEN, LOST, READY, TAKEN, Account, accounts
from services.cli.scraping import History, Scraper

QUANTILES = (0.5, 0.95, 0.99)
# The processes are not read at the same instant, so a sum may be a few frames off.
SKEW = 5
NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """One stream in one process over the last seconds; rates a second, latency in seconds.

    `dropped` counts by reason, and `lost` all topics, since the process started.
    """

    stream: str
    frames: float | None
    latency: tuple[float | None, ...]
    faces: float | None
    dropped: Mapping[str, int]
    lost: int


def rows(history: History, stage: str) -> Iterator[Row]:
    """Yield a row for each stream that the stage has seen."""
    last = history.last
    if last is None:
        return
    names = (GIVEN, TAKEN, DROPPED, LOST)
    for stream in sorted({s for name in names for s in last.values(name, "stream", stage=stage)}):
        labels = {"stage": stage, "stream": stream}
        reasons = sorted(last.values(DROPPED, "reason", **labels))
        counts = {reason: round(last.total(DROPPED, **labels, reason=reason)) for reason in reasons}
        yield Row(
            stream=stream,
            frames=history.rate(GIVEN, **labels),
            latency=tuple(
                history.quantile(q, "emostream_latency_seconds", **labels) for q in QUANTILES
            ),
            faces=history.rate("emostream_faces_total", **labels),
            dropped={reason: count for reason, count in counts.items() if count},
            lost=round(last.total(LOST, **labels)),
        )


def view(named: Mapping[str, str], scraper: Scraper) -> RenderableType:
    """Return what to show: `named` maps the URL of each process to its name."""
    parts: list[RenderableType] = [_stages(named, scraper)]
    for url, failure in scraper.failures.items():
        parts.append(Text(f"{named[url]}: no answer from {url}: {failure}", "red"))
    sums = accounts(scraper.answering())
    if sums:
        parts.append(_sums(sums))
    return Group(*parts)


def _stages(named: Mapping[str, str], scraper: Scraper) -> Table:
    seconds = max((history.seconds for history in scraper.histories.values()), default=0.0)
    table = Table(title=f"the last {seconds:.0f} s", title_justify="left", box=SIMPLE_HEAD)
    for column in ("stage", "state", "stream"):
        table.add_column(column, no_wrap=True)
    for column in ("frames/s", "p50 ms", "p95 ms", "p99 ms", "faces/s", "lost", "queue", "bad"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("dropped")
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
    for stage in sorted(scrape.values(READY, "stage")):
        shown = stage if stage == name else f"{stage} {name}"
        state = Text("ready") if scrape.total(READY, stage=stage) else Text("not ready", "yellow")
        queue = _count(scrape.total("emostream_queue_depth", stage=stage))
        bad = _count(scrape.total("emostream_bad_messages_total", stage=stage))
        lines = [_cells(row) for row in rows(history, stage)] or [[NOTHING] * 8]
        for *cells, dropped in lines:
            table.add_row(shown, state, *cells, queue, bad, dropped)
            # What belongs to the whole process stands once.
            shown, state, queue, bad = "", Text(), "", ""


def _cells(row: Row) -> list[str]:
    return [
        row.stream,
        _number(row.frames),
        *(_number(seconds, 1000) for seconds in row.latency),
        _number(row.faces),
        _count(row.lost),
        _listed(row.dropped),
    ]


def _sums(sums: Sequence[Account]) -> Table:
    title = "where each captured frame went, since the processes started"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("path", "stream"):
        table.add_column(column, no_wrap=True)
    for column in ("captured =", "answered +", "dropped +", "lost +", "in flight"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("of which")
    for account in sums:
        flight = Text(str(account.in_flight), "yellow" if account.in_flight < -SKEW else "")
        table.add_row(
            account.path,
            account.stream,
            str(account.captured),
            str(account.answered),
            _count(sum(account.dropped.values())),
            _count(sum(account.lost.values())),
            flight,
            _causes(account),
        )
    return table


def _causes(account: Account) -> str:
    dropped = {f"{stage} {reason}": n for (stage, reason), n in account.dropped.items()}
    lost = {f"lost before {stage}": n for stage, n in account.lost.items()}
    note = "; a process started again: these do not add up" if account.in_flight < -SKEW else ""
    return _listed(dropped | lost) + note


def _number(value: float | None, scale: float = 1.0) -> str:
    return NOTHING if value is None else f"{value * scale:.1f}"


def _count(value: float) -> str:
    return f"{value:.0f}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or NOTHING
