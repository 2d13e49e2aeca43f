"""The messages on the bus and their typed headers. `shared/wire.py` encodes them."""

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
# The uncertainty of an unmeasured clock: a day. If it is above half a second, no ages are reported.
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
# Keys become labels of metrics, so messages from outside must not be able to fill a disk.
MissedKey: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z]{1,16}/[a-z_]{1,24}$")]
Missed: TypeAlias = Annotated[dict[MissedKey, Number], Meta(max_length=32)]
# Pixel width divided by height: beyond any camera's, and far from overflow.
PixelAspect: TypeAlias = Annotated[float, Meta(ge=1e-4, le=1e4)]
MOST_LANDMARKS: Final = 4
LeftOut: TypeAlias = Literal["", "quality", "new"]


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields that every header has.

    `t` is the capture time in ns since the epoch, `pts` the source time in ns, and `marks` maps a
    stage to the times (ns since the epoch) at which it received and sent the message. `sent` counts
    the frames that this publisher sent before on this topic (and part). A gap in it is a loss in
    transit, while a gap in `seq` may also be a frame that an earlier stage dropped. `publisher`
    identifies the sending process; `missed` maps `<stage>/<fate>` to the number of frames of this
    stream (and part) that did not get through that stage since the process started. Add
    `clock_offset` (ns) to `t` to convert it to the sender's clock; `clock_uncertainty` is the
    possible error. These fields are present only if they apply: `probe`, `pid` and `base`; `end`,
    `frames` and `error` (why the source failed); and `states`, what a stage remembers after this
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
        """Whether this message belongs to a frame, and is neither a probe nor an end."""
        return not (self.probe or self.end)

    @property
    def local_t(self) -> int | None:
        """`t` on this process's clock, for a received message; None if not known yet."""
        is_known = self.clock_uncertainty <= MOST_UNCERTAIN_NS
        return self.t + self.clock_offset if is_known else None


class Frame(Header, frozen=True, kw_only=True, omit_defaults=True):
    """A picture; the payload is its pixels.

    `pixel_aspect` is pixel width divided by height; `recorded` is False for live sources.
    """

    width: Side
    height: Side
    encoding: Literal["bgr8", "jpeg", "i420"]
    pixel_aspect: PixelAspect = 1.0
    recorded: bool = False


class Quality(msgspec.Struct, frozen=True):
    """The quality of a face, as measured by `models/quality.py`.

    `size_px` is in frame pixels; `yaw`, `pitch` and `roll` are in degrees, or None without
    landmarks. All others are in 0..1: `cut` is the share outside the picture, `overall` the
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
    """A detected face: `box` is x, y, width, height in frame pixels.

    `landmarks` are right eye, left eye, nose and mouth center, or empty.
    """

    track: Number
    box: Box
    score: Share
    landmarks: Annotated[tuple[Point, ...], Meta(max_length=MOST_LANDMARKS)]
    quality: Quality | None = None


class Faces(Header, frozen=True, kw_only=True, omit_defaults=True):
    """The faces of a frame; the payload is N x h x w uint8 crops, aligned and contiguous.

    `recorded` is copied from the frame.
    """

    width: Side
    height: Side
    faces: Annotated[tuple[Face, ...], Meta(max_length=MOST_FACES)]
    crop: tuple[CropSide, CropSide]
    part: Part
    parts: Parts
    recorded: bool = False


class EmotionFace(msgspec.Struct, frozen=True):
    """The emotion of a face: calibrated `probabilities` of this frame, `smoothed` over the track.

    `label` is the label to show (after hysteresis), `confidence` its smoothed probability, `score`
    the detection score. `left_out` is the reason if the face does not count: its quality is too
    low, or its track is too new. Then `label` is empty, `confidence` is 0, and `smoothed` is
    unchanged from before.
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
    """The label shares that the probabilities assume: the shares in training, reweighted.

    `name` is the target of the reweighting ("natural", "uniform", "given", "estimated", or
    "trained" for none), `strength` is from 0 to 1.
    """

    name: Name
    strength: Share
    shares: Shares


class Emotion(Header, frozen=True, kw_only=True, omit_defaults=True):
    """The classified faces of one part of a frame; `prior` is None if unknown.

    `standby` is True if a standby answered instead of the active classifier.
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

    `standby` is as in `Emotion`.
    """

    kind: Literal["enter", "change", "leave"]
    track: Number
    label: Name
    previous: Name
    confidence: Share
    since: Pts
    standby: bool = False


class Credit(Header, frozen=True, kw_only=True, omit_defaults=True):
    """A consumer's confirmation that it finished everything up to `seq`; -1: nothing yet.

    With `pid`, it answers that probe. `states` is what the stages remember after frame `seq`.
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
    """A header with its payload; `shard` is the destination of a `faces/` message."""

    header: AnyHeader
    payload: Buffer | None = None
    shard: int = 0

    @property
    def topic(self) -> str:
        """The topic. It ends in `/`, so that no stream's topic is a prefix of another's."""
        name = topic_name(self.header)
        shard = f"{self.shard}/" if name == "faces" else ""
        return f"{name}/{shard}{self.header.stream}/"


def topic_name(header: AnyHeader) -> str:
    """Return the first part of these headers' topics, a key of KINDS."""
    return _NAMES[type(header)]


def common_fields(header: Header) -> dict[str, Any]:
    """Return the common header fields, for the header of an answer."""
    own = ("sent", "publisher", "missed")
    return {name: getattr(header, name) for name in Header.__struct_fields__ if name not in own}


def stamped(message: Message, stage: str, taken: int) -> Message:
    """Return the message with the stage's mark: when it received and sends it, in ns."""
    header = message.header
    marks = {**header.marks, stage: (taken, time.time_ns())}
    return Message(msgspec.structs.replace(header, marks=marks), message.payload, message.shard)
