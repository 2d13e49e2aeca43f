"""The process around a stage: signals, logging, metrics, health, and the bus."""

import contextlib
import dataclasses
import logging
import signal
import threading
from collections import abc
from collections.abc import Callable
from typing import Self

from prometheus_client import CollectorRegistry

from emostream.shared.address_file import Addresses, write_addresses
from emostream.shared.addresses import shifted_port
from emostream.shared.bad_messages import BadMessages
from emostream.shared.bus import Bus, Publisher, Receiver, Relay, Subscription
from emostream.shared.config import Config
from emostream.shared.counted_receiver import CountedReceiver
from emostream.shared.errors import EmostreamError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.health import Health
from emostream.shared.http_access import log_if_plain, metrics_access
from emostream.shared.http_urls import metrics_url
from emostream.shared.inbox import Inbox, LiveInbox
from emostream.shared.intake import Intake
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import AnyHeader, Message
from emostream.shared.metrics import StageMetrics
from emostream.shared.metrics_server import MetricsServer
from emostream.shared.open_files import raise_open_files_limit
from emostream.shared.parent_process import exit_with_parent
from emostream.shared.readiness import ReadinessLog
from emostream.shared.send_buffers import SendBuffers
from emostream.shared.sums import Sums
from emostream.shared.terminal import Terminal
from emostream.shared.work_loop import WorkLoop

log = logging.getLogger("emostream")


class Service:
    """The process of one stage. Use it as a context manager around its `loop`.

    `primary` is the kind of message that the stage counts. SIGINT and SIGTERM set `stop`. SIGHUP
    sets `reload`, or `stop` if the terminal was closed.
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
        self._send_buffers = SendBuffers((), 0.0)
        self.bad_message = BadMessages(self.metrics)
        self._receivers: list[Receiver] = []
        self._publishers: list[Publisher] = []
        self._stack = contextlib.ExitStack()
        host, _, port = metrics.rpartition(":")
        self._access = metrics_access(config, name)
        self.metrics.certificates.add("metrics", self._access.certificate)
        log_if_plain(self._access, f"{name}.metrics {metrics}")
        self._metrics_address = (host, shifted_port(int(port), instance))
        largest = config.live.max_message_bytes
        shares_memory = config.live.shared_memory and not self.is_lossless
        self.bus = Bus(
            name,
            instance=instance,
            security=config.security,
            failures=HandshakeFailures(self.metrics.handshakes_failed),
            max_message=largest,
            count_local=self.metrics.local_frame_counter() if shares_memory else None,
        )
        self.intake = Intake(
            self.metrics, self.health, config.live, primary, counts_losses=not self.is_lossless
        )
        sums = Sums(self.metrics.accounts, primary)
        self.loop = WorkLoop(
            name=name,
            primary=primary,
            is_lossless=self.is_lossless,
            metrics=self.metrics,
            health=self.health,
            intake=self.intake,
            sums=sums,
            bad_message=self.bad_message,
            stop=self.stop,
            check_health=self.check_health,
        )
        self._forget: list[Callable[[str], None]] = [
            self.metrics.forget,
            self.health.mark_progress,
            sums.forget,
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
            self._access,
            self.metrics.wrong_token_counter("metrics"),
        )
        self._stack.callback(self.metrics_server.close)
        self._stack.enter_context(self.bus)
        bound = f"{self._metrics_address[0]}:{self.metrics_server.port}"
        self.metrics_url = metrics_url(self.config, bound)
        write_addresses(Addresses(self.metrics_url))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def publisher(self, endpoint: str, hwm: int, *, has_frames: bool = False) -> Publisher:
        """Return a publisher, closed with the service; its queue is unlimited if lossless.

        With `has_frames`, live frames pass through shared memory if that is possible.
        """
        publisher = self.bus.publisher(endpoint, self._hwm(hwm), has_frames=has_frames)
        self._keep(publisher)
        return publisher

    def relay(self, connect: abc.Sequence[str], bind: str, hwm: int) -> Relay:
        """Return a relay from the publishers at `connect`, closed with the service. Live only."""
        relay = self.bus.relay(connect, bind, hwm)
        self._stack.callback(relay.close)
        self._keep(relay.publisher)
        return relay

    def _keep(self, publisher: Publisher) -> None:
        self._stack.callback(publisher.close)
        self._publishers.append(publisher)
        if not self.is_lossless:
            endpoints = [each.endpoint for each in self._publishers]
            self._send_buffers = SendBuffers(endpoints, self.config.live.max_age_ms / 2000)
        write_addresses(
            Addresses(self.metrics_url, tuple(each.endpoint for each in self._publishers))
        )

    @property
    def is_lossless(self) -> bool:
        """Whether delivery is lossless."""
        return self.config.delivery == "lossless"

    def live_inbox(self) -> LiveInbox:
        """Return an inbox that drops frames as configured, and counts them."""
        live = self.config.live
        return LiveInbox(self.intake.dropped, live.backlog, live.max_age_ms / 1000)

    def listen(
        self,
        subscriptions: abc.Sequence[Subscription],
        deliver: Callable[[Message], None],
        pacer: LinkPacer | None = None,
    ) -> Receiver:
        """Pass each message to `deliver`, on a separate thread, until the service closes."""
        subscriptions = [
            dataclasses.replace(item, hwm=self._hwm(item.hwm)) for item in subscriptions
        ]
        clocks = None if self.is_lossless else self.metrics.clocks
        receiver = self.bus.receiver(subscriptions, deliver, self.bad_message, pacer, clocks)
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
        as_needed: bool = False,
    ) -> CountedReceiver:
        """Fill the inbox from the subscriptions, and count messages lost in transit.

        In lossless delivery there are none: messages that a restarted stage missed are sent again.
        The stage is ready while messages of the `needed` kind arrive, by default its primary one.
        In live delivery, `paced` messages are left out if a link is too slow for all of them, and
        with `as_needed` also if the stage is.
        """
        self.health.require_input()
        pacer = None
        if paced and not self.is_lossless:
            topics = [topic for item in subscriptions for topic in item.topics]
            max_age = self.config.live.max_age_ms / 1000
            live = inbox if as_needed and isinstance(inbox, LiveInbox) else None
            pacer = LinkPacer(topics, max_age, inbox=live)

        def deliver(message: Message) -> None:
            self.intake.take(message, inbox, needed or self._primary, pacer)

        receiver = self.listen(subscriptions, deliver, pacer)
        return CountedReceiver(receiver, self.intake.gaps, pacer)

    def on_stream_gone(self, forget: Callable[[str], None]) -> None:
        """Call `forget`, in the loop, with each evicted stream."""
        self._forget.append(forget)

    def check_health(self) -> None:
        """Record an iteration of the loop, and log changes of readiness.

        Raises EmostreamError if a receiver crashed, because no message would ever arrive again.
        """
        if not all(receiver.alive for receiver in self._receivers):
            raise EmostreamError(f"{self.name}: the receiving thread crashed")
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
        # Checked by the loop, because the terminal may still exist at the moment of the signal.
        self._hung_up = True

    def _hwm(self, hwm: int) -> int:
        # In lossless delivery, only capture's window limits the messages; a full queue would drop
        # them.
        return 0 if self.is_lossless else hwm
