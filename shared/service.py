"""The process around a stage: signals, logging, metrics, health, the bus and the loop."""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeAlias

import msgspec
import psutil
from prometheus_client import CollectorRegistry

from shared.bus import Bus, Publisher, Receiver, Subscription, check_exposure, shifted_port
from shared.config import Config
from shared.errors import EmostreamError, MessageError
from shared.health import Health
from shared.inbox import Inbox, LiveInbox
from shared.messages import AnyHeader, Message
from shared.metrics import Gaps, MetricsServer, StageMetrics
from shared.terminal import Terminal

TAKE_TIMEOUT = 0.2
BAD_MESSAGE_LOG_INTERVAL = 60.0
PARENT_POLL = 0.5
SAY_WAITING_AFTER = 10.0
log = logging.getLogger("emostream")

Step: TypeAlias = Callable[[list[Message]], list[Message]]


class Service:
    """One stage's process. Use it as a context manager around the stage's loop.

    `primary` is the kind of message that the stage is counted by. `stop` is set by SIGINT and
    SIGTERM, `reload` by SIGHUP, except where that says that the terminal was closed: then `stop`.
    """

    def __init__(
        self, name: str, config: Config, metrics: str, primary: type[AnyHeader], instance: int
    ) -> None:
        self.name = name
        self.config = config
        self.registry = CollectorRegistry()
        self.metrics = StageMetrics(name, self.registry)
        self.health = Health(config.live.silent_after)
        self.stop = threading.Event()
        self.reload = threading.Event()
        self._hung_up = False
        self._terminal = Terminal()
        self._primary = primary
        # Whether it was ready when that was last said; None before anything was.
        self._said: bool | None = None
        self._was_ready = False
        self._say_waiting_at = float("inf")
        self._bad_logged = -BAD_MESSAGE_LOG_INTERVAL
        self._receivers: list[Receiver] = []
        self._stack = contextlib.ExitStack()
        host, _, port = metrics.rpartition(":")
        check_exposure(host, f"{name}.metrics {metrics}", name, insecure=config.insecure)
        self._metrics_address = (host, shifted_port(int(port), instance))
        self.bus = Bus(name, instance=instance, insecure=config.insecure)

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stop.set())
        signal.signal(signal.SIGHUP, self._hang_up)
        _follow_parent()
        server = MetricsServer(self.name, *self._metrics_address, self.registry, self.health)
        self._stack.callback(server.close)
        self._stack.enter_context(self.bus)
        self.metrics_url = f"http://{self._metrics_address[0]}:{server.port}/metrics"
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def publisher(self, endpoint: str, hwm: int) -> Publisher:
        """Return a publisher that is closed with the service."""
        publisher = self.bus.publisher(endpoint, hwm)
        self._stack.callback(publisher.close)
        return publisher

    def live_inbox(self) -> LiveInbox:
        """Return an inbox that thins as the configuration says, and counts what it drops."""
        live = self.config.live
        return LiveInbox(self.metrics.dropped, live.backlog, live.max_age_ms / 1000)

    def listen(
        self, subscriptions: Sequence[Subscription], deliver: Callable[[Message], None]
    ) -> None:
        """Hand each message to `deliver`, on a thread of its own, until the service closes."""
        receiver = self.bus.receiver(subscriptions, deliver, self.bad_message)
        self._stack.callback(receiver.close)
        self._receivers.append(receiver)

    def receive(self, subscriptions: Sequence[Subscription], inbox: Inbox) -> None:
        """Fill the inbox from the subscriptions; what was lost on the way is counted."""
        self.health.require_input()

        def late(message: Message, count: int) -> None:
            if isinstance(message.header, self._primary):
                self.metrics.late(message, count)

        gaps = Gaps(late, self.metrics.lost)

        def deliver(message: Message) -> None:
            gaps.see(message)
            if isinstance(message.header, self._primary):
                self.health.saw_input()
            inbox.put(message)

        self.listen(subscriptions, deliver)

    def run(
        self,
        inbox: Inbox,
        step: Step,
        publisher: Publisher,
        limit: int = 1,
        linger: float = 0.0,
    ) -> None:
        """Work until told to stop: take up to `limit` messages, step, stamp and publish.

        Without messages for a moment, `step` is called with none, for what is due by time.
        """
        while not self.stop.is_set():
            self.check_health()
            self._work(inbox.take(limit, TAKE_TIMEOUT, linger), step, publisher)
            self.metrics.queue_depth.set(len(inbox))

    def check_health(self) -> None:
        """Note that the loop goes round, and log when readiness changes.

        Raises EmostreamError where a receiver broke down, since nothing would ever come again.
        """
        if not all(receiver.alive for receiver in self._receivers):
            raise EmostreamError(f"{self.name}: the thread that receives messages broke down")
        if self._hung_up:
            self._hung_up = False
            (self.stop if self._terminal.is_closed else self.reload).set()
        if self._say_waiting_at == float("inf"):
            self._say_waiting_at = time.monotonic() + SAY_WAITING_AFTER
        self.health.beat()
        missing = self.health.missing()
        self.metrics.ready.set(not missing)
        self._say(not missing, "; ".join(missing.values()))

    def _hang_up(self, *_: object) -> None:
        # Looked at by the loop: the terminal may still be there at the moment of the signal.
        self._hung_up = True

    def _say(self, ready: bool, lacking: str) -> None:
        """Log the state where it is another than was last said."""
        # Stages start in any order: that the one before is not there yet is no news at first.
        early = time.monotonic() < self._say_waiting_at
        if ready == self._said or (early and not ready and self._said is None):
            return
        if ready and self._was_ready:
            log.info("ready again")
        elif ready:
            seconds = time.time() - psutil.Process().create_time()
            log.info("ready after %.1f s, metrics on %s", seconds, self.metrics_url)
        elif self._was_ready:
            log.warning("not ready: %s", lacking)
        else:
            log.info("waiting: %s; metrics on %s", lacking, self.metrics_url)
        self._said = ready
        self._was_ready = self._was_ready or ready

    def bad_message(self, error: MessageError) -> None:
        """Count a broken message, and log it once a minute at most."""
        self.metrics.bad(error.reason)
        now = time.monotonic()
        if now - self._bad_logged >= BAD_MESSAGE_LOG_INTERVAL:
            self._bad_logged = now
            log.warning("ignored a message that breaks the wire format: %s", error)

    def _work(self, messages: list[Message], step: Step, publisher: Publisher) -> None:
        taken = time.time_ns()
        counted = [
            message
            for message in messages
            if message.header.is_data and isinstance(message.header, self._primary)
        ]
        for message in counted:
            self.metrics.taken(message.header.stream)
        try:
            answers = self._timed(step, messages)
        except MessageError as error:
            self.bad_message(error)
            for message in counted:
                self.metrics.dropped(message, "bad")
            return
        for answer in answers:
            publisher.send(stamped(answer, self.name, taken))
            self.metrics.faces(answer)
        now = time.time_ns()
        for message in counted:
            self.metrics.given(message.header.stream, (now - message.header.t) / 1e9)

    def _timed(self, step: Step, messages: list[Message]) -> list[Message]:
        if not messages:
            return step(messages)
        with self.metrics.seconds.time():
            return step(messages)


def stamped(message: Message, stage: str, taken: int) -> Message:
    """Return the message with the stage's mark: when it took and when it gives, ns."""
    header = message.header
    marks = {**header.marks, stage: (taken, time.time_ns())}
    return Message(msgspec.structs.replace(header, marks=marks), message.payload, message.shard)


def _follow_parent() -> None:
    """End with the supervisor that started this process, however that one ends.

    PR_SET_PDEATHSIG exists on Linux alone; a look at the parent twice a second works everywhere.
    """
    supervisor = os.environ.get("EMOSTREAM_SUPERVISOR")
    if supervisor is None:
        return

    def watch() -> None:
        while os.getppid() == int(supervisor):
            time.sleep(PARENT_POLL)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(3)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
