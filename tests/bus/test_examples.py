"""The clients of docs/examples on a real publisher: what a program of somebody else's sees."""

import json
import signal
import time

import msgpack
import pytest
import zmq

from emostream.shared.messages import Emotion, Event, Message
from emostream.shared.wire import encode
from tests.examples import CLIENTS, FOLDER, client

HEADER = {"run": "r", "seq": 3, "t": 1_760_000_000_123_456_789, "pts": 5, "marks": {}}
TRACK = (1_760_000_000 << 20) | 7
PYTHON = [name for name in CLIENTS if name.endswith(".py")]


def event(kind="enter", label="happiness", confidence=0.7, stream="cam1"):
    return Message(
        Event(
            stream=stream, **HEADER, kind=kind, track=TRACK, label=label, previous="",
            confidence=confidence, since=0,
        )
    )  # fmt: skip


def until(condition, *send, process=None, timeout=30.0):
    """Send again and again until the condition holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the client did not print what was awaited"
        assert process is None or process.poll() is None, "the client ended"
        for one in send:
            one()
        time.sleep(0.02)


@pytest.fixture
def raw():
    """A socket that sends whatever it is given."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        socket.bind("tcp://127.0.0.1:*")
        yield socket


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_prints_what_happens_to_each_face(name, publisher, tmp_path):
    messages = [
        event(),
        event("change", "sadness", 0.456),
        event("leave", "sadness", 0.456, "cam2"),
        Message(
            Emotion(stream="cam1", **HEADER, model="m", faces=(), part=0, parts=1, degraded=False)
        ),
    ]
    expected = {
        f"cam1 {TRACK} enter happiness 70%",
        f"cam1 {TRACK} change sadness 46%",
        f"cam2 {TRACK} leave sadness 46%",
    }
    with client(name, publisher.endpoint, tmp_path) as running:
        sends = [lambda message=message: publisher.send(message) for message in messages]
        until(lambda: expected <= set(running.lines), *sends, process=running.process)
        assert set(running.lines) == expected
        assert not running.complaints


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_bears_what_a_later_release_may_send(name, raw, tmp_path):
    topic, header = encode(event())
    fields = msgpack.unpackb(header)
    unlike = [
        {**fields, "probe": True, "pid": 9},
        {**fields, "end": True, "frames": 4, "states": {"detector": b"\xff\x00"}},
        {"v": 1, "stream": "cam1", "end": True},
    ]
    newer = {**fields, "label": "new", "mood": {"deep": [1, b"\xff", None]}, "pts": 2**62}
    packed = [[topic, msgpack.packb(one)] for one in [*unlike, newer]]
    packed[-1].append(b"a payload")
    with client(name, raw.last_endpoint.decode(), tmp_path) as running:
        sends = [lambda parts=parts: raw.send_multipart(parts) for parts in packed]
        until(lambda: len(running.lines) > 5, *sends, process=running.process)
        assert set(running.lines) == {f"cam1 {TRACK} enter new 70%"}
        assert not running.complaints


@pytest.mark.parametrize("name", PYTHON)
def test_interrupt_ends_a_client_quietly(name, publisher, tmp_path):
    with client(name, publisher.endpoint, tmp_path) as running:
        until(lambda: running.lines, lambda: publisher.send(event()), process=running.process)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0
        assert not running.complaints


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_is_short(name):
    assert len((FOLDER / name).read_text("utf-8").splitlines()) < 25


def test_the_lock_names_no_host_and_checks_every_package():
    lock = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
