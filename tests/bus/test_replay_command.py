"""`emostream replay` as its own process, with real subscribers."""

import queue
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import zmq

from emostream.services.recorder.archive.writer import ArchiveWriter
from emostream.shared.bus import Bus, Receiver, Subscription
from emostream.shared.messages import Emotion, Event, Message
from emostream.shared.wire import decode
from tests.builders import emotion, event, face
from tests.conftest import fail_with, take_sigint

ROOT = Path(__file__).parents[2]
FRAMES = 3_000
# So long that a session is more than what the kernel holds for a subscriber.
LONG_LABELS = tuple(f"{'x' * 56}{number:02d}" for number in range(60))
SHARES = dict.fromkeys(LONG_LABELS, 1 / len(LONG_LABELS))
PATIENCE = 30.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of a face in 25 frames per second, and one event per second."""
    archive = ArchiveWriter(tmp_path_factory.mktemp("recording") / "emostream.db")
    for seq in range(FRAMES):
        place = {"t": seq, "pts": seq * 40_000_000}
        if seq % 25 == 0:
            archive.add_event(event(seq, "change", previous="anger", **place))
        found = face(label=LONG_LABELS[0], probabilities=SHARES, smoothed=SHARES)
        archive.add_emotion(emotion(seq, found, **place))
    archive.close()
    return archive.path


@pytest.fixture
def endpoint() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def started(database: Path, endpoint: str) -> Iterator[Start]:
    """Starts the command on the endpoint, its output in pipes; ends it after the test."""
    running = []

    def start(*words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "emostream", "replay", str(database)]
        process = subprocess.Popen(
            [*command, "--set", f"classifier.bind={endpoint}", *words],
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=take_sigint,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def line_with(process: "subprocess.Popen[str]", what: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if what in line:
            return line
    pytest.fail(f"the command ended without a line with {what!r}")


def listening(bus: Bus, endpoint: str, inbox: "queue.Queue[Message]") -> Receiver:
    return bus.receiver([Subscription([endpoint], ["event/", "emotion/"], 0)], inbox.put, fail_with)


def until_the_end(inbox: "queue.Queue[Message]") -> list[Message]:
    messages = [inbox.get(timeout=PATIENCE)]
    while not messages[-1].header.end:
        messages.append(inbox.get(timeout=PATIENCE))
    return messages


@contextmanager
def program(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    """Somebody's program, which has room for next to nothing but what it takes."""
    with zmq.Context() as context, context.socket(zmq.SUB) as taker:
        taker.set(zmq.RCVHWM, 1)
        taker.set(zmq.RCVBUF, 4096)
        taker.set(zmq.LINGER, 0)
        taker.set(zmq.RCVTIMEO, round(1000 * PATIENCE))
        taker.subscribe("emotion/")
        taker.subscribe("event/")
        taker.connect(endpoint)
        yield taker


def taken(taker: "zmq.Socket[bytes]") -> Message:
    return decode(taker.recv_multipart())


def test_a_fast_replay_loses_nothing_to_a_quick_and_to_a_slow_subscriber(
    started: Start, endpoint: str
) -> None:
    process = started("--fast", "--wait", "2")
    line_with(process, "waiting for 2 subscribers")
    inbox: queue.Queue[Message] = queue.Queue()
    with Bus("test") as bus, closing(listening(bus, endpoint, inbox)), program(endpoint) as taker:
        first = taken(taker)
        # Long enough for all of it, if nobody were waited for.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        slow = [first, *(taken(taker) for _ in range(FRAMES + FRAMES // 25))]
        quick = until_the_end(inbox)
        process.communicate(timeout=PATIENCE)
    for messages in (slow, quick):
        emotions = [m.header.seq for m in messages if isinstance(m.header, Emotion)]
        assert emotions == list(range(FRAMES + 1))
        assert sum(isinstance(m.header, Event) for m in messages) == FRAMES // 25
        assert messages[-1].header.end
        assert messages[-1].header.frames == FRAMES
    assert process.returncode == 0


def test_a_replay_keeps_its_time(started: Start, endpoint: str) -> None:
    process = started("--speed", "50")
    inbox: queue.Queue[Message] = queue.Queue()
    with Bus("test") as bus, closing(listening(bus, endpoint, inbox)):
        messages = until_the_end(inbox)
        _, err = process.communicate(timeout=PATIENCE)
    times = {m.header.seq: m.header.t for m in messages if isinstance(m.header, Emotion)}
    lasted = (times[FRAMES] - times[0]) / 1e9
    # 119.96 s at fifty times the pace; it cannot be faster, and a busy machine may be slower.
    assert lasted >= 2.39
    assert abs(time.time_ns() - times[FRAMES]) < 60 * 10**9
    assert process.returncode == 0
    assert "3,000 emotion, 1 end, 120 event" in err


def interrupted(process: "subprocess.Popen[str]") -> str:
    """Interrupt the command as Ctrl-C does, and return its last words."""
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    return err


def test_ctrl_c_ends_the_wait_for_subscribers(started: Start) -> None:
    process = started()
    line_with(process, "waiting for a subscriber")
    assert not interrupted(process)


@pytest.mark.parametrize("words", [["--fast"], ["--speed", "1"]])
def test_ctrl_c_ends_a_replay_also_where_a_subscriber_takes_nothing(
    started: Start, endpoint: str, words: list[str]
) -> None:
    process = started(*words)
    line_with(process, "waiting")
    with program(endpoint) as taker:
        assert taken(taker).header.seq == 0
        assert not interrupted(process)


def test_ctrl_c_ends_the_wait_for_what_was_sent_last(started: Start, endpoint: str) -> None:
    process = started("--fast")
    line_with(process, "waiting")
    with program(endpoint) as taker:
        assert process.stderr is not None
        for _ in range(FRAMES // 2):
            taken(taker)
        # From here on more slowly than the replay sends, so that its queue is full at the end.
        while not select.select([process.stderr], [], [], 0.005)[0]:
            taken(taker)
        line_with(process, "replayed")
        # A thousand messages wait in its queue.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert not interrupted(process)


def test_a_loop_begins_again_as_a_new_run(started: Start, endpoint: str) -> None:
    process = started("--fast", "--loop", "--as", "again")
    inbox: queue.Queue[Message] = queue.Queue()
    with Bus("test") as bus, closing(listening(bus, endpoint, inbox)):
        first, second = until_the_end(inbox), until_the_end(inbox)
        interrupted(process)
    assert len(first) == len(second)
    assert first[0].header.run != second[0].header.run
    assert {message.header.stream for message in first} == {"again"}


def test_a_port_in_use_is_named_with_its_setting(started: Start, endpoint: str) -> None:
    with Bus("classifier") as bus, closing(bus.publisher(endpoint, 1)):
        process = started()
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert endpoint in err
    assert "classifier.bind" in err
    assert err.count("\n") == 1
