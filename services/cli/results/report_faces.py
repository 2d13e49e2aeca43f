"""The faces on the page of an analysis: their shares of time, their timelines and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from emostream.services.capture.pace import Pictures
from emostream.services.cli.results.report_view import Label
from emostream.services.cli.results.thumbnails import Moment, choose, cut
from emostream.services.cli.results.timeline import Face, Timelines
from emostream.services.cli.results.timeline_charts import NS, band, curves, zooms

MOST_FACES: Final = 20  # that have a timeline
MOST_PICTURES: Final = 400  # in all
MOST_OF_A_FACE: Final = 40
# A span holds its name where it is this share of the page wide; others have their colour alone.
NAME_SHARE: Final = 0.05


@dataclass(frozen=True)
class Share:
    """The share of a face's time, and the s, for which it was shown with a label."""

    label: str
    share: float
    seconds: float


@dataclass(frozen=True)
class Picture:
    """A picture at its place on the axis, 0 to 1; `held` is the s that the label was then shown."""

    at: float
    seconds: float
    held: float
    label: str
    url: str


@dataclass(frozen=True)
class Name:
    """A label's name on the band: where it begins and how wide its span is, 0 to 1 of the axis."""

    left: float
    width: float
    label: str


@dataclass(frozen=True)
class Summary:
    """A face in short: the label shown for longest, when it came and how long it was there, s."""

    number: int
    most: str
    first: float
    seconds: float
    shares: list[Share]

    @property
    def top(self) -> float:
        """The share of the label that was shown for longest."""
        return next((one.share for one in self.shares if one.label == self.most), 0.0)


@dataclass(frozen=True)
class Shown(Summary):
    """A face with its timeline; `means` are its mean probabilities."""

    means: list[Share]
    band: str
    curves: str
    names: list[Name]
    pictures: list[Picture] = field(default_factory=list)


def longest(timelines: Timelines) -> tuple[list[Face], list[Face]]:
    """Return the faces that were there for longest, and the others, each by number."""
    ranked = sorted(timelines.faces.values(), key=lambda face: (-face.seen, face.number))
    parts = ranked[:MOST_FACES], ranked[MOST_FACES:]
    first, rest = (sorted(part, key=lambda face: face.number) for part in parts)
    return first, rest


def summary(face: Face, known: Sequence[Label]) -> Summary:
    """Return a face in short."""
    return Summary(
        number=face.number,
        most=face.most,
        first=face.spans[0].start / NS,
        seconds=face.seen / NS,
        shares=_shares(face, known),
    )


def shown(
    timelines: Timelines, face: Face, known: Sequence[Label], urls: Mapping[tuple[int, int], str]
) -> Shown:
    """Return a face with its timeline; `urls` are pictures by face and frame."""
    names = [label.name for label in known]
    means = zip(timelines.labels, face.mean.tolist(), strict=True)
    return Shown(
        **vars(summary(face, known)),
        means=[Share(label, mean, 0) for label, mean in means],
        band=band(face.spans, names, timelines.length),
        curves=curves(timelines, face),
        names=_names(timelines, face),
        pictures=_pictures(timelines, face, urls),
    )


def cutouts(faces: Sequence[Face], source: Pictures | None) -> dict[tuple[int, int], str]:
    """Return pictures of the faces by face and frame, after one pass over the source."""
    if source is None:
        return {}
    most = min(MOST_OF_A_FACE, MOST_PICTURES // max(1, len(faces)))
    return cut(source, [moment for face in faces for moment in choose(_moments(face), most)])


def _shares(face: Face, known: Sequence[Label]) -> list[Share]:
    """The labels shown, in their order; of a still picture, which has no time, what is probable."""
    if not face.seen:
        means = zip(known, face.mean.tolist(), strict=False)
        return [Share(label.name, mean, 0.0) for label, mean in means if mean]
    return [
        Share(label.name, face.shown[label.name] / face.seen, face.shown[label.name] / NS)
        for label in known
        if label.name in face.shown
    ]


def _names(timelines: Timelines, face: Face) -> list[Name]:
    length = timelines.length
    least = NAME_SHARE * length / zooms(length)[-1]
    return [
        Name(span.start / length, (span.end - span.start) / length, span.label)
        for span in face.spans
        if span.end - span.start >= least
    ]


def _pictures(
    timelines: Timelines, face: Face, urls: Mapping[tuple[int, int], str]
) -> list[Picture]:
    return [
        Picture(
            at=span.start / timelines.length,
            seconds=span.start / NS,
            held=(span.end - span.start) / NS,
            label=span.label,
            url=urls[face.number, span.seq],
        )
        for span in face.spans
        if (face.number, span.seq) in urls
    ]


def _moments(face: Face) -> list[Moment]:
    return [
        Moment(face.number, span.seq, span.box, span.end - span.start)
        for span in face.spans
        # SQLite has no NaN: a side of a box may be None.
        if all(number is not None for number in span.box)
    ]
