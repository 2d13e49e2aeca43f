"""Messages from the bus: any bytes must yield a Message or a MessageError."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from emostream.services.display.display_state import DisplayState
from emostream.services.display.face_timeline import FaceTimeline
from emostream.shared.annotate import annotate
from emostream.shared.errors import MessageError
from emostream.shared.join import StreamJoin
from emostream.shared.messages import (
    Control,
    Credit,
    Emotion,
    EmotionFace,
    Event,
    Face,
    Faces,
    Frame,
    Message,
)
from emostream.shared.pixels import image
from emostream.shared.wire import decode, encode

COMMON: Final[dict[str, Any]] = {
    "stream": "cam1",
    "run": "r",
    "seq": 7,
    "t": 10**18,
    "pts": 40,
    "marks": {"capture": (1, 2)},
}
# A JPEG of one pixel would be decoded repeatedly without new coverage.
MAX_PIXELS = 10_000


def decode_message(data: bytes) -> None:
    """Decode a message; the result must be sendable, joinable, drawable and valid as JSON.

    The bytes are the number of parts, followed by each part with its length in two bytes.
    """
    try:
        message = decode(_parts(data))
    except MessageError as error:
        assert error.reason
        return
    assert decode([bytes(part) for part in encode(message)]) == message
    _show(message)


def _parts(data: bytes) -> list[bytes]:
    count, at, parts = data[0] % 5 if data else 0, 1, []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        parts.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return parts


def _show(message: Message) -> None:
    header = message.header
    state, join = DisplayState(), StreamJoin(0.5)
    match header:
        case Frame() if header.is_data and header.width * header.height <= MAX_PIXELS:
            join.add(message, 0.0)
            for joined in join.ready(1.0):
                state.add_frame(joined)
            try:
                image(message)
            except MessageError:
                return
        case Emotion() if header.is_data:
            state.add_results(header)
            FaceTimeline().add(header, 1)
            annotate(np.zeros((48, 64, 3), np.uint8), header.faces)
        case Event() if header.is_data:
            state.add_event(header)
    text = msgspec.json.encode((state.update(0), state.snapshots()))
    json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def message_seeds() -> Iterator[bytes]:
    """Yield a message of each kind, a probe and an end."""
    shares = {"neutral": 0.25, "happiness": 0.75}
    found = EmotionFace(5, (0.0, 1.0, 2.0, 3.0), shares, shares, "happiness", 0.75, 0.5)
    face = Face(5, (0.0, 1.0, 2.0, 3.0), 0.9, ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0)))
    size: dict[str, Any] = {"width": 2, "height": 1}
    part: dict[str, Any] = {"part": 0, "parts": 1}
    for header, payload in (
        (Frame(**COMMON, **size, encoding="bgr8", pixel_aspect=1.5), bytes(6)),
        (Frame(**COMMON, **size, encoding="jpeg"), b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
        (Frame(**COMMON, **size, encoding="bgr8", end=True, frames=7, error="it ended"), None),
        (Frame(**COMMON, **size, encoding="bgr8", probe=True, pid=1, base=2), None),
        (Faces(**COMMON, **size, faces=(face,), crop=(2, 2), **part), bytes(4)),
        (Emotion(**COMMON, model="m", faces=(found,), **part, degraded=False), None),
        (
            Event(
                **COMMON, kind="change", track=5, label="a", previous="b", confidence=0.5, since=1
            ),
            None,
        ),
        (Credit(**COMMON, consumer="recorder", states={"detector/0": b"x"}), None),
        (Control(**COMMON, command="blur", arguments={"on": True}), None),
    ):
        parts = [bytes(part) for part in encode(Message(header, payload))]
        yield bytes([len(parts)]) + b"".join(len(part).to_bytes(2, "big") + part for part in parts)
