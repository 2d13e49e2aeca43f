"""The history of each face in a run: label spans, shares of time, and thinned curves."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.services.cli.results.frame_times import LONGEST_DURATION, with_durations
from emostream.services.recorder.archive.reader import ArchiveReader
from emostream.services.recorder.archive.rows import ObservationRow, RecordedFrame, Run
from emostream.shared.messages import Box

Values: TypeAlias = NDArray[np.float64]

MOST_POINTS: Final = 1000  # of a curve
# A face that is not seen for longer than this leaves a gap.
GAP_NS: Final = LONGEST_DURATION


@dataclass(slots=True)
class LabelSpan:
    """A time span in which a face had one label.

    `start` and `end` are ns after the first frame; `seq` and `box` are from the span's first frame.
    """

    face: int
    label: str
    start: int
    end: int
    seq: int
    box: Box

    @property
    def length(self) -> int:
        """The duration in ns."""
        return self.end - self.start


@dataclass(slots=True)
class CurvePoint:
    """The sum of a face's smoothed probabilities (labels,) over its frames in one interval.

    `interval` is its index in RunHistory.intervals.
    """

    interval: int
    sums: Values


@dataclass(slots=True)
class FaceHistory:
    """One face of the run.

    `frames` and `seen` (ns) count the frames with sufficient quality; `shown` is the time with each
    label.
    """

    number: int
    frames: int = 0
    seen: int = 0
    shown: dict[str, int] = field(default_factory=dict)
    spans: list[LabelSpan] = field(default_factory=list)
    points: list[CurvePoint] = field(default_factory=list)

    @property
    def most(self) -> str:
        """The label that was displayed longest."""
        return max(self.shown, key=self.shown.__getitem__)

    @property
    def mean(self) -> Values:
        """The mean of the smoothed probabilities (labels,) over the face's frames."""
        total: Values = np.sum([point.sums for point in self.points], axis=0)
        return total / self.frames

    def add(self, one: ObservationRow, start: int, duration: int, interval: int) -> None:
        """Add an observation at `start` (ns after the first frame), in a frame of `duration` ns."""
        self.frames += 1
        self.seen += duration
        self.shown[one.label] = self.shown.get(one.label, 0) + duration
        end, last = start + duration, self.spans[-1] if self.spans else None
        if last is not None and last.label == one.label and start - last.end <= GAP_NS:
            last.end = max(last.end, end)
        else:
            self.spans.append(LabelSpan(self.number, one.label, start, end, one.seq, one.box))
        if not self.points or self.points[-1].interval != interval:
            self.points.append(CurvePoint(interval, np.zeros(len(one.smoothed))))
        # A label that the frame's model does not have was not displayed.
        self.points[-1].sums += [value or 0.0 for value in one.smoothed]


@dataclass(slots=True)
class RunHistory:
    """All faces of a run, on one axis of `length` ns after the first frame.

    Every `thinned` frames form one point of the curves, and `intervals` are the start and end of
    each point. Of the `frames`, `empty` have no face for certain and `incomplete` lack an answer.
    Observations that were left out are counted in `left_out` by reason, and not included in
    `faces`; `rows` counts the faces of all frames, including these.
    """

    labels: tuple[str, ...]
    thinned: int
    first: int = 0
    length: int = 1
    frames: int = 0
    empty: int = 0
    incomplete: int = 0
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    faces: dict[int, FaceHistory] = field(default_factory=dict)
    intervals: list[tuple[int, int]] = field(default_factory=list)

    def add(self, frame: RecordedFrame, duration: int) -> None:
        """Add a frame, which represents `duration` ns, with its faces."""
        if not self.frames:
            self.first = frame.row.pts
        # The times of a file may go back; a single picture has no duration, but an axis needs one.
        start = max(0, frame.row.pts - self.first)
        self.length = max(self.length, start + duration)
        interval = self.frames // self.thinned
        since = self.intervals.pop()[0] if interval < len(self.intervals) else start
        self.intervals.append((since, self.length))
        self.frames += 1
        self.incomplete += frame.state != "whole"
        self.empty += frame.state == "whole" and not frame.faces
        self.rows += len(frame.faces)
        for one in frame.faces:
            if one.left_out:
                self.left_out[one.left_out] += 1
                continue
            face = self.faces.setdefault(one.track, FaceHistory(one.track))
            face.add(one, start, duration, interval)


def run_history(reader: ArchiveReader, run: Run) -> RunHistory:
    """Return a run's history, read frame by frame; memory grows only with the spans."""
    history = RunHistory(reader.labels, max(1, math.ceil(run.recorded / MOST_POINTS)))
    for frame, duration in with_durations(reader.recorded_frames(run)):
        history.add(frame, duration)
    return history
