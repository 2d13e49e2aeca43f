"""`emostream subscribe` as its own process, on a real publisher."""

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from emostream.shared.bus import Publisher
from emostream.shared.config import Config
from emostream.shared.messages import Message
from tests import builders
from tests.conftest import take_sigint

ROOT = Path(__file__).parents[2]
TRACK = (1_760_000_000 << 20) | 7
TIME = 1_760_000_000_123_456_789
Start: TypeAlias = Callable[..., "subprocess.Popen[str]"]


def event(stream: str = "cam1") -> Message:
    return Message(builders.event(3, stream=stream, track=TRACK, t=TIME))


def emotion(stream: str = "cam1") -> Message:
    return Message(builders.emotion(3, stream=stream))


@pytest.fixture
def started(publisher: Publisher) -> Iterator[Start]:
    """Starts the command on the publisher, its output in pipes; ends it after the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "emostream", "subscribe", "--endpoint", publisher.endpoint]
        process = subprocess.Popen(
            [*command, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            preexec_fn=take_sigint,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def send_until(publisher: Publisher, done: Callable[[], object], *messages: Message) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "the command did not do what was awaited"
        for message in messages:
            publisher.send(message)


def ended(process: subprocess.Popen[str]) -> Callable[[], bool]:
    """Return a condition: the process has ended; it looks for at most 20 ms."""

    def condition() -> bool:
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            return False
        return True

    return condition


def test_the_default_endpoint_is_the_classifiers() -> None:
    assert Config().connect.emotion == (Config().classifier.bind,)


def test_json_lines_of_one_stream(publisher: Publisher, started: Start) -> None:
    process = started("--json", "--emotions", "--stream", "cam1", "--count", "2")
    others = [event("cam10"), emotion("cam2")]
    send_until(publisher, ended(process), *others, event(), emotion())
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    lines = {line["topic"]: line for line in map(json.loads, out.splitlines())}
    assert sorted(lines) == ["emotion/cam1/", "event/cam1/"]
    assert lines["event/cam1/"]["kind"] == "enter"
    assert lines["event/cam1/"]["track"] == TRACK
    assert lines["event/cam1/"]["t"] == TIME


def test_interrupt_ends_quietly(publisher: Publisher, started: Start) -> None:
    process = started()
    assert process.stdout is not None
    printed = [process.stdout]
    send_until(publisher, lambda: select.select(printed, [], [], 0.02)[0], event())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_a_closed_pipe_ends_quietly(publisher: Publisher, started: Start) -> None:
    process = started()
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdout = None
    send_until(publisher, ended(process), event())
    assert (process.returncode, process.stderr.read()) == (0, "")


def test_no_color_goes_into_a_pipe(publisher: Publisher, started: Start) -> None:
    process = started("--count", "1")
    send_until(publisher, ended(process), event())
    out, _ = process.communicate()
    assert "#1 " in out
    assert "\x1b" not in out
