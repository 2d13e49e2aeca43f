"""The JSON that the page and programs receive; all times are ms since the epoch."""

from typing import Literal, Self

import msgspec

from emostream.shared.messages import Box, EmotionFace, LeftOut

SegmentRow = tuple[int, float, float, str, float]


class StreamState(msgspec.Struct, frozen=True):
    """A stream now: frames/s, median latency from capture to here, ms since its last frame.

    `t` is the capture time of the newest frame in ms since the epoch; `stale` says that frames
    come without emotions, `ended` that the source came to its end. `analyzed` is the share of the
    captured frames whose emotions came, over the last 5 s; `standby` says that a standby classifier
    gives them. Of the `faces_seen` in all results since the display started, `left_out` count for
    nothing, by reason.
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
    """A face in a frame; `box` is x, y, width, height in pixels of the frame.

    `probabilities` are this frame's, `smoothed` those over the track; `label` is the one to show,
    `confidence` its smoothed probability. `left_out` says why the face counts for nothing and has
    no label, `quality` how well it can be judged (0 to 1, null where that is not known).
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
        """Return a face's values, rounded to what can be seen."""
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
    """A stream now, and what its newest frame shows.

    `fps` are the frames/s that came, `latency_ms` the median from capture to here, `age_ms` the
    time since the last frame, `t` its capture time in ms since the epoch. `stale`: frames come
    without emotions; `ended`: the source came to its end; `analyzed`: the share of the captured
    frames whose emotions came, over the last 5 s; `standby`: a standby classifier gives them,
    instead of the active one. `width` and `height` are in pixels; they and the frame's number `seq`
    in this `run` of the capture are null before the first. Of the `faces_seen` since the display
    started, `left_out` count for nothing, by reason.
    """

    faces: list[FaceState]
    width: int | None = None
    height: int | None = None
    seq: int | None = None
    run: str = ""


class FaceEvent(msgspec.Struct, frozen=True):
    """A face came (`enter`), changed its label (`change`) or went (`leave`).

    `t` is in ms since the epoch, `confidence` the smoothed probability of `label`. `number` is what
    people call the face on the page: small, and each stream has its own.
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
    """How a label is shown: its color, and the ink to write on it, as `#rrggbb`."""

    label: str
    color: str
    ink: str


class StageState(msgspec.Struct, frozen=True):
    """A stage now, by its metrics; `fps` are the frames/s that it gave over the last 10 s.

    `away`: it does not answer. `down`: it ended too often, and its supervisor answers until it
    tries it again. `reason` says why it is not ready, away or down. A process that was only given
    by its address is `unknown` until it has answered. Of the frames that came to it in that time,
    a detector or classifier worked on the share `analyzed`; a detector searched the share
    `whole_only` without looking for small faces, for lack of time.
    """

    stage: str
    address: str
    state: Literal["ready", "not ready", "away", "down"]
    reason: str
    fps: float | None
    analyzed: float | None = None
    whole_only: float | None = None


class ConfiguredSource(msgspec.Struct, frozen=True):
    """A source as its capture is configured to read it, whether or not a picture came.

    `state` is `unknown` while that capture does not answer. `reason` says why no picture comes.
    """

    stream: str
    state: Literal["opening", "open", "lost", "ended", "unknown"]
    reason: str


class Drop(msgspec.Struct, frozen=True):
    """Frames that arrived at a stage and were not worked on."""

    stage: str
    reason: str
    count: int


class Loss(msgspec.Struct, frozen=True):
    """Frames that were sent and never arrived at a stage, or were lost with its process."""

    stage: str
    count: int


class PathCounts(msgspec.Struct, frozen=True):
    """Where the frames of a stream went.

    captured = answered + dropped + lost + lost with a process that was killed + in flight, counted
    since the processes started. The stages are not asked at one instant, so `in_flight` may be some
    frames off. `part` is the part of its faces, null where there is but one.
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
    """The file that a recorder writes now, and the bytes of the recording in all of its files."""

    path: str
    bytes: int


class StreamControls(msgspec.Struct, frozen=True):
    """What commands change of a stream; `recording` is null where no recorder knows it.

    `blur`: faces are unrecognizable in the page's pictures and in video that is kept now;
    `pictures_blurred`: in the page's pictures, whatever the recorders do. `video` says where the
    recording goes, null while nothing is written.
    """

    recording: bool | None
    blur: bool
    video: VideoFile | None = None
    pictures_blurred: bool = False


class ControlsState(msgspec.Struct, frozen=True):
    """What commands change, of each stream; with `token` each command must carry it."""

    token: bool = False
    streams: dict[str, StreamControls] = {}


class Update(msgspec.Struct, frozen=True):
    """What changed after a revision; `complete` where that is all there is to know.

    `sources` are those of all captures that are watched, in the order of the configuration.

    `labels` are all that were seen, none if none is new. `spans` are track, start and end in ms
    since the epoch, label, and mean confidence; one with the start of an earlier one replaces it.
    `numbers` are what people call the faces, by their tracks: small, and each stream has its own.
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
    """The current state of the streams, of the stages, and of where the frames went.

    `stages`, `accounts` and `sources` are empty while no stage was asked yet. `sources` are in the
    order of the configuration.
    """

    streams: dict[str, StreamSnapshot]
    stages: list[StageState]
    accounts: list[PathCounts]
    controls: ControlsState
    sources: list[ConfiguredSource]


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {label: round(number, 3) for label, number in probabilities.items()}
