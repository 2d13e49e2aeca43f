"""The configuration: a TOML file, checked whole; every key has a default that works."""

import re
import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from emostream.shared.errors import ConfigError
from emostream.shared.fields import AtLeastOne, Count, Positive, StreamName

NotNegative = Annotated[float, Meta(ge=0)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Endpoint = Annotated[str, Meta(pattern=r"^(tcp://.+:(\d+|\*)|ipc://.+)$")]
Endpoints = Annotated[tuple[Endpoint, ...], Meta(min_length=1)]
Address = Annotated[str, Meta(pattern=r"^.+:\d+$")]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; a key that it does not know is refused."""


class Connect(Section, frozen=True):
    """Where subscribers find each topic: the endpoints that its publishers bind."""

    frame: Endpoints = ("tcp://127.0.0.1:5551",)
    faces: Endpoints = ("tcp://127.0.0.1:5552",)
    emotion: Endpoints = ("tcp://127.0.0.1:5553",)
    credit: Endpoints = ("tcp://127.0.0.1:5554",)
    control: Endpoints = ("tcp://127.0.0.1:5555",)


class Live(Section, frozen=True):
    """How work inputs are thinned when a stage cannot keep up."""

    backlog: AtLeastOne = 3
    max_age_ms: Positive = 200.0
    join_ms: Positive = 500.0
    silent_after: Positive = 10.0


class Lossless(Section, frozen=True):
    """How files go through the stages without loss; nothing is thinned."""

    credit_from: tuple[Literal["recorder"], ...] = ()
    window: AtLeastOne = 16
    stall_timeout: Positive = 30.0


class Source(Section, frozen=True):
    """One source of pictures."""

    name: StreamName = "demo"
    url: Annotated[str, Meta(min_length=1)] = "demo"
    pace: Literal["real", "fast"] = "real"
    loop: bool = False
    fps: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    width: Count = 0
    height: Count = 0
    sample: NotNegative = 0.0
    freeze_after: Positive = 5.0


class Capture(Section, frozen=True):
    """The capture process."""

    bind: Endpoint = "tcp://127.0.0.1:5551"
    metrics: Address = "127.0.0.1:9101"
    run: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{0,64}$")] = ""
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)] = (Source(),)
    encoding: Literal["bgr8", "jpeg"] = "bgr8"
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 90


class Detector(Section, frozen=True):
    """The detector process."""

    bind: Endpoint = "tcp://127.0.0.1:5552"
    metrics: Address = "127.0.0.1:9102"
    backend: Literal["blazeface", "yunet", "haar"] = "blazeface"
    weights: str = ""
    score: Probability | None = None
    tiles: Count | None = None
    tile_every: AtLeastOne = 5
    long_side: AtLeastOne = 320
    threads: AtLeastOne = 1
    shards: AtLeastOne = 1
    leave_after: Positive = 1.0


class Classifier(Section, frozen=True):
    """The classifier process."""

    bind: Endpoint = "tcp://127.0.0.1:5553"
    metrics: Address = "127.0.0.1:9103"
    model: str = "alexnet-fer"
    engine: Literal["auto", "keras", "litert", "onnxruntime"] = "auto"
    threads: AtLeastOne = 1
    max_batch: Annotated[int, Meta(ge=1, le=32)] = 32
    max_wait_ms: NotNegative = 2.0
    shard: Count = 0
    of: AtLeastOne = 1
    smoothing: NotNegative = 0.5
    hysteresis: Probability = 0.1
    hold: NotNegative = 0.3
    leave_after: Positive = 1.0
    baseline: bool = False


class Recorder(Section, frozen=True):
    """The recorder process."""

    bind: Endpoint = "tcp://127.0.0.1:5554"
    metrics: Address = "127.0.0.1:9104"
    folder: str = "recordings"
    video: bool = False
    max_gb: Positive = 2.0
    max_days: Positive = 30.0


class Display(Section, frozen=True):
    """The display process."""

    bind: Endpoint = "tcp://127.0.0.1:5555"
    metrics: Address = "127.0.0.1:9105"
    page: Address = "127.0.0.1:8080"
    token_file: str = ""
    watch: tuple[Address, ...] = ()
    window: bool = False
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 80
    max_fps: Positive = 30.0


class Config(Section, frozen=True):
    """The whole configuration."""

    insecure: bool = False
    delivery: Literal["live", "lossless"] = "live"
    blur: bool = False
    connect: Connect = field(default_factory=Connect)
    live: Live = field(default_factory=Live)
    lossless: Lossless = field(default_factory=Lossless)
    capture: Capture = field(default_factory=Capture)
    detector: Detector = field(default_factory=Detector)
    classifier: Classifier = field(default_factory=Classifier)
    recorder: Recorder = field(default_factory=Recorder)
    display: Display = field(default_factory=Display)


def load(path: Path | None, settings: Sequence[str] = ()) -> Config:
    """Return the configuration of the file (the defaults without one), changed by `settings`.

    Each setting is `key.path=value`, the value written as in TOML; a bare word is a string.
    Raises ConfigError, which names the path of what is wrong.
    """
    tree = {} if path is None else _read(path)
    for setting in settings:
        _change(tree, setting)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path or 'configuration'}: {_readable(error)}") from error
    _check(config)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is no TOML: {error}") from error


def _change(tree: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {setting}: write key=value, for example detector.backend=haar")
    *tables, last = key.strip().split(".")
    for name in tables:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {setting}: {name} is no table")
    tree[last] = _value(text.strip())


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _readable(error: msgspec.ValidationError) -> str:
    message, _, path = str(error).partition(" - at `$")
    path = path.strip(".`")
    choices = _choices(path) if message.startswith("Invalid enum value") else ()
    hint = f"; write one of {', '.join(map(str, choices))}" if choices else ""
    return f"{path or 'top level'}: {message}{hint}"


def _choices(path: str) -> tuple[Any, ...]:
    """Return the values that the key at this path may have, where it has a list of them."""
    kind: Any = Config
    for name in re.sub(r"\[[^]]*]", "", path).split("."):
        kind = Source if name == "sources" else typing.get_type_hints(kind)[name]
    choices = typing.get_args(kind)
    return typing.get_args(choices[0]) if Ellipsis in choices else choices


def _check(config: Config) -> None:
    names = [source.name for source in config.capture.sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"capture.sources: two sources are named {name}")
    if config.delivery == "lossless":
        _check_lossless(config)
    if config.classifier.shard >= config.classifier.of:
        raise ConfigError("classifier.shard: must be below classifier.of (it counts from 0)")


def _check_lossless(config: Config) -> None:
    if not config.lossless.credit_from:
        raise ConfigError(
            "lossless.credit_from: name who confirms what was written, "
            'credit_from = ["recorder"]; without that nothing bounds what is on its way'
        )
    if config.recorder.video:
        raise ConfigError(
            "recorder.video: lossless delivery keeps rows alone; set it to false "
            "(emostream analyze makes the video afterwards)"
        )
    for source in config.capture.sources:
        if source.pace != "fast" or source.loop:
            raise ConfigError(
                f"capture.sources: {source.name} cannot wait for the other stages; lossless "
                'delivery needs a file or folder at pace = "fast", without loop'
            )
