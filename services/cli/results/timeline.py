"""What each face of a run showed and when: spans of one label, shares of time, thinned curves."""

import math
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.services.cli.results.tracks import LONGEST_HOLD, held
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import ObservationRow, RecordedFrame, Run
from emostream.shared.messages import Box

Values: TypeAlias = NDArray[np.float64]

POINTS: Final = 1000  # of a curve, at most
# A face that was not seen for longer leaves a gap.
GAP_NS: Final = LONGEST_HOLD


@dataclass(slots=True)
class Span:
    """A time over which a face was shown with one label.

    `start` and `end` are ns after the first frame; `seq` and `box` are those of its first frame.
    """

    label: str
    start: int
    end: int
    seq: int
    box: Box


@dataclass(slots=True)
class Point:
    """The sum of a face's smoothed probabilities (labels,) over its frames in one part of time.

    `index` is that of the part in Timelines.parts.
    """

    index: int
    sums: Values


@dataclass(slots=True)
class Face:
    """One face of the run.

    `seen` is the ns that it was found for, `shown` how many of them with each label.
    """

    number: int
    frames: int = 0
    seen: int = 0
    shown: dict[str, int] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    @property
    def most(self) -> str:
        """The label that was shown for longest."""
        return max(self.shown, key=self.shown.__getitem__)

    @property
    def mean(self) -> Values:
        """The mean of the smoothed probabilities (labels,) over the face's frames."""
        total: Values = np.sum([point.sums for point in self.points], axis=0)
        return total / self.frames

    def add(self, one: ObservationRow, start: int, hold: int, part: int) -> None:
        """Add what was seen at `start`, ns after the first frame, in a frame of `hold` ns."""
        self.frames += 1
        self.seen += hold
        self.shown[one.label] = self.shown.get(one.label, 0) + hold
        last = self.spans[-1] if self.spans else None
        if last is not None and last.label == one.label and start - last.end <= GAP_NS:
            last.end = start + hold
        else:
            self.spans.append(Span(one.label, start, start + hold, one.seq, one.box))
        if not self.points or self.points[-1].index != part:
            self.points.append(Point(part, np.zeros(len(one.smoothed))))
        # A label that the model of that moment has not was not shown.
        self.points[-1].sums += [value or 0.0 for value in one.smoothed]


@dataclass(slots=True)
class Timelines:
    """All faces of a run, on one axis of `length` ns after the first frame.

    `thinned` frames each make one point of the curves, and `parts` are the start and end of these.
    Of the `frames`, `empty` show no face for certain and `unsure` were not answered whole.
    """

    labels: tuple[str, ...]
    thinned: int
    first: int = 0
    length: int = 1
    frames: int = 0
    empty: int = 0
    unsure: int = 0
    faces: dict[int, Face] = field(default_factory=dict)
    parts: list[tuple[int, int]] = field(default_factory=list)

    def add(self, frame: RecordedFrame, hold: int) -> None:
        """Add a frame, which stands for `hold` ns, with its faces."""
        if not self.frames:
            self.first = frame.row.pts
        start = frame.row.pts - self.first
        # A single picture has no length, but an axis needs some.
        self.length = max(1, start + hold)
        part = self.frames // self.thinned
        since = self.parts.pop()[0] if part < len(self.parts) else start
        self.parts.append((since, self.length))
        self.frames += 1
        self.unsure += frame.state != "whole"
        self.empty += frame.state == "whole" and not frame.faces
        for one in frame.faces:
            self.faces.setdefault(one.track, Face(one.track)).add(one, start, hold, part)


def collect(reader: ArchiveReader, run: Run) -> Timelines:
    """Read a run once, frame by frame; memory stays flat but for the spans."""
    made = Timelines(reader.labels, max(1, math.ceil(run.recorded / POINTS)))
    for frame, hold in held(reader.recorded_frames(run)):
        made.add(frame, hold)
    return made
