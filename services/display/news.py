"""What the page and programs are told of the streams; all times are ms since the epoch."""

from typing import Literal, Self

import msgspec

from emostream.services.display.reports import LossSum, StageState
from emostream.shared.messages import Box, EmotionFace

SpanRow = tuple[int, float, float, str, float]


class StreamState(msgspec.Struct, frozen=True):
    """A stream now: frames/s, median latency from capture to here, ms since its last frame.

    `t` is the capture time of the newest frame in ms since the epoch; `stale` says that frames
    come without emotions, `ended` that the source came to its end.
    """

    fps: float
    latency_ms: float
    age_ms: float
    t: float
    stale: bool
    ended: bool


class FaceState(msgspec.Struct, frozen=True):
    """A face in a frame; `box` is x, y, width, height in pixels of the frame.

    `probabilities` are this frame's, `smoothed` those over the track; `label` is the one to show,
    `confidence` its smoothed probability.
    """

    track: int
    box: Box
    label: str
    confidence: float
    probabilities: dict[str, float]
    smoothed: dict[str, float]

    @classmethod
    def of(cls, face: EmotionFace) -> Self:
        """Return what is told of a face, rounded to what can be seen."""
        x, y, width, height = (round(number, 1) for number in face.box)
        return cls(
            face.track,
            (x, y, width, height),
            face.label,
            round(face.confidence, 3),
            _rounded(face.probabilities),
            _rounded(face.smoothed),
        )


class StreamNow(StreamState, frozen=True, kw_only=True):
    """A stream now, and what its newest frame shows.

    `fps` are the frames/s that came, `latency_ms` the median from capture to here, `age_ms` the
    time since the last frame, `t` its capture time in ms since the epoch. `stale`: frames come
    without emotions; `ended`: the source came to its end. `width` and `height` are in pixels; they
    and the frame's number `seq` in this `run` of the capture are null before the first.
    """

    faces: list[FaceState]
    width: int | None = None
    height: int | None = None
    seq: int | None = None
    run: str = ""


class Happening(msgspec.Struct, frozen=True):
    """A face came (`enter`), changed its label (`change`) or went (`leave`).

    `t` is in ms since the epoch, `confidence` the smoothed probability of `label`.
    """

    stream: str
    t: float
    kind: Literal["enter", "change", "leave"]
    track: int
    label: str
    previous: str
    confidence: float


class Look(msgspec.Struct, frozen=True):
    """How a label is shown: its colour, and the ink to write on it, as `#rrggbb`."""

    label: str
    color: str
    ink: str


class StreamControls(msgspec.Struct, frozen=True):
    """What commands change of a stream; `recording` is null where no recorder knows it.

    `blur`: faces are unrecognisable in the page's pictures and in video that is kept now.
    """

    recording: bool | None
    blur: bool


class ControlsState(msgspec.Struct, frozen=True):
    """What commands change, of each stream; with `token` each command must carry it."""

    token: bool = False
    streams: dict[str, StreamControls] = {}


class News(msgspec.Struct, frozen=True):
    """What changed after a revision; `complete` where that is all there is to know.

    `labels` are all that were seen, none where none is new. `spans` are track, start and end in ms
    since the epoch, label, and mean confidence; one with the start of an earlier one replaces it.
    """

    revision: int
    complete: bool
    labels: list[Look]
    streams: dict[str, StreamState]
    spans: dict[str, list[SpanRow]]
    events: list[Happening]
    stages: list[StageState] = []
    accounts: list[LossSum] = []
    controls: ControlsState = ControlsState()


class State(msgspec.Struct, frozen=True):
    """All that is known now of the streams, of the stages, and of where the frames went.

    `stages` and `accounts` are empty while no stage was asked yet.
    """

    streams: dict[str, StreamNow]
    stages: list[StageState]
    accounts: list[LossSum]
    controls: ControlsState


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {label: round(number, 3) for label, number in probabilities.items()}
