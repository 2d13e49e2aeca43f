"""Finding that a stage hangs, by what it answers to `/livez`."""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from emostream.services.cli.processes.liveness import START_LIMIT_S, Answer, HangDetector, ask
from tests.builders import Clock


class Hang:
    """A detector that is told an answer each second; it takes 30 s without one for a hang."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.detector = HangDetector(30.0, longest_step=3.0, clock=self.clock)

    def after(
        self, answer: Answer, seconds: int, *, stopped: bool = False, step: float = 1.0
    ) -> str:
        """Return the first reason within some answers, or "" if none of them is one."""
        for _ in range(seconds):
            self.clock.now += step
            if reason := self.detector.reason(answer, is_stopped=stopped):
                return reason
        return ""


def test_a_stage_that_answers_does_not_hang() -> None:
    hang = Hang()
    assert not hang.after(Answer.STARTING, 100)
    assert not hang.after(Answer.LIVE, 1000)


def test_a_stage_that_ran_and_does_not_answer_hangs_after_a_while() -> None:
    hang = Hang()
    hang.after(Answer.LIVE, 5)
    assert not hang.after(Answer.NONE, 29)
    assert hang.after(Answer.NONE, 1) == "it has not answered for 30 s"


def test_an_answer_between_begins_again() -> None:
    hang = Hang()
    for answer in (Answer.LIVE, Answer.OTHER):
        hang.after(Answer.LIVE, 1)
        assert not hang.after(Answer.NONE, 29)
        assert not hang.after(answer, 1)
        assert not hang.after(Answer.NONE, 29)


def test_a_loop_that_stands_still_hangs_though_the_port_answers() -> None:
    hang = Hang()
    hang.after(Answer.LIVE, 5)
    assert not hang.after(Answer.NOT_LIVE, 1)
    assert hang.after(Answer.NOT_LIVE, 1) == "its loop has not run for 30 s"


@pytest.mark.parametrize("answer", [Answer.NONE, Answer.STARTING])
def test_a_stage_that_starts_may_load_its_model_but_not_forever(answer: Answer) -> None:
    hang = Hang()
    assert not hang.after(answer, round(START_LIMIT_S) - 1)
    assert hang.after(answer, 1) == f"it has been starting for {START_LIMIT_S:g} s"


def test_a_stage_that_is_stopped_while_it_starts_hangs() -> None:
    hang = Hang()
    hang.after(Answer.STARTING, 5)
    assert not hang.after(Answer.NONE, 29, stopped=True)
    assert hang.after(Answer.NONE, 1, stopped=True) == "it has been stopped for 30 s"


def test_a_pause_of_the_supervisor_itself_does_not_count_against_the_stage() -> None:
    """As when both were stopped, or the computer slept."""
    hang = Hang()
    hang.after(Answer.LIVE, 5)
    assert not hang.after(Answer.NONE, 1, step=3600.0)
    assert not hang.after(Answer.NOT_LIVE, 1, step=3600.0)
    assert not hang.after(Answer.LIVE, 1)


class Livez(socketserver.ThreadingTCPServer):
    """Answers `/livez` with the body that the test sets; b"" closes the connection unanswered."""

    allow_reuse_address = True
    daemon_threads = True
    body = b""


class Handler(BaseHTTPRequestHandler):
    server: Livez

    def do_GET(self) -> None:
        if self.server.body:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def livez() -> Iterator[Livez]:
    with Livez(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"live": True, "phase": "starting", "pid": 5}, Answer.STARTING),
        ({"live": True, "phase": "running", "pid": 5}, Answer.LIVE),
        ({"live": False, "phase": "running", "pid": 5}, Answer.NOT_LIVE),
        ({"live": True, "phase": "running", "pid": 6}, Answer.OTHER),
        ({"live": True}, Answer.OTHER),
        ([], Answer.OTHER),
        (None, Answer.OTHER),
    ],
)
def test_what_a_process_says_of_itself(livez: Livez, body: object, answer: Answer) -> None:
    livez.body = b"" if body is None else json.dumps(body).encode()
    assert ask("0.0.0.0", livez.server_address[1], 5, timeout=5) is answer


def test_nobody_answers_where_nobody_listens(livez: Livez) -> None:
    livez.shutdown()
    livez.server_close()
    assert ask("127.0.0.1", livez.server_address[1], 5, timeout=5) is Answer.NONE
