"""The rows read from a recorder's database: runs, frames, faces and events.

Times are ns: `t` since the epoch, `pts` and `since` in the source.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from emostream.shared.messages import LeftOut, Quality

State: TypeAlias = Literal["whole", "partial", "degraded", "pruned"]


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a capture, as recorded.

    `frames` is the source's number of frames, None while it runs or if it was interrupted; `error`
    is the reason if it failed, otherwise "". `recorded` frames have a row, `last` is the highest
    `seq` among them (-1 for none), and `events` counts the event rows.
    """

    stream: str
    id: str
    began: int
    frames: int | None
    error: str
    recorded: int
    last: int
    events: int

    @property
    def missing(self) -> int:
        """The number of frames without a row: dropped in live delivery, lost, or pruned."""
        given = self.last + 1 if self.frames is None else max(self.frames, self.last + 1)
        return given - self.recorded


@dataclass(frozen=True, slots=True)
class FrameRow:
    """An answered frame with `faces` faces; `answered` of its `parts` answers arrived."""

    run: str
    seq: int
    t: int
    pts: int
    faces: int
    parts: int
    answered: int
    degraded: bool
    model: str

    @property
    def state(self) -> State:
        """`whole` if all answers arrived, `partial` if not, `degraded` if one had no faces."""
        if self.answered < self.parts:
            return "partial"
        return "degraded" if self.degraded else "whole"


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """A face in a frame; `box` is x, y, width, height in frame pixels.

    `track` is 1, 2, 3 ... by first appearance in the stream (tracks that never entered come last),
    `track_id` the id on the bus. `probabilities` and `smoothed` are in the order of the reader's
    labels, with None if the model did not have the label. `score` is None in rows of an earlier
    release; `quality` also if it was not measured. `left_out` is the reason if the face was left
    out, otherwise "".
    """

    run: str
    seq: int
    t: int
    pts: int
    track: int
    track_id: int
    box: tuple[float, float, float, float]
    score: float | None
    label: str
    confidence: float | None
    probabilities: tuple[float | None, ...]
    smoothed: tuple[float | None, ...]
    quality: Quality | None = None
    left_out: LeftOut = ""


@dataclass(frozen=True, slots=True)
class EventRow:
    """A face's `enter`, `change` of label or `leave`; `track` and `track_id` as above."""

    run: str
    seq: int
    t: int
    pts: int
    kind: str
    track: int
    track_id: int
    label: str
    previous: str
    confidence: float | None
    since: int


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A frame with its faces, in order of their track."""

    row: FrameRow
    faces: Sequence[ObservationRow]

    @property
    def state(self) -> State:
        """The frame's state; `pruned` if retention deleted faces before their frame."""
        return "pruned" if len(self.faces) < self.row.faces else self.row.state
