"""Messages and clocks for tests: every field has a value, and a test names those that matter."""

import re
import threading
from typing import Any, TypeVar

from emostream.models import weights
from emostream.models.labels import LABELS
from emostream.shared.messages import (
    Emotion,
    EmotionFace,
    Event,
    Face,
    Faces,
    Frame,
    Header,
    Message,
)

COMMON: dict[str, Any] = {"stream": "cam1", "run": "r", "seq": 0, "t": 0, "pts": 0, "marks": {}}
H = TypeVar("H", bound=Header)


class Clock:
    """A clock in s that stands still until the test moves `now`."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on by so many seconds."""
        self.now += seconds


class WaitingClock:
    """A capture clock on which waiting takes no time; it remembers what it was asked to wait.

    After `tries` waits, or once stopped, it says that capture ends.
    """

    def __init__(self, time: float = 0.0, tries: int = 1_000_000) -> None:
        self.time = time
        self.tries = tries
        self.waits: list[float] = []
        self.stopped = threading.Event()

    def now(self) -> float:
        """Return the time, s."""
        return self.time

    def wait(self, seconds: float) -> bool:
        """Move on by so many seconds; return whether capture ends."""
        self.waits.append(seconds)
        self.time += max(0.0, seconds)
        if len(self.waits) >= self.tries:
            self.stopped.set()
        return self.stopped.is_set()

    def stop(self) -> None:
        """End capture."""
        self.stopped.set()


def header_of(message: Message | Header, kind: type[H]) -> H:
    """Return the header, which has to be of this kind."""
    header = message.header if isinstance(message, Message) else message
    assert isinstance(header, kind), header
    return header


def frame(seq: int = 0, *, width: int = 1, height: int = 1, **fields: Any) -> Message:
    """Return a `frame/` message whose raw picture is black; a probe or an end has none."""
    values = {**COMMON, "seq": seq, "width": width, "height": height, "encoding": "bgr8", **fields}
    header = Frame(**values)
    return Message(header, bytes(3 * width * height) if header.is_data else None)


def faces(seq: int = 0, *found: Face, **fields: Any) -> Faces:
    """Return the header of a `faces/` message, whose crops are of 64 x 64 pixels."""
    values = {"width": 640, "height": 480, "faces": found, "crop": (64, 64), "part": 0, "parts": 1}
    return Faces(**{**COMMON, "seq": seq, **values, **fields})


def face(track: int = 7, label: str = "fear", **fields: Any) -> EmotionFace:
    """Return a classified face that is surely what its label says, one of `LABELS`."""
    shares = {name: float(name == label) for name in LABELS}
    values = {
        "track": track,
        "box": (1.0, 2.0, 30.0, 40.0),
        "probabilities": shares,
        "smoothed": shares,
        "label": label,
        "confidence": 1.0,
        **fields,
    }
    return EmotionFace(**values)


def emotion(seq: int = 0, *faces: EmotionFace, **fields: Any) -> Emotion:
    """Return the header of an `emotion/` message, the only part of its frame."""
    values = {"model": "alexnet-fer", "faces": faces, "part": 0, "parts": 1, "degraded": False}
    return Emotion(**{**COMMON, "seq": seq, **values, **fields})


def event(seq: int = 0, kind: str = "enter", **fields: Any) -> Event:
    """Return the header of an `event/` message."""
    values = {"track": 7, "label": "fear", "previous": "", "confidence": 0.5, "since": 0}
    return Event(**{**COMMON, "seq": seq, "kind": kind, **values, **fields})


def toml_without_prior() -> str:
    """Return the TOML of the shipped model, without the prior that it has by default."""
    text = (weights.FOLDER / "alexnet-fer.toml").read_text("utf-8")
    return re.sub(r"^prior(_strength)? = .*\n", "", text, flags=re.MULTILINE)
