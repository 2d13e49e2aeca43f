"""The wire format: what is sent is what is read, and what is broken is named."""

from typing import Any

import msgpack
import pytest

from emostream.shared.errors import MessageError
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
from emostream.shared.wire import decode, encode

COMMON: dict[str, Any] = {
    "stream": "cam1",
    "run": "r1",
    "seq": 7,
    "t": 10**18,
    "pts": 40_000_000,
    "marks": {},
}
LANDMARKS = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0))
SHARES = {"neutral": 0.25, "happiness": 0.75}
MESSAGES = {
    "frame/cam1/": Message(Frame(**COMMON, width=2, height=1, encoding="bgr8"), b"\x00" * 6),
    "faces/3/cam1/": Message(
        Faces(
            **COMMON,
            width=2,
            height=1,
            faces=(Face(5, (0.0, 1.0, 2.0, 3.0), 0.9, LANDMARKS),),
            crop=(2, 2),
            part=3,
            parts=4,
        ),
        b"\x01" * 4,
        shard=3,
    ),
    "emotion/cam1/": Message(
        Emotion(
            **COMMON,
            model="alexnet-fer",
            faces=(EmotionFace(5, (0.0, 1.0, 2.0, 3.0), SHARES, SHARES, "happiness", 0.75),),
            part=0,
            parts=1,
            degraded=False,
        )
    ),
    "event/cam1/": Message(
        Event(
            **COMMON,
            kind="change",
            track=5,
            label="happiness",
            previous="neutral",
            confidence=0.75,
            since=1,
        )
    ),
    "credit/cam1/": Message(Credit(**COMMON, consumer="recorder")),
    "control/cam1/": Message(Control(**COMMON, command="pause", arguments={"on": True})),
}


@pytest.mark.parametrize("topic", MESSAGES)
def test_a_message_comes_out_as_it_went_in(topic: str) -> None:
    message = MESSAGES[topic]
    parts = encode(message)
    assert bytes(parts[0]).decode() == topic
    assert decode(parts) == message


@pytest.mark.parametrize("topic", MESSAGES)
def test_the_header_is_a_plain_msgpack_map_with_all_common_fields(topic: str) -> None:
    header = msgpack.unpackb(encode(MESSAGES[topic])[1])
    assert header["v"] == 1
    assert {"stream", "run", "seq", "t", "pts", "marks"} <= header.keys()
    assert not {"probe", "pid", "base", "end", "frames"} & header.keys()


def test_an_end_carries_the_count_of_frames_and_no_payload() -> None:
    end = Frame(**COMMON, width=2, height=1, encoding="bgr8", end=True, frames=8)
    parts = encode(Message(end))
    assert len(parts) == 2
    assert msgpack.unpackb(parts[1])["frames"] == 8
    assert decode(parts).header == end


def test_keys_that_are_not_known_are_ignored() -> None:
    topic, header, payload = encode(MESSAGES["frame/cam1/"])
    newer = msgpack.packb({**msgpack.unpackb(header), "exposure": 3})
    assert decode([topic, newer, payload]) == MESSAGES["frame/cam1/"]


def _header(**changes: object) -> bytes:
    fields = msgpack.unpackb(encode(MESSAGES["frame/cam1/"])[1])
    packed: bytes = msgpack.packb({**fields, **changes})
    return packed


@pytest.mark.parametrize(
    ("parts", "reason", "named"),
    [
        ([b"frame/cam1/"], "parts", "1 part instead"),
        ([b"frame/cam1", _header(), b"\x00" * 6], "topic", "frame/cam1"),
        ([b"video/cam1/", _header(), b"\x00" * 6], "topic", "video"),
        ([b"faces/x/cam1/", _header(), b""], "topic", "faces"),
        ([b"frame/CAM/", _header(), b""], "topic", "CAM"),
        ([b"\xff\xfe/", _header(), b""], "topic", ""),
        ([b"frame/cam2/", _header(), b"\x00" * 6], "topic", "cam2"),
        ([b"frame/cam1/", b"\xc1", b"\x00" * 6], "msgpack", ""),
        ([b"frame/cam1/", b"", b"\x00" * 6], "msgpack", ""),
        ([b"frame/cam1/", b"\x91" * 2000, b"\x00" * 6], "msgpack", ""),
        ([b"frame/cam1/", msgpack.packb([1]), b"\x00" * 6], "msgpack", "list"),
        ([b"frame/cam1/", _header(v=2), b"\x00" * 6], "version", "2"),
        ([b"frame/cam1/", _header(seq="7"), b"\x00" * 6], "header", "seq"),
        ([b"frame/cam1/", _header(seq=-1), b"\x00" * 6], "header", "seq"),
        ([b"frame/cam1/", _header(width=0), b"\x00" * 6], "header", "width"),
        ([b"frame/cam1/", _header(encoding="png"), b"\x00" * 6], "header", "encoding"),
        ([b"frame/cam1/", msgpack.packb({"v": 1}), b"\x00" * 6], "header", "stream"),
        ([b"frame/cam1/", _header(), b"\x00" * 5], "payload", "5 bytes"),
        ([b"frame/cam1/", _header()], "payload", "0 bytes"),
        ([b"frame/cam1/", _header(encoding="jpeg"), b""], "payload", "empty"),
    ],
)
def test_a_broken_message_is_refused_by_name(parts: list[bytes], reason: str, named: str) -> None:
    with pytest.raises(MessageError) as caught:
        decode(parts)
    assert caught.value.reason == reason
    assert named in str(caught.value)
