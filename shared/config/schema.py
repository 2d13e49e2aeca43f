"""The keys of the configuration, their types, ranges and defaults; each default works."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, field

from emostream.shared.fields import ALLOWED, Count, StreamName
from emostream.shared.prior import Prior

# Upper bounds are far beyond sensible values, and within what sockets, threads and OpenCV accept.
DAY_S, YEAR_S = 86_400, 366 * 86_400
Seconds = Annotated[float, Meta(gt=0, le=DAY_S)]
Milliseconds = Annotated[float, Meta(gt=0, le=1000 * DAY_S)]
# A stage's loop runs five times per second.
MIN_HUNG_AFTER_S = 1.0
HungAfter = Annotated[float, Meta(ge=MIN_HUNG_AFTER_S, le=DAY_S)]
# In source time: a recording may span weeks.
Pts = Annotated[float, Meta(ge=0, le=YEAR_S)]
PositivePts = Annotated[float, Meta(gt=0, le=YEAR_S)]
Rate = Annotated[float, Meta(ge=0, le=1000)]
Side = Annotated[int, Meta(ge=0, le=16_384)]
Few = Annotated[int, Meta(ge=1, le=1024)]
Engine: TypeAlias = Literal["auto", "keras", "litert", "onnxruntime"]
Quality = Annotated[int, Meta(ge=1, le=100)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Endpoint = Annotated[
    str,
    Meta(
        pattern=r"^(tcp://.+:(\d+|\*)|ipc://.+)$",
        extra={ALLOWED: "tcp://HOST:PORT or ipc://PATH, for example tcp://127.0.0.1:5551"},
    ),
]
Endpoints = Annotated[tuple[Endpoint, ...], Meta(min_length=1)]
Address = Annotated[
    str, Meta(pattern=r"^.+:\d+$", extra={ALLOWED: "HOST:PORT, for example 127.0.0.1:9200"})
]
HostName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.-]{1,253}$",
        extra={ALLOWED: "a DNS name without a port, for example faces.example.org"},
    ),
]
RunId = Annotated[
    str,
    Meta(
        pattern=r"^[a-zA-Z0-9_-]{0,64}$",
        extra={ALLOWED: "up to 64 letters, digits, - and _, for example 2026-05-01"},
    ),
]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; unknown keys are refused."""


class Connect(Section, frozen=True):
    """The endpoints of the publishers of each topic, for subscribers."""

    frame: Endpoints = ("tcp://127.0.0.1:5551",)
    faces: Endpoints = ("tcp://127.0.0.1:5552",)
    emotion: Endpoints = ("tcp://127.0.0.1:5553",)
    credit: Endpoints = ("tcp://127.0.0.1:5554",)
    control: Endpoints = ("tcp://127.0.0.1:5555",)


class Live(Section, frozen=True):
    """How work inputs are thinned when a stage cannot keep up."""

    backlog: Few = 3
    max_age_ms: Milliseconds = 200.0
    join_ms: Milliseconds = 500.0
    silent_after: Seconds = 10.0
    hung_after: HungAfter = 30.0
    max_streams: Annotated[int, Meta(ge=1, le=65_536)] = 256
    max_message_mb: Annotated[int, Meta(ge=1, le=16_384)] = 256
    shared_memory: bool = True

    @property
    def max_message_bytes(self) -> int:
        """The largest message part that a subscriber accepts."""
        return self.max_message_mb * 1_000_000


class Lossless(Section, frozen=True):
    """How files pass through the stages without loss; no frames are dropped."""

    credit_from: tuple[Literal["recorder"], ...] = ()
    window: Few = 16
    stall_timeout: Seconds = 30.0


class Source(Section, frozen=True):
    """One source of pictures; `${NAME}` in its URL stands for an environment variable."""

    name: StreamName = "demo"
    url: Annotated[str, Meta(min_length=1)] = "demo"
    password_file: str = ""
    pace: Literal["real", "fast"] = "real"
    loop: bool = False
    fps: Rate = 0.0
    width: Side = 0
    height: Side = 0
    sample: Rate = 0.0
    freeze_after: Seconds = 5.0


class Capture(Section, frozen=True):
    """The capture process."""

    bind: Endpoint = "tcp://127.0.0.1:5551"
    metrics: Address = "127.0.0.1:9101"
    run: RunId = ""
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)] = (Source(),)
    encoding: Literal["bgr8", "jpeg", "i420"] = "bgr8"
    jpeg_quality: Quality = 90


