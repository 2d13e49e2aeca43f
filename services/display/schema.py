"""The JSON for the page and programs; all times are ms since the epoch."""

from typing import Literal, Self

import msgspec

from emostream.shared.messages import Box, EmotionFace, LeftOut

SegmentRow = tuple[int, float, float, str, float]


class StreamState(msgspec.Struct, frozen=True):
    """A stream now: fps, median latency from capture to here, ms since its last frame.

    `t` is the capture time of the newest frame in ms since the epoch; `stale` means that frames
    arrive without emotions, `ended` that the source has ended. `analyzed` is the share of captured
    frames with emotions over the last 5 s; `standby` means that a standby classifier answers.
    `faces_seen` counts the faces in all results since the display started, `left_out` those that
    were left out, by reason.
    """

    fps: float
    latency_ms: float
    age_ms: float
    t: float
    stale: bool
    ended: bool
    analyzed: float
    faces_seen: int
    left_out: dict[str, int]
    standby: bool = False


class FaceState(msgspec.Struct, frozen=True):
    """A face in a frame; `box` is x, y, width, height in frame pixels.

    `probabilities` are for this frame, `smoothed` over the track; `label` is the label to show,
    `confidence` its smoothed probability. `left_out` is the reason if the face is left out and has
    no label. `quality` is from 0 to 1, null if unknown.
    """

    track: int
    box: Box
    label: str
    confidence: float
    probabilities: dict[str, float]
    smoothed: dict[str, float]
    quality: float | None
    left_out: LeftOut

    @classmethod
    def of(cls, face: EmotionFace) -> Self:
        """Return a face's values, rounded to visible precision."""
        x, y, width, height = (round(number, 1) for number in face.box)
        return cls(
            face.track,
            (x, y, width, height),
            face.label,
            round(face.confidence, 3),
            _rounded(face.probabilities),
            _rounded(face.smoothed),
            round(face.quality.overall, 3) if face.quality else None,
            face.left_out,
        )


class StreamSnapshot(StreamState, frozen=True, kw_only=True):
    """A stream now, with the faces in its newest frame.

    `fps` is the rate of arriving frames, `latency_ms` the median from capture to here, `age_ms` the
    time since the last frame, `t` its capture time in ms since the epoch. `stale`: frames arrive
    without emotions; `ended`: the source has ended; `analyzed`: the share of captured frames with
    emotions over the last 5 s; `standby`: a standby classifier answers instead of the active one.
    `width` and `height` are in pixels; they and the frame's number `seq` in this `run` of the
    capture are null before the first frame. `faces_seen` counts faces since the display started,
    `left_out` those that were left out, by reason.
    """

    faces: list[FaceState]
    width: int | None = None
    height: int | None = None
    seq: int | None = None
    run: str = ""


class FaceEvent(msgspec.Struct, frozen=True):
    """A face entered (`enter`), changed its label (`change`) or left (`leave`).

    `t` is in ms since the epoch, `confidence` the smoothed probability of `label`. `number` is the
    face's small number on the page, separate for each stream.
    """

    stream: str
    t: float
    kind: Literal["enter", "change", "leave"]
    track: int
    label: str
    previous: str
    confidence: float
    number: int = 0


class LabelStyle(msgspec.Struct, frozen=True):
    """The color of a label, and the text color on it, as `#rrggbb`."""

    label: str
    color: str
    ink: str


class StageState(msgspec.Struct, frozen=True):
    """A stage now, from its metrics; `fps` is its output rate over the last 10 s.

    `away`: it does not answer. `down`: it exited too often, and its supervisor answers until it
    retries. `reason` says why it is not ready, away or down. A process known only by its address is
    `unknown` until it has answered. `analyzed` is the share of frames in that time that a detector
    or classifier processed; `whole_only` is the share that a detector searched without looking for
    small faces, for lack of time.
    """

    stage: str
    address: str
    state: Literal["ready", "not ready", "away", "down"]
    reason: str
    fps: float | None
    analyzed: float | None = None
    whole_only: float | None = None


class ConfiguredSource(msgspec.Struct, frozen=True):
    """A configured source of a capture, with or without pictures.

    `state` is `unknown` while that capture does not answer. `reason` says why no pictures arrive.
    """

    stream: str
    state: Literal["opening", "open", "lost", "ended", "unknown"]
    reason: str


class Drop(msgspec.Struct, frozen=True):
    """Frames that arrived at a stage and were dropped."""

    stage: str
    reason: str
    count: int


class Loss(msgspec.Struct, frozen=True):
    """Frames that were sent but never arrived at a stage, or were lost with its process."""

    stage: str
    count: int


class PathCounts(msgspec.Struct, frozen=True):
    """What happened to the frames of a stream.

    captured = answered + dropped + lost + lost with a process that was killed + in flight, counted
    since the processes started. The stages are not read at the same instant, so `in_flight` may be
    off by a few frames. `part` is the part of its faces, null if there is only one.
    """

    stream: str
    path: str
    captured: int
    answered: int
    dropped: list[Drop]
    lost: list[Loss]
    in_flight: int
    lost_with_process: list[Loss] = []
    part: int | None = None


class VideoFile(msgspec.Struct, frozen=True):
    """The file that a recorder is writing, and the total bytes of the recording's files."""

    path: str
    bytes: int


class StreamControls(msgspec.Struct, frozen=True):
    """The settings of a stream that commands change; `recording` is null without a recorder.

    `blur`: faces are unrecognizable on the page and in video being recorded; `pictures_blurred`: on
    the page, regardless of the recorders. `video` is the file being written, null if there is none.
    """

    recording: bool | None
    blur: bool
    video: VideoFile | None = None
    pictures_blurred: bool = False


class ControlsState(msgspec.Struct, frozen=True):
    """The settings that commands change, by stream; with `token`, commands need the token."""

    token: bool = False
    streams: dict[str, StreamControls] = {}


class Update(msgspec.Struct, frozen=True):
    """The changes after a revision; `complete` if this is the whole state.

    `sources` are those of all watched captures, in configuration order.

    `labels` are all labels seen, or none if none is new. `spans` are track, start and end in ms
    since the epoch, label, and mean confidence; a span replaces an earlier one with the same start.
    `numbers` are the faces' small numbers by track, separate for each stream.
    """

    revision: int
    complete: bool
    labels: list[LabelStyle]
    streams: dict[str, StreamState]
    spans: dict[str, list[SegmentRow]]
    events: list[FaceEvent]
    stages: list[StageState] = []
    accounts: list[PathCounts] = []
    controls: ControlsState = ControlsState()
    sources: list[ConfiguredSource] = []
    numbers: dict[int, int] = {}


class State(msgspec.Struct, frozen=True):
    """The current state of streams and stages, and the frame counts.

    `stages`, `accounts` and `sources` are empty until a stage has been polled. `sources` are in
    configuration order.
    """

    streams: dict[str, StreamSnapshot]
    stages: list[StageState]
    accounts: list[PathCounts]
    controls: ControlsState
    sources: list[ConfiguredSource]


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {label: round(number, 3) for label, number in probabilities.items()}
