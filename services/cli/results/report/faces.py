"""The faces on the page of an analysis: their shares of time, their timelines and thumbnails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from emostream.services.capture.picture import Pictures
from emostream.services.cli.results.report.charts import NS, band, curves, zooms
from emostream.services.cli.results.report.history import FaceHistory, LabelSpan, RunHistory
from emostream.services.cli.results.report.overview import LabelStyle
from emostream.services.cli.results.report.thumbnails import pick_spans, thumbnails

MOST_FACES: Final = 20  # that have a timeline
MOST_PICTURES: Final = 400  # in all
MOST_OF_A_FACE: Final = 40
# A span shows its name if it has this share of the page's width; others show only their color.
NAME_SHARE: Final = 0.05


@dataclass(frozen=True)
class LabelShare:
    """The share of a face's time, and the time in s, with a label."""

    label: str
    share: float
    seconds: float


@dataclass(frozen=True)
class Thumbnail:
    """A thumbnail at its position on the axis, 0 to 1; `held` is the label's duration in s."""

    at: float
    seconds: float
    held: float
    label: str
    url: str


@dataclass(frozen=True)
class SpanName:
    """A label's name on the band: start and width of its span, in shares of the axis."""

    left: float
    width: float
    label: str


@dataclass(frozen=True)
class FaceSummary:
    """A face's summary: its longest-displayed label, start, and duration in s."""

    number: int
    most: str
    first: float
    seconds: float
    shares: list[LabelShare]

    @property
    def top(self) -> float:
        """The share of the longest-displayed label."""
        return next((one.share for one in self.shares if one.label == self.most), 0.0)


@dataclass(frozen=True)
class FaceSection(FaceSummary):
    """A face with its timeline; `means` are its mean probabilities."""

    means: list[LabelShare]
    band: str
    curves: str
    names: list[SpanName]
    pictures: list[Thumbnail] = field(default_factory=list)


def longest(history: RunHistory) -> tuple[list[FaceHistory], list[FaceHistory]]:
    """Return the faces with the longest durations, and the others, each ordered by number."""
    ranked = sorted(history.faces.values(), key=lambda face: (-face.seen, face.number))
    parts = ranked[:MOST_FACES], ranked[MOST_FACES:]
    first, rest = (sorted(part, key=lambda face: face.number) for part in parts)
    return first, rest


def face_summary(face: FaceHistory, known: Sequence[LabelStyle]) -> FaceSummary:
    """Return the summary of a face."""
    return FaceSummary(
        number=face.number,
        most=face.most,
        first=face.spans[0].start / NS,
        seconds=face.seen / NS,
        shares=_shares(face, known),
    )


def face_section(
    history: RunHistory,
    face: FaceHistory,
    known: Sequence[LabelStyle],
    urls: Mapping[tuple[int, int], str],
) -> FaceSection:
    """Return a face with its timeline; `urls` are pictures by face and frame."""
    names = [label.name for label in known]
    means = zip(history.labels, face.mean.tolist(), strict=True)
    return FaceSection(
        **vars(face_summary(face, known)),
        means=[LabelShare(label, mean, 0) for label, mean in means],
        band=band(face.spans, names, history.length),
        curves=curves(history, face),
        names=_names(history, face),
        pictures=_pictures(history, face, urls),
    )


def face_thumbnails(
    faces: Sequence[FaceHistory], source: Pictures | None
) -> dict[tuple[int, int], str]:
    """Return pictures of the faces by face and frame, after one pass over the source."""
    if source is None:
        return {}
    most = min(MOST_OF_A_FACE, MOST_PICTURES // max(1, len(faces)))
    spans = [span for face in faces for span in pick_spans(_with_boxes(face), most)]
    return thumbnails(source, spans)


def _shares(face: FaceHistory, known: Sequence[LabelStyle]) -> list[LabelShare]:
    """Return the displayed labels in order; for a still picture, the probable ones."""
    if not face.seen:
        means = zip(known, face.mean.tolist(), strict=False)
        return [LabelShare(label.name, mean, 0.0) for label, mean in means if mean]
    return [
        LabelShare(label.name, face.shown[label.name] / face.seen, face.shown[label.name] / NS)
        for label in known
        if label.name in face.shown
    ]


def _names(history: RunHistory, face: FaceHistory) -> list[SpanName]:
    length = history.length
    least = NAME_SHARE * length / zooms(length)[-1]
    return [
        SpanName(span.start / length, span.length / length, span.label)
        for span in face.spans
        if span.length >= least
    ]


def _pictures(
    history: RunHistory, face: FaceHistory, urls: Mapping[tuple[int, int], str]
) -> list[Thumbnail]:
    return [
        Thumbnail(
            at=span.start / history.length,
            seconds=span.start / NS,
            held=span.length / NS,
            label=span.label,
            url=urls[face.number, span.seq],
        )
        for span in face.spans
        if (face.number, span.seq) in urls
    ]


def _with_boxes(face: FaceHistory) -> list[LabelSpan]:
    # SQLite has no NaN: a side of a box may be None.
    return [span for span in face.spans if all(side is not None for side in span.box)]
