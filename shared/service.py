"""The process around a stage: signals, logging, metrics, health, the bus and the loop."""

import contextlib
import dataclasses
import logging
import signal
import threading
import time
from collections import abc, deque
from collections.abc import Callable, Iterable
from typing import Self, TypeAlias

from prometheus_client import CollectorRegistry

from emostream.shared.address_file import Addresses, write_addresses
from emostream.shared.addresses import check_http_exposure, shifted_port
from emostream.shared.bad_messages import BadMessages
from emostream.shared.bus import Bus, Publisher, Receiver, Subscription
from emostream.shared.config import Config
from emostream.shared.counted_receiver import CountedReceiver
from emostream.shared.errors import EmostreamError, MessageError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.health import Health
from emostream.shared.inbox import Inbox, LiveInbox
from emostream.shared.intake import Intake
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import AnyHeader, Message, stamped
from emostream.shared.metrics import MetricsServer, StageMetrics
from emostream.shared.open_files import raise_open_files_limit
from emostream.shared.parent_process import exit_with_parent
from emostream.shared.readiness import ReadinessLog
from emostream.shared.replay_sequence import ReplaySequence
from emostream.shared.send_buffers import SendBuffers
from emostream.shared.sums import Sums
from emostream.shared.terminal import Terminal

TAKE_TIMEOUT = 0.2
# Messages that a stage is told of before their turn.
AHEAD = 8
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
        self.health = Health(config.live.silent_after, config.live.hung_after)
        self.stop = threading.Event()
        self.reload = threading.Event()
        self._hung_up = False
        self._terminal = Terminal()
        self._readiness = ReadinessLog()
        self._primary = primary
        self._sums = Sums(self.metrics.accounts, primary)
        self._send_buffers = SendBuffers((), 0.0)
        self.bad_message = BadMessages(self.metrics)
        self._receivers: list[Receiver] = []
        self._publishers: list[Publisher] = []
        self._stack = contextlib.ExitStack()
        host, _, port = metrics.rpartition(":")
        is_disabled = config.security.is_disabled
        check_http_exposure(host, f"{name}.metrics {metrics}", name, is_disabled=is_disabled)
        self._metrics_address = (host, shifted_port(int(port), instance))
        largest = config.live.max_message_bytes
        self.bus = Bus(
            name,
            instance=instance,
            security=config.security,
            failures=HandshakeFailures(self.metrics.handshakes_failed),
            max_message=largest,
        )
        self.intake = Intake(
            self.metrics, self.health, config.live, primary, counts_losses=not self.is_lossless
        )
        self._forget: list[Callable[[str], None]] = [
            self.metrics.forget,
            self.health.mark_progress,
            self._sums.forget,
        ]

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stop.set())
        signal.signal(signal.SIGHUP, self._hang_up)
        exit_with_parent()
        raise_open_files_limit()
        self.metrics_server = MetricsServer(
            self.name,
            *self._metrics_address,
            self.registry,
            self.health,
            self.config.allowed_hosts,
        )
        self._stack.callback(self.metrics_server.close)
        self._stack.enter_context(self.bus)
        self.metrics_url = f"http://{self._metrics_address[0]}:{self.metrics_server.port}/metrics"
        write_addresses(Addresses(self.metrics_url))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def publisher(self, endpoint: str, hwm: int) -> Publisher:
        """Return a publisher that is closed with the service; lossless, its queue has no bound."""
        publisher = self.bus.publisher(endpoint, self._hwm(hwm))
        self._stack.callback(publisher.close)
        self._publishers.append(publisher)
        if not self.is_lossless:
            endpoints = [each.endpoint for each in self._publishers]
            self._send_buffers = SendBuffers(endpoints, self.config.live.max_age_ms / 2000)
        write_addresses(
            Addresses(self.metrics_url, tuple(each.endpoint for each in self._publishers))
        )
        return publisher

    @property
    def is_lossless(self) -> bool:
        """Whether every frame counts."""
        return self.config.delivery == "lossless"

    def live_inbox(self) -> LiveInbox:
        """Return an inbox that thins as the configuration says, and counts what it drops."""
        live = self.config.live
        return LiveInbox(self.intake.dropped, live.backlog, live.max_age_ms / 1000)

    def listen(
        self,
        subscriptions: abc.Sequence[Subscription],
        deliver: Callable[[Message], None],
        pacer: LinkPacer | None = None,
    ) -> Receiver:
        """Hand each message to `deliver`, on a thread of its own, until the service closes."""
        subscriptions = [
            dataclasses.replace(item, hwm=self._hwm(item.hwm)) for item in subscriptions
        ]
        receiver = self.bus.receiver(subscriptions, deliver, self.bad_message, pacer)
        self._stack.callback(receiver.close)
        self._receivers.append(receiver)
        return receiver

    def receive(
        self,
        subscriptions: abc.Sequence[Subscription],
        inbox: Inbox,
        needed: type[AnyHeader] | None = None,
        *,
        paced: bool = False,
    ) -> CountedReceiver:
        """Fill the inbox from the subscriptions; what was lost on the way is counted.

        Lossless, nothing is: what a restarted stage did not hear comes again. The stage is ready
        while messages of the `needed` kind come, by default its primary one. Live, those that are
        `paced` are left out where a link is too thin for all of them.
        """
        self.health.require_input()
        pacer = None
        if paced and not self.is_lossless:
            topics = [topic for item in subscriptions for topic in item.topics]
            pacer = LinkPacer(topics, self.config.live.max_age_ms / 1000)

        def deliver(message: Message) -> None:
            self.intake.take(message, inbox, needed or self._primary, pacer)

        return CountedReceiver(self.listen(subscriptions, deliver, pacer), self.intake.gaps)

    def on_stream_gone(self, forget: Callable[[str], None]) -> None:
        """Call `forget`, in the loop, with each stream that gave way to newer ones."""
        self._forget.append(forget)

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
        """Work until told to stop: take up to `limit` messages, step, stamp and publish.

        Without messages for a moment, `step` is called with none, for what is due by time. Where it
        `reports_progress`, it says itself which streams got on (`health.mark_progress`).
        """
        while not self.stop.is_set():
            self.check_health()
            messages = inbox.take(limit, TAKE_TIMEOUT, linger)
            worked_on = self._work(messages or self._sums.due(), step, publisher)
            if not reports_progress:
                self._mark_progress(worked_on)
            self.metrics.queue_depth.set(len(inbox))

    def run_in_sequence(
        self,
        inbox: Inbox,
        sequence: ReplaySequence,
        publisher: Publisher,
        look_ahead: Callable[[abc.Sequence[Message]], None] = lambda waiting: None,
    ) -> None:
        """Work until told to stop, on each frame once and in order, whatever comes again.

        `look_ahead` is told what waits before each is worked on, and may begin with what comes.
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

    def check_health(self) -> None:
        """Note that the loop goes round, and log when readiness changes.

        Raises EmostreamError where a receiver broke down, since nothing would ever come again.
        """
        if not all(receiver.alive for receiver in self._receivers):
            raise EmostreamError(f"{self.name}: the thread that receives messages broke down")
        if self._hung_up:
            self._hung_up = False
            (self.stop if self._terminal.is_closed else self.reload).set()
        self.health.beat()
        for publisher in self._publishers:
            publisher.take_subscriptions()
        self._send_buffers.adjust()
        for stream in self.intake.gone():
            for forget in self._forget:
                forget(stream)
        missing = self.health.missing()
        self.metrics.ready.set(not missing)
        self._readiness.update("; ".join(missing.values()), self.metrics_url)

    def _hang_up(self, *_: object) -> None:
        # Looked at by the loop: the terminal may still be there at the moment of the signal.
        self._hung_up = True

    def _work(self, messages: list[Message], step: Step, publisher: Publisher) -> list[Message]:
        """Work on the messages; return those that the stage is counted by."""
        taken = time.time_ns()
        messages = self.intake.known(messages)
        counted = [
            message
            for message in messages
            if message.header.is_data and isinstance(message.header, self._primary)
        ]
        for message in counted:
            self.metrics.taken(message.header.stream)
        if not self.is_lossless:
            self._sums.take(messages)
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
            self.metrics.given(message.header.stream, (now - message.header.t) / 1e9)
        return counted

    def _mark_progress(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.health.mark_progress(message.header.stream)

    def _send(self, answers: Iterable[Message], publisher: Publisher, taken: int) -> None:
        for answer in answers:
            publisher.send(stamped(self._sums.add_to(answer), self.name, taken))

    def _hwm(self, hwm: int) -> int:
        # Lossless, only what capture holds is a bound; a full queue would drop.
        return 0 if self.is_lossless else hwm

    def _timed(self, step: Step, messages: list[Message]) -> list[Message]:
        if not messages:
            return step(messages)
        with self.metrics.seconds.time():
            return step(messages)
