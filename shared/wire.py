"""The encoding of messages as ZeroMQ multiparts [topic, header, payload]."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgpack
import msgspec

from emostream.shared.errors import MessageError
from emostream.shared.fields import MOST_PARTS, STREAM_PATTERN
from emostream.shared.messages import KINDS, AnyHeader, Buffer, Emotion, Faces, Frame, Message
from emostream.shared.plural import counted

VERSION: Final = 1
# Small objects take up to 60 times their encoded size in memory.
MAX_TOPIC_BYTES: Final = 128
MAX_HEADER_BYTES: Final = 4 * 2**20
# Enough for some 10,000 faces; three faces take 600 bytes.
MAX_STATES_BYTES: Final = 2 * 2**20
TOPIC: Final = re.compile(
    rf"(faces)/(0|[1-9]\d{{0,3}})/({STREAM_PATTERN.pattern})/"
    rf"|({'|'.join(kind for kind in KINDS if kind != 'faces')})/({STREAM_PATTERN.pattern})/",
    re.ASCII,
)

# msgspec 0.22 crashes if two threads are the first to convert to the same type.
for _kind in KINDS.values():
    with contextlib.suppress(msgspec.ValidationError):
        msgspec.convert({}, _kind)


def encode(message: Message) -> list[Buffer]:
    """Return the parts [topic, header, payload], or [topic, header] if there is no payload."""
    header = {"v": VERSION, **msgspec.to_builtins(message.header)}
    parts: list[Buffer] = [message.topic.encode(), msgpack.packb(header)]
    if message.payload is not None:
        parts.append(message.payload)
    return parts


def decode(parts: Sequence[Buffer]) -> Message:
    """Return the message in the parts.

    Raises MessageError, with the path of the invalid value, if they violate the wire format.
    """
    if len(parts) not in (2, 3):
        raise MessageError("parts", f"{counted(len(parts), 'part')} instead of 2 or 3")
    kind, shard, stream = _parse_topic(bytes(memoryview(parts[0])[:MAX_TOPIC_BYTES]))
    fields = unpack(parts[1])
    if fields.get("v") != VERSION:
        raise MessageError("version", f"v is {fields.get('v')!r}, not {VERSION}")
    try:
        header = msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise MessageError("header", str(error)) from error
    if (size := sum(map(len, header.states.values()))) > MAX_STATES_BYTES:
        raise MessageError("header", f"{size} bytes of states, more than {MAX_STATES_BYTES}")
    if header.stream != stream:
        raise MessageError("topic", f"stream {stream!r} in the topic, {header.stream!r} inside")
    if isinstance(header, Faces | Emotion) and header.part >= header.parts:
        raise MessageError("header", f"part {header.part} of {header.parts} parts")
    if isinstance(header, Faces) and header.part != shard:
        raise MessageError("topic", f"shard {shard} in the topic, part {header.part} inside")
    payload = parts[2] if len(parts) == 3 else None
    _check_payload(header, payload)
    return Message(header, payload, shard)


def _parse_topic(topic: bytes) -> tuple[type[AnyHeader], int, str]:
    match = TOPIC.fullmatch(topic.decode("ascii", "replace"))
    shard = int(match[2] or 0) if match else 0
    if match is None or shard >= MOST_PARTS:
        raise MessageError("topic", f"unknown topic {topic[:80]!r}")
    return KINDS[match[1] or match[4]], shard, match[3] or match[5]


def unpack(part: Buffer, most: int = MAX_HEADER_BYTES) -> Mapping[str, Any]:
    """Return the map in a part of at most `most` bytes; MessageError if it is not a map."""
    if (size := memoryview(part).nbytes) > most:
        raise MessageError("header", f"{size} bytes, more than {most}")
    try:
        fields = msgpack.unpackb(part)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise MessageError("msgpack", str(error)) from error
    if not isinstance(fields, dict):
        raise MessageError("msgpack", f"a {type(fields).__name__} instead of a map")
    return fields


def _check_payload(header: AnyHeader, payload: Buffer | None) -> None:
    expected = _payload_size(header) if header.is_data else 0
    size = 0 if payload is None else memoryview(payload).nbytes
    if expected is None:
        if size == 0:
            raise MessageError("payload", "an empty picture")
    elif size != expected:
        raise MessageError("payload", f"{size} bytes instead of {expected}")


def _payload_size(header: AnyHeader) -> int | None:
    """Return the required size of the payload in bytes, None if any size but 0 is valid."""
    match header:
        case Frame(encoding="bgr8"):
            return header.width * header.height * 3
        case Frame(encoding="i420"):
            if header.width % 2 or header.height % 2:
                raise MessageError("header", f"i420 of {header.width} x {header.height} pixels")
            return header.width * header.height * 3 // 2
        case Frame():
            return None
        case Faces():
            return len(header.faces) * header.crop[0] * header.crop[1]
        case _:
            return 0
