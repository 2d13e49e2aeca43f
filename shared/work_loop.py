"""The loop of a stage: takes messages, processes them, and publishes the answers."""

import threading
import time
from collections import abc, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from emostream.shared.bad_messages import BadMessages
from emostream.shared.bus import Publisher
from emostream.shared.errors import MessageError
from emostream.shared.health import Health
from emostream.shared.inbox import Inbox
from emostream.shared.intake import Intake
from emostream.shared.messages import AnyHeader, Message, stamped
from emostream.shared.metrics import StageMetrics
from emostream.shared.overlapped_work import LOOK_S, Begin, Begun, gather
from emostream.shared.replay_sequence import ReplaySequence
from emostream.shared.sums import Sums

TAKE_TIMEOUT: Final = 0.2
# The number of messages that a stage can look ahead.
AHEAD: Final = 8

Step: TypeAlias = Callable[[list[Message]], list[Message]]


@dataclass(frozen=True)
class WorkLoop:
    """Runs until `stop` is set, and counts its work.

    `primary` is the kind of message that the stage counts; `check_health` is called in each
    iteration. In lossless delivery, no frame is dropped.
    """

    name: str
    primary: type[AnyHeader]
    is_lossless: bool
    metrics: StageMetrics
    health: Health
    intake: Intake
    sums: Sums
    bad_message: BadMessages
    stop: threading.Event
    check_health: Callable[[], None]

    def run(
        self,
        inbox: Inbox,
        step: Step,
        publisher: Publisher,
        limit: int = 1,
        linger: float = 0.0,
        *,
        reports_progress: bool = False,
    ) -> None:
        """Run until stopped: take up to `limit` messages, call `step`, add marks, and publish.

        If no messages arrive for a moment, `step` is called with none, for time-based work. If it
        `reports_progress`, it reports progress on streams itself (`health.mark_progress`).
        """
        while not self.stop.is_set():
            self.check_health()
            messages = inbox.take(limit, TAKE_TIMEOUT, linger)
            worked_on = self._work(messages or self.sums.due(), step, publisher)
            if not reports_progress:
                self._mark_progress(worked_on)
            self.metrics.queue_depth.set(len(inbox))

    def run_overlapped(
        self,
        inbox: Inbox,
        begin: Begin,
        publisher: Publisher,
        limit: int,
        linger: float,
    ) -> None:
        """Run until stopped, like `run`, but collect the next messages while others are processed.

        `begin` starts the work on messages. Answers are published in order.
        """
        running: Begun | None = None
        while running or not self.stop.is_set():
            self.check_health()
            begun = None
            if not self.stop.is_set():
                begun = begin(self._next_messages(inbox, limit, linger, running))
            if running:
                worked_on = self._work(running.messages, running.answer, publisher, running.taken)
                self._mark_progress(worked_on)
            running = begun
            self.metrics.queue_depth.set(len(inbox))

    def run_in_flight(
        self,
        inbox: Inbox,
        begin: Begin,
        publisher: Publisher,
        limit: int,
        linger: float,
        places: Callable[[], int],
    ) -> None:
        """Run until stopped, like `run`, with up to `places()` batches at a time.

        Answers are published in order. Messages without a place wait in the inbox, which drops them
        by its own rules.
        """
        running: deque[Begun] = deque()
        while running or not self.stop.is_set():
            self.check_health()
            has_place = len(running) < places() and not self.stop.is_set()
            if has_place or not running:
                timeout = LOOK_S if running else TAKE_TIMEOUT
                if messages := inbox.take(limit, timeout, linger) or self.sums.due():
                    running.append(begin(messages))
                elif not running:
                    running.append(begin([]))
            else:
                running[0].wait(TAKE_TIMEOUT)
            while running and running[0].wait(0):
                done = running.popleft()
                self._mark_progress(self._work(done.messages, done.answer, publisher, done.taken))
            self.metrics.queue_depth.set(len(inbox))

    def run_in_sequence(
        self,
        inbox: Inbox,
        sequence: ReplaySequence,
        publisher: Publisher,
        look_ahead: Callable[[abc.Sequence[Message]], None] = lambda waiting: None,
    ) -> None:
        """Run until stopped, processing each frame once and in order, even if some are repeated.

        `look_ahead` gets the waiting messages before each one is processed, and may start on them.
        """
        waiting: deque[Message] = deque()

        def step(messages: list[Message]) -> list[Message]:
            return [answer for message in messages for answer in sequence.work(message)]

        while not self.stop.is_set():
            self.check_health()
            waiting.extend(inbox.take(AHEAD - len(waiting), 0 if waiting else TAKE_TIMEOUT))
            if waiting:
                look_ahead(waiting)
                message = waiting.popleft()
                if sequence.expects(message):
                    self._mark_progress(self._work([message], step, publisher))
                else:
                    self._send(sequence.repeat(message), publisher, time.time_ns())
            self.metrics.queue_depth.set(len(inbox) + len(waiting))

    def _next_messages(
        self, inbox: Inbox, limit: int, linger: float, running: Begun | None
    ) -> list[Message]:
        if running and running.messages:
            return gather(inbox, limit, running)
        return inbox.take(limit, TAKE_TIMEOUT, linger) or self.sums.due()

    def _work(
        self, messages: list[Message], step: Step, publisher: Publisher, taken: int = 0
    ) -> list[Message]:
        """Process the messages; return those that the stage counts.

        They were taken at `taken` (ns since the epoch), or now.
        """
        taken = taken or time.time_ns()
        messages = self.intake.known(messages)
        counted = [
            message
            for message in messages
            if message.header.is_data and isinstance(message.header, self.primary)
        ]
        for message in counted:
            self.metrics.taken(message.header.stream)
        if not self.is_lossless:
            self.sums.take(messages)
        try:
            answers = self._timed(step, messages)
        except MessageError as error:
            self.bad_message(error)
            for message in counted:
                self.metrics.dropped(message, "bad")
            return []
        self._send(answers, publisher, taken)
        for answer in answers:
            self.metrics.faces(answer)
        now = time.time_ns()
        for message in counted:
            captured = message.header.local_t
            latency = None if captured is None else (now - captured) / 1e9
            self.metrics.given(message.header.stream, latency)
        return counted

    def _mark_progress(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.health.mark_progress(message.header.stream)

    def _send(self, answers: Iterable[Message], publisher: Publisher, taken: int) -> None:
        for answer in answers:
            publisher.send(stamped(self.sums.add_to(answer), self.name, taken))

    def _timed(self, step: Step, messages: list[Message]) -> list[Message]:
        if not messages:
            return step(messages)
        with self.metrics.seconds.time():
            return step(messages)
