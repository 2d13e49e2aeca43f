"""The messages on the bus: their typed headers. `shared/wire.py` brings them into bytes."""

import time
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from emostream.shared.fields import (
    LARGEST_COUNT,
    MOST_FACES,
    Coordinate,
    CropSide,
    Name,
    Nanoseconds,
    Number,
    Part,
    Parts,
    Pts,
    Reason,
    RunName,
    Share,
    Side,
    StreamName,
)

Buffer: TypeAlias = bytes | memoryview
# How uncertain a clock is that was not measured yet: a day. Beyond half a second nothing is told of
# how old something is.
UNKNOWN_CLOCK_NS: Final = 86_400_000_000_000
MOST_UNCERTAIN_NS: Final = 500_000_000
# Far more than a frame passes.
MOST_STAGES: Final = 32
Point: TypeAlias = tuple[Coordinate, Coordinate]
Box: TypeAlias = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
Marks: TypeAlias = Annotated[
    dict[Name, tuple[Nanoseconds, Nanoseconds]], Meta(max_length=MOST_STAGES)
]
States: TypeAlias = Annotated[dict[Name, bytes], Meta(max_length=MOST_STAGES)]
Shares: TypeAlias = dict[Name, Share]
Degrees: TypeAlias = Annotated[float, Meta(ge=-180, le=180)]
# Keys become the labels of metrics, so what comes from outside must not be able to fill a disk.
MissedKey: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z]{1,16}/[a-z_]{1,24}$")]
Missed: TypeAlias = Annotated[dict[MissedKey, Number], Meta(max_length=32)]
# A pixel's width by its height: beyond any camera's, and far from what overflows.
PixelAspect: TypeAlias = Annotated[float, Meta(ge=1e-4, le=1e4)]
MOST_LANDMARKS: Final = 4
LeftOut: TypeAlias = Literal["", "quality", "new"]


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every header carries.

    `t` is the time of capture in ns since the epoch, `pts` the time in the source in ns, and
    `marks` maps a stage to the ns since the epoch at which it took and gave the message. `sent`
    counts the frames that this publisher sent before on this topic (and part): a gap in it is a
    loss on the way here, where a gap in `seq` may also be a frame dropped further up. `publisher`
    names this start of the process that sent it; `missed` maps `<stage>/<fate>` to how many frames
    of this stream (and part) did not get through it since then. `clock_offset` is what to add to
    `t` to have it by the clock of the sender, ns, and `clock_uncertainty` by how much that
    may be wrong. `probe`, `pid` and `base`, and `end`, `frames` and `error` (why the source
    failed), are present only where they apply, as are `states`: what a stage remembers after this
    frame.
    """

    stream: StreamName
    run: RunName
    seq: Number
    t: Nanoseconds
    pts: Pts
    marks: Marks
    sent: Number = 0
    publisher: Name = ""
    missed: Missed = {}
    clock_offset: Pts = 0
    clock_uncertainty: Nanoseconds = 0
    probe: bool = False
    pid: Number = 0
    base: Number = 0
    end: bool = False
    frames: Number = 0
    error: Reason = ""
    states: States = {}

    @property
    def is_data(self) -> bool:
        """Whether this is a frame's message, and neither a probe nor an end."""
        return not (self.probe or self.end)

    @property
    def local_t(self) -> int | None:
        """`t` by the clock of this process, once the message was received; None: not known yet."""
        is_known = self.clock_uncertainty <= MOST_UNCERTAIN_NS
        return self.t + self.clock_offset if is_known else None


class Frame(Header, frozen=True, kw_only=True, omit_defaults=True):
    """A picture; the payload is its pixels.

    `pixel_aspect` is a pixel's width by its height, `recorded` whether the source is no live one.
    """

    width: Side
    height: Side
    encoding: Literal["bgr8", "jpeg", "i420"]
    pixel_aspect: PixelAspect = 1.0
    recorded: bool = False


class Quality(msgspec.Struct, frozen=True):
    """How well a face can be judged; `models/quality.py` measures it and says how.

    `size_px` is in pixels of the frame, `yaw`, `pitch` and `roll` in degrees, or None if there are
    no landmarks. All others lie in 0..1: `cut` is the share outside the picture, `overall` the
    probability that the label is right.
    """

    size_px: Coordinate
    sharpness: Share
    brightness: Share
    contrast: Share
    noise: Share
    yaw: Degrees | None
    pitch: Degrees | None
    roll: Degrees | None
    cut: Share
    overall: Share


