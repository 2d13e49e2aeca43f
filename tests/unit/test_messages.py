"""The wire format: what is sent is what is read, and what is broken is named."""

from typing import Any

import msgpack
import msgspec
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


def _header(topic: str = "frame/cam1/", **changes: object) -> bytes:
    fields = msgpack.unpackb(encode(MESSAGES[topic])[1])
    packed: bytes = msgpack.packb({**fields, **changes})
    return packed


def _face(topic: str, **changes: object) -> list[dict[str, object]]:
    """Return the one face of a message as it is on the wire, changed."""
    return [{**msgpack.unpackb(encode(MESSAGES[topic])[1])["faces"][0], **changes}]


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


NAN, INFINITY = float("nan"), float("inf")
PRIOR = {"name": "uniform", "strength": 1.0, "shares": {"a": 1.0}}


@pytest.mark.parametrize(
    ("topic", "changes", "named"),
    [
        ("frame/cam1/", {"seq": 2**62}, "seq"),
        ("frame/cam1/", {"sent": 2**62}, "sent"),
        ("frame/cam1/", {"t": 2**63}, "t"),
        ("frame/cam1/", {"t": -1}, "t"),
        ("frame/cam1/", {"pts": 2**63}, "pts"),
        ("frame/cam1/", {"pts": -(2**63)}, "pts"),
        ("frame/cam1/", {"probe": True, "base": 2**62}, "base"),
        ("frame/cam1/", {"probe": True, "base": -1}, "base"),
        ("frame/cam1/", {"probe": True, "pid": 2**63}, "pid"),
        ("frame/cam1/", {"end": True, "frames": 2**62}, "frames"),
        ("frame/cam1/", {"marks": {"capture": [2**63, 0]}}, "marks"),
        ("frame/cam1/", {"marks": {str(n): [0, 0] for n in range(33)}}, "marks"),
        ("frame/cam1/", {"marks": {"x" * 257: [0, 0]}}, "marks"),
        ("frame/cam1/", {"run": "r" * 65}, "run"),
        ("frame/cam1/", {"end": True, "error": "e" * 8193}, "error"),
        ("frame/cam1/", {"states": {str(n): b"" for n in range(33)}}, "states"),
        ("frame/cam1/", {"states": {"a": b"s" * 2**20, "b": b"s" * (2**20 + 1)}}, "of states"),
        ("frame/cam1/", {"width": 2**40, "encoding": "jpeg"}, "width"),
        ("frame/cam1/", {"pixel_aspect": NAN}, "pixel_aspect"),
        ("frame/cam1/", {"pixel_aspect": 1e-300}, "pixel_aspect"),
        ("faces/3/cam1/", {"crop": [2**40, 1], "faces": []}, "crop"),
        ("faces/3/cam1/", {"parts": 5_000_000}, "parts"),
        ("faces/3/cam1/", {"parts": 3}, "part 3 of 3"),
        ("faces/3/cam1/", {"part": 2}, "shard 3"),
        ("faces/3/cam1/", {"faces": _face("faces/3/cam1/", box=[0, 0, 1e300, 1])}, "box"),
        ("faces/3/cam1/", {"faces": _face("faces/3/cam1/", box=[NAN, 0, 1, 1])}, "box"),
        ("faces/3/cam1/", {"faces": _face("faces/3/cam1/", score=INFINITY)}, "score"),
        ("faces/3/cam1/", {"faces": _face("faces/3/cam1/", track=-1)}, "track"),
        ("faces/3/cam1/", {"faces": _face("faces/3/cam1/", landmarks=[[0, 0]] * 5)}, "landmarks"),
        ("faces/3/cam1/", {"faces": _face("faces/3/cam1/") * 1025}, "faces"),
        ("emotion/cam1/", {"faces": _face("emotion/cam1/") * 1025}, "faces"),
        ("emotion/cam1/", {"parts": 5_000_000, "probe": True}, "parts"),
        ("emotion/cam1/", {"part": 1}, "part 1 of 1"),
        ("emotion/cam1/", {"model": "m" * 257}, "model"),
        ("emotion/cam1/", {"prior": {**PRIOR, "name": "n" * 257}}, "prior.name"),
        ("emotion/cam1/", {"prior": {**PRIOR, "strength": 2.0}}, "prior.strength"),
        ("emotion/cam1/", {"prior": {**PRIOR, "shares": {"a": NAN}}}, "prior.shares"),
        ("emotion/cam1/", {"prior": {**PRIOR, "shares": {"a" * 257: 0.5}}}, "prior.shares"),
        ("emotion/cam1/", {"faces": _face("emotion/cam1/", track=2**60)}, "track"),
        ("emotion/cam1/", {"faces": _face("emotion/cam1/", confidence=NAN)}, "confidence"),
        ("emotion/cam1/", {"faces": _face("emotion/cam1/", smoothed={"a": INFINITY})}, "smoothed"),
        ("emotion/cam1/", {"faces": _face("emotion/cam1/", label="x" * 257)}, "label"),
        ("event/cam1/", {"confidence": -INFINITY}, "confidence"),
        ("event/cam1/", {"since": 2**63}, "since"),
        ("event/cam1/", {"track": 2**53}, "track"),
        ("credit/cam1/", {"seq": 2**62}, "seq"),
        ("credit/cam1/", {"seq": -2}, "seq"),
    ],
)
def test_a_value_beyond_all_measure_is_refused_by_name(
    topic: str, changes: dict[str, Any], named: str
) -> None:
    parts = encode(MESSAGES[topic])
    parts[1] = _header(topic, **changes)
    with pytest.raises(MessageError) as caught:
        decode(parts)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "topic",
    [
        b"faces/" + b"9" * 4400 + b"/cam1/",
        b"faces/1024/cam1/",
        b"faces/03/cam1/",
        b"faces/-1/cam1/",
        b"faces/cam1/",
        b"frame/0/cam1/",
        "faces/\u0663/cam1/".encode(),
        b"frame/cam1/\n",
        pytest.param(b"frame/" + b"a" * 10_000_000 + b"/", id="10 MB"),
    ],
)
def test_a_topic_that_no_publisher_has_is_refused(topic: bytes) -> None:
    with pytest.raises(MessageError, match="unknown topic") as caught:
        decode([topic, _header(), b"\x00" * 6])
    assert len(str(caught.value)) < 200


def test_a_header_beyond_all_measure_is_refused_before_it_is_unpacked() -> None:
    # Unpacked, these lists in a list would take gigabytes.
    many = b"\xdd" + (40_000_000).to_bytes(4, "big") + b"\x90" * 40_000_000
    with pytest.raises(MessageError, match="header: 40000005 bytes"):
        decode([b"frame/cam1/", many])


def test_1024_faces_fit_into_a_header() -> None:
    shares = dict.fromkeys((f"label {number}" for number in range(28)), 1 / 28)
    found = EmotionFace(2**52, (0.5, 1.5, 2.5, 3.5), shares, shares, "label 1", 0.5, 0.5)
    message = MESSAGES["emotion/cam1/"]
    crowd = msgspec.structs.replace(message.header, faces=(found,) * 1024)
    assert decode(encode(Message(crowd))).header == crowd
