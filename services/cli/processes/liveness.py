"""Detects that a process hangs, by its answers to `/livez`."""

import functools
import http.client
import json
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, TypeAlias

import psutil

from emostream.shared.health_connection import health_connection

ASK_INTERVAL_S: Final = 1.0
# With a short `hung_after`, requests are more frequent.
ASKS_WITHIN: Final = 5
# A process that has not reported that it runs may be loading a model; it hangs only after this
# time.
START_LIMIT_S: Final = 600.0
# If the process was stopped together with this one, it gets to answer once before it is judged.
FAILED_ASKS: Final = 2
MAX_BODY_BYTES: Final = 1000

FindAddress: TypeAlias = Callable[[], tuple[str, int] | None]


class Answer(Enum):
    """A process's answer to `/livez`."""

    STARTING = auto()
    LIVE = auto()
    NOT_LIVE = auto()
    NONE = auto()
    """No answer in time, or nobody listens."""
    OTHER = auto()
    """An answer from another program: it says nothing about a loop."""


def ask(host: str, port: int, pid: int, timeout: float, *, is_https: bool = False) -> Answer:
    """Ask the process `pid` with metrics at the address; `timeout` is in s."""
    connection = health_connection(host, port, timeout, is_https=is_https)
    try:
        connection.request("GET", "/livez")
        body = json.loads(connection.getresponse().read(MAX_BODY_BYTES))
        live, phase, answering = body["live"], body["phase"], body["pid"]
    except (TimeoutError, ConnectionRefusedError):
        return Answer.NONE
    except (OSError, http.client.HTTPException, ValueError, TypeError, LookupError):
        return Answer.OTHER
    finally:
        connection.close()
    if answering != pid:
        return Answer.OTHER
    if phase == "starting":
        return Answer.STARTING
    return Answer.LIVE if live else Answer.NOT_LIVE


class HangDetector:
    """Evaluates the answers of one process to `/livez`.

    After it has reported that it runs, it hangs if it reports that its loop is stuck, or if it does
    not answer for `hung_after` seconds. Before that, it may be loading a model, and hangs only if
    it is stopped (SIGSTOP) for that long, or if it has been starting for `START_LIMIT_S`. The time
    between two answers counts for at most `longest_step` seconds, because this process may have
    been stopped itself.
    """

    def __init__(
        self,
        hung_after: float,
        longest_step: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hung_after = hung_after
        self._longest_step = longest_step
        self._clock = clock
        self._last = clock()
        self._runs = False
        self._starting = 0.0
        self._silent = 0.0
        self._not_live = 0

    def reason(self, answer: Answer, *, is_stopped: bool) -> str:
        """Return why the process hangs, from this and earlier answers; "" if it does not."""
        now = self._clock()
        step, self._last = min(now - self._last, self._longest_step), now
        self._runs = self._runs or answer in (Answer.LIVE, Answer.NOT_LIVE)
        if not self._runs and answer is not Answer.OTHER:
            self._starting += step
        is_silent = answer is Answer.NONE and (self._runs or is_stopped)
        self._silent = self._silent + step if is_silent else 0.0
        self._not_live = self._not_live + 1 if answer is Answer.NOT_LIVE else 0
        if self._not_live >= FAILED_ASKS:
            return f"its loop has not run for {self._hung_after:g} s"
        if self._silent >= self._hung_after:
            state = "has been stopped" if is_stopped else "has not answered"
            return f"it {state} for {self._hung_after:g} s"
        if not self._runs and self._starting >= START_LIMIT_S:
            return f"it has been starting for {START_LIMIT_S:g} s"
        return ""


class LivenessWatch:
    """Polls one process's `/livez` on a thread, until it is closed; `reason` is why it hangs.

    `address` returns its metrics address, None while unknown; without `address`, nothing is polled.
    """

    def __init__(
        self, pid: int, address: FindAddress | None, hung_after: float, *, is_https: bool = False
    ) -> None:
        self.reason = ""
        self._is_https = is_https
        self._pid = pid
        self._interval = min(ASK_INTERVAL_S, hung_after / ASKS_WITHIN)
        self._detector = HangDetector(hung_after, longest_step=3 * self._interval)
        self._stop = threading.Event()
        if address:
            run = functools.partial(self._run, address)
            threading.Thread(target=run, name="liveness", daemon=True).start()

    def close(self) -> None:
        """Stop polling."""
        self._stop.set()

    def _run(self, find_address: FindAddress) -> None:
        while not self.reason and not self._stop.wait(self._interval):
            address = find_address()
            answer = Answer.NONE
            if address:
                answer = ask(*address, self._pid, self._interval, is_https=self._is_https)
            self.reason = self._detector.reason(answer, is_stopped=_is_stopped(self._pid))


def _is_stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False