class Face(msgspec.Struct, frozen=True):
    """A face as found: `box` is x, y, width, height in pixels of the frame.

    `landmarks` are right eye, left eye, nose and middle of the mouth, or none.
    """

    track: Number
    box: Box
    score: Share
    landmarks: Annotated[tuple[Point, ...], Meta(max_length=MOST_LANDMARKS)]
    quality: Quality | None = None


class Faces(Header, frozen=True, kw_only=True, omit_defaults=True):
    """The faces of a frame; the payload is N x h x w uint8 crops, aligned and contiguous.

    `recorded` is that of the frame.
    """

    width: Side
    height: Side
    faces: Annotated[tuple[Face, ...], Meta(max_length=MOST_FACES)]
    crop: tuple[CropSide, CropSide]
    part: Part
    parts: Parts
    recorded: bool = False


class EmotionFace(msgspec.Struct, frozen=True):
    """What a face expresses: calibrated `probabilities` of this frame, `smoothed` over the track.

    `label` is the one to show (after hysteresis), `confidence` its smoothed probability, `score`
    the detection's. `left_out` says why the face counts for nothing: its quality is too low, or its
    track is too new. Its `label` is then empty, its `confidence` 0, and `smoothed` what the track
    had before.
    """

    track: Number
    box: Box
    probabilities: Shares
    smoothed: Shares
    label: Name
    confidence: Share
    score: Share = 0.0
    quality: Quality | None = None
    left_out: LeftOut = ""


class EmotionPrior(msgspec.Struct, frozen=True):
    """The labels' shares that the probabilities reckon with: those in training, reweighted.

    `name` is what they were reweighted to ("natural", "uniform", "given", "estimated", or "trained"
    for nothing), with `strength` from 0 to 1.
    """

    name: Name
    strength: Share
    shares: Shares


class Emotion(Header, frozen=True, kw_only=True, omit_defaults=True):
    """The classified faces of one part of a frame; `prior` is None if it is not known.

    `standby` says that a standby answered instead of the active classifier.
    """

    model: Name
    faces: Annotated[tuple[EmotionFace, ...], Meta(max_length=MOST_FACES)]
    part: Part
    parts: Parts
    degraded: bool
    prior: EmotionPrior | None = None
    standby: bool = False


class Event(Header, frozen=True, kw_only=True, omit_defaults=True):
    """A track's `enter`, `change` of label or `leave`; `since` is the pts at which it began.

    `standby` is as in an answer.
    """

    kind: Literal["enter", "change", "leave"]
    track: Number
    label: Name
    previous: Name
    confidence: Share
    since: Pts
    standby: bool = False


class Credit(Header, frozen=True, kw_only=True, omit_defaults=True):
    """A consumer's confirmation that everything up to `seq` was wholly consumed; -1: nothing yet.

    With `pid` it answers that probe; `states` is what the stages remember after frame `seq`.
    """

    seq: Annotated[int, Meta(ge=-1, le=LARGEST_COUNT)]
    consumer: Name


class Control(Header, frozen=True, kw_only=True, omit_defaults=True):
    """A command to the stages that handle a stream."""

    command: Name
    arguments: dict[str, Any]


AnyHeader: TypeAlias = Frame | Faces | Emotion | Event | Credit | Control
KINDS: dict[str, type[AnyHeader]] = {
    "frame": Frame,
    "faces": Faces,
    "emotion": Emotion,
    "event": Event,
    "credit": Credit,
    "control": Control,
}
_NAMES = {header: name for name, header in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """A header with its payload; `shard` is the shard that a `faces/` message goes to."""

    header: AnyHeader
    payload: Buffer | None = None
    shard: int = 0

    @property
    def topic(self) -> str:
        """The topic, which ends in `/` so that no stream's topic is another's prefix."""
        name = topic_name(self.header)
        shard = f"{self.shard}/" if name == "faces" else ""
        return f"{name}/{shard}{self.header.stream}/"


def topic_name(header: AnyHeader) -> str:
    """Return the first word of the topics that such headers travel on, a key of KINDS."""
    return _NAMES[type(header)]


def common_fields(header: Header) -> dict[str, Any]:
    """Return the fields that every header has, for the header of an answer."""
    own = ("sent", "publisher", "missed")
    return {name: getattr(header, name) for name in Header.__struct_fields__ if name not in own}


def stamped(message: Message, stage: str, taken: int) -> Message:
    """Return the message with the stage's mark: when it took and when it gives, ns."""
    header = message.header
    marks = {**header.marks, stage: (taken, time.time_ns())}
    return Message(msgspec.structs.replace(header, marks=marks), message.payload, message.shard)
