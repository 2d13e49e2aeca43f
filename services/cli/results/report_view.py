"""What the page of an analysis says beside its faces: the labels, and what happened."""

from collections.abc import Sequence
from dataclasses import dataclass

from emostream.services.cli.results.timeline import Timelines
from emostream.services.cli.results.timeline_charts import NS
from emostream.services.recorder.archive.rows import EventRow
from emostream.shared.colors import bgr, colors, text_color


@dataclass(frozen=True)
class Label:
    """A label with its colour and that of text upon it, `#rrggbb`."""

    name: str
    color: str
    ink: str


@dataclass(frozen=True)
class Happened:
    """An event, `seconds` after the first frame."""

    seconds: float
    face: int
    kind: str
    label: str
    previous: str


def labels(timelines: Timelines) -> list[Label]:
    """Return the labels with their colours: those of the probabilities, then others shown."""
    shown = (label for face in timelines.faces.values() for label in face.shown)
    names = tuple(dict.fromkeys((*timelines.labels, *shown)))
    return [
        Label(name, color, "#{:02x}{:02x}{:02x}".format(*text_color(bgr(color))))
        for name, color in colors(names).items()
    ]


def happened(timelines: Timelines, events: Sequence[EventRow]) -> list[Happened]:
    """Return the events in the order of their times: a face has left when it was last seen."""
    made = [
        Happened(
            ((event.since if event.kind == "leave" else event.pts) - timelines.first) / NS,
            event.track,
            event.kind,
            event.label,
            event.previous,
        )
        for event in events
    ]
    return sorted(made, key=lambda one: one.seconds)
