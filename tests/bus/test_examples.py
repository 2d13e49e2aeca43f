"""The clients of docs/examples on a real publisher: what a program of somebody else's sees."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgpack
import pytest
import zmq

from emostream.shared.bus import Publisher
from emostream.shared.messages import Message
from emostream.shared.wire import encode
from tests import builders
from tests.examples import CLIENTS, FOLDER, RUNNING, client

TRACK = (1_760_000_000 << 20) | 7
PYTHON = [name for name in CLIENTS if name.endswith(".py")]


def event(
    kind: str = "enter", label: str = "happiness", confidence: float = 0.7, stream: str = "cam1"
) -> Message:
    told = {"track": TRACK, "label": label, "confidence": confidence}
    return Message(builders.event(3, kind, stream=stream, **told))


def until(
    condition: Callable[[], object],
    *send: Callable[[], object],
    process: subprocess.Popen[bytes] | None = None,
    timeout: float = 30.0,
) -> None:
    """Send again and again until the condition holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the client did not print what was awaited"
        assert process is None or process.poll() is None, "the client ended"
        for one in send:
            one()
        time.sleep(0.02)


@pytest.fixture
def raw() -> Iterator[zmq.Socket[bytes]]:
    """A socket that sends whatever it is given."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        socket.bind("tcp://127.0.0.1:*")
        yield socket


def endpoint_of(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


@pytest.mark.parametrize("name", RUNNING)
def test_a_client_prints_what_happens_to_each_face(
    name: str, publisher: Publisher, tmp_path: Path
) -> None:
    messages = [
        event(),
        event("change", "sadness", 0.456),
        event("leave", "sadness", 0.456, "cam2"),
        Message(builders.emotion(3)),
    ]
    expected = {
        f"cam1 {TRACK} enter happiness 70%",
        f"cam1 {TRACK} change sadness 46%",
        f"cam2 {TRACK} leave sadness 46%",
    }
    with client(name, publisher.endpoint, tmp_path) as running:
        sends = [partial(publisher.send, message) for message in messages]
        until(lambda: expected <= set(running.lines), *sends, process=running.process)
        assert set(running.lines) == expected
        assert not running.complaints


@pytest.mark.parametrize("name", RUNNING)
def test_a_client_bears_what_a_later_release_may_send(
    name: str, raw: zmq.Socket[bytes], tmp_path: Path
) -> None:
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
    with client(name, endpoint_of(raw), tmp_path) as running:
        sends = [partial(raw.send_multipart, parts) for parts in packed]
        until(lambda: len(running.lines) > 5, *sends, process=running.process)
        assert set(running.lines) == {f"cam1 {TRACK} enter new 70%"}
        assert not running.complaints


@pytest.mark.parametrize("name", PYTHON)
def test_interrupt_ends_a_client_quietly(name: str, publisher: Publisher, tmp_path: Path) -> None:
    with client(name, publisher.endpoint, tmp_path) as running:
        until(lambda: running.lines, lambda: publisher.send(event()), process=running.process)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0
        assert not running.complaints


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_is_short(name: str) -> None:
    assert len((FOLDER / name).read_text("utf-8").splitlines()) < 25


def test_the_lock_names_no_host_and_checks_every_package() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