class Detector(Section, frozen=True):
    """The detector process."""

    bind: Endpoint = "tcp://127.0.0.1:5552"
    metrics: Address = "127.0.0.1:9102"
    backend: Literal["auto", "yunet", "blazeface", "haar"] = "auto"
    weights: str = ""
    score: Probability | None = None
    tiles: Annotated[int, Meta(ge=0, le=1024)] | None = None
    tile_every: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    extra_looks: Annotated[float, Meta(ge=0, le=1024)] | None = None
    search_every: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    long_side: Annotated[int, Meta(ge=1, le=16_384)] = 640
    threads: Few = 1
    shards: Few = 1
    leave_after: PositivePts = 1.0


class Classifier(Section, frozen=True):
    """The classifier process."""

    bind: Endpoint = "tcp://127.0.0.1:5553"
    metrics: Address = "127.0.0.1:9103"
    model: str = "alexnet-fer"
    engine: Literal["auto", "keras", "litert", "onnxruntime", "ray"] = "auto"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: Few = 1
    max_batch: Few = 32
    max_wait_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0.0
    shard: Count = 0
    of: Few = 1
    smoothing: Pts = 0.5
    hysteresis: Probability = 0.1
    hold: Pts = 0.2
    leave_after: PositivePts = 1.0
    baseline: bool = False
    min_quality: Probability = 0.65
    enter_frames: Few = 3
    prior: Prior | None = None
    prior_strength: Probability | None = None
    standby: bool = False
    active: tuple[Endpoint, ...] = ()
    standbys: tuple[Endpoint, ...] = ()
    takeover_after: Seconds = 1.0
    ray_address: str = ""
    ray_engine: Engine = "auto"
    ray_min_actors: Few = 1
    ray_max_actors: Few = 4
    ray_cpus: Rate = 1.0
    ray_gpus: Rate = 0.0
    ray_in_flight: Annotated[int, Meta(ge=1, le=16)] = 2
    ray_scale_up_ms: Milliseconds = 50.0
    ray_scale_down_after: Seconds = 30.0

    @property
    def model_engine(self) -> Engine:
        """The engine that runs the model, in this process or in actors of Ray."""
        return self.ray_engine if self.engine == "ray" else self.engine


class Recorder(Section, frozen=True):
    """The recorder process."""

    bind: Endpoint = "tcp://127.0.0.1:5554"
    metrics: Address = "127.0.0.1:9104"
    folder: str = "recordings"
    video: bool = False
    max_gb: Annotated[float, Meta(gt=0, le=1_000_000)] = 2.0
    max_days: Annotated[float, Meta(gt=0, le=36_600)] = 30.0
    buffer_s: Annotated[float, Meta(ge=0, le=3600)] = 120.0


class Display(Section, frozen=True):
    """The display process."""

    bind: Endpoint = "tcp://127.0.0.1:5555"
    metrics: Address = "127.0.0.1:9105"
    page: Address = "127.0.0.1:8080"
    token_file: str = ""
    viewer_token_file: str = ""
    create_token: bool = False
    tls_cert: str = ""
    tls_key: str = ""
    watch: tuple[Address, ...] = ()
    max_viewers: Few = 100
    window: bool = False
    jpeg_quality: Quality = 80
    max_fps: Annotated[float, Meta(gt=0, le=1000)] = 30.0


class Relay(Section, frozen=True):
    """The relay process."""

    connect: Endpoints = ("tcp://127.0.0.1:5553",)
    bind: Endpoint = "tcp://127.0.0.1:5563"
    metrics: Address = "127.0.0.1:9106"
    queue: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000


SecurityMode: TypeAlias = Literal["auto", "required", "disabled"]


class Security(Section, frozen=True):
    """Which traffic is encrypted, and where this host's keys and tokens are."""

    mode: SecurityMode = "auto"
    folder: Annotated[str, Meta(min_length=1)] = "~/.config/emostream/keys"
    metrics_token_file: str = ""

    @property
    def is_disabled(self) -> bool:
        """Whether nothing is encrypted, beyond loopback too."""
        return self.mode == "disabled"


class Config(Section, frozen=True):
    """The whole configuration."""

    allowed_hosts: tuple[HostName, ...] = ()
    delivery: Literal["live", "lossless"] = "live"
    blur: bool = False
    security: Security = field(default_factory=Security)
    connect: Connect = field(default_factory=Connect)
    live: Live = field(default_factory=Live)
    lossless: Lossless = field(default_factory=Lossless)
    capture: Capture = field(default_factory=Capture)
    detector: Detector = field(default_factory=Detector)
    classifier: Classifier = field(default_factory=Classifier)
    recorder: Recorder = field(default_factory=Recorder)
    display: Display = field(default_factory=Display)
    relay: Relay = field(default_factory=Relay)
