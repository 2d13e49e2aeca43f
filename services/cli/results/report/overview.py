"""The labels and events on the page of an analysis."""

from collections.abc import Sequence
from dataclasses import dataclass

from emostream.services.cli.results.report.charts import NS
from emostream.services.cli.results.report.history import RunHistory
from emostream.services.recorder.archive.rows import EventRow
from emostream.shared.colors import bgr, colors, text_color


@dataclass(frozen=True)
class LabelStyle:
    """A label with its color and text color, `#rrggbb`."""

    name: str
    color: str
    ink: str


@dataclass(frozen=True)
class ReportEvent:
    """An event, `seconds` after the first frame."""

    seconds: float
    face: int
    kind: str
    label: str
    previous: str


def label_styles(history: RunHistory) -> list[LabelStyle]:
    """Return the labels with their colors: the model's labels, then others displayed."""
    shown = (label for face in history.faces.values() for label in face.shown)
    names = tuple(dict.fromkeys((*history.labels, *shown)))
    return [
        LabelStyle(name, color, "#{:02x}{:02x}{:02x}".format(*text_color(bgr(color))))
        for name, color in colors(names).items()
    ]


def report_events(history: RunHistory, rows: Sequence[EventRow]) -> list[ReportEvent]:
    """Return the events ordered by time; a face leaves at the time it was last seen."""
    events = [
        ReportEvent(
            ((row.since if row.kind == "leave" else row.pts) - history.first) / NS,
            row.track,
            row.kind,
            row.label,
            row.previous,
        )
        for row in rows
    ]
    return sorted(events, key=lambda event: event.seconds)
