"""`emostream subscribe` as a process of its own, on a real publisher."""

import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emostream.services.cli.subscribe.command import ENDPOINT
from emostream.shared.config import Config
from emostream.shared.messages import Emotion, Event, Message
from tests.conftest import take_sigint

ROOT = Path(__file__).parents[2]
HEADER = {"run": "r", "seq": 3, "t": 1_760_000_000_123_456_789, "pts": 5, "marks": {}}


def event(stream="cam1"):
    return Message(
        Event(
            stream=stream, **HEADER, kind="enter", track=(1_760_000_000 << 20) | 7,
            label="happiness", previous="", confidence=0.7, since=0,
        )
    )  # fmt: skip


def emotion(stream="cam1"):
    return Message(
        Emotion(stream=stream, **HEADER, model="m", faces=(), part=0, parts=1, degraded=False)
    )


@pytest.fixture
def started(publisher):
    """Starts the command on the publisher, its output in pipes; ends it after the test."""
    running = []

    def start(*words):
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


def send_until(publisher, done, *messages):
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "the command did not do what was awaited"
        for message in messages:
            publisher.send(message)


def ended(process):
    """Return a condition: the process has ended; it looks for at most 20 ms."""

    def condition():
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            return False
        return True

    return condition


def test_the_default_endpoint_is_the_classifiers():
    assert Config().classifier.bind == ENDPOINT


def test_json_lines_of_one_stream(publisher, started):
    process = started("--json", "--emotions", "--stream", "cam1", "--count", "2")
    others = [event("cam10"), emotion("cam2")]
    send_until(publisher, ended(process), *others, event(), emotion())
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    lines = {line["topic"]: line for line in map(json.loads, out.splitlines())}
    assert sorted(lines) == ["emotion/cam1/", "event/cam1/"]
    assert lines["event/cam1/"]["kind"] == "enter"
    assert lines["event/cam1/"]["track"] == (1_760_000_000 << 20) | 7
    assert lines["event/cam1/"]["t"] == 1_760_000_000_123_456_789


def test_interrupt_ends_quietly(publisher, started):
    process = started()
    send_until(publisher, lambda: select.select([process.stdout], [], [], 0.02)[0], event())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_a_closed_pipe_ends_quietly(publisher, started):
    process = started()
    process.stdout.close()
    process.stdout = None
    send_until(publisher, ended(process), event())
    assert (process.returncode, process.stderr.read()) == (0, "")


def test_no_colour_goes_into_a_pipe(publisher, started):
    process = started("--count", "1")
    send_until(publisher, ended(process), event())
    out, _ = process.communicate()
    assert "#7" in out
    assert "\x1b" not in out
