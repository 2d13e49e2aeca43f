"""Creates and limits the sockets of one process."""

import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Self

import zmq

from emostream.shared.addresses import is_local, shifted
from emostream.shared.bus.admission import Admission
from emostream.shared.bus.bind_error import unbindable
from emostream.shared.bus.connecting import NAME_THREADS, Connector, Subscription
from emostream.shared.bus.publisher import BlockingPublisher, Publisher
from emostream.shared.bus.receiver import Receiver
from emostream.shared.bus.references import references_at
from emostream.shared.bus.relay import Relay, RelayPublisher
from emostream.shared.bus.socket_options import give_up_who_takes_nothing, set_publishing
from emostream.shared.bus.subscriber import Subscriber
from emostream.shared.clocks import Clocks
from emostream.shared.config import Security
from emostream.shared.errors import MessageError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.key_files import KeyFolder
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Message
from emostream.shared.security import (
    DISABLED,
    HandshakeMonitor,
    ZapHandler,
    as_server,
    check_bind,
    is_encrypted,
)
from emostream.shared.send_buffers import FIRST_BYTES

# The queue of a live work input. It holds old frames, so it is short.
LIVE_HWM = 4
# Results are small and read in full.
RESULTS_HWM = 1000
MAX_MESSAGE_BYTES = 256_000_000
DEFAULT_SECURITY = Security()
log = logging.getLogger("emostream")


def frames_hwm(streams: int) -> int:
    """Return the queue length of a publisher with this many streams of frames.

    Cameras may be synchronized, so that one frame of each arrives at once.
    """
    return LIVE_HWM + streams - 1


class Bus:
    """The sockets of one process. `who` names it in errors, `instance` shifts the ports it binds.

    Raises BusError if an address cannot be bound or connected, and ConfigError if `security` needs
    keys that are missing. A received message part may have `max_message` bytes; a larger one closes
    the connection, which is then reopened. `count_local` is called with each frame that came
    through shared memory; None turns shared memory off.
    """

    def __init__(
        self,
        who: str,
        *,
        instance: int = 0,
        security: Security = DEFAULT_SECURITY,
        failures: HandshakeFailures | None = None,
        max_message: int = MAX_MESSAGE_BYTES,
        count_local: Callable[[], None] | None = None,
    ) -> None:
        self._who = who
        self._max_message = max_message
        self._shares_memory = count_local is not None
        self._instance = instance
        self._security = security
        if security.is_disabled:
            log.warning("%s: %s", who, DISABLED)
        self._failures = failures or HandshakeFailures()
        self._keys = KeyFolder(security.folder)
        self._zap: ZapHandler | None = None
        # Subscribers use this to tell this start of the process from an earlier one.
        self._publisher_name = secrets.token_hex(4)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1 + NAME_THREADS)
        self._connector = Connector(
            *(who, self._context, security, self._keys, self._failures, max_message, count_local)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.term()

    def publisher(
        self, endpoint: str, hwm: int, setting: str = "", *, has_frames: bool = False
    ) -> Publisher:
        """Return a publisher bound to `endpoint`, with a queue of `hwm` messages per subscriber.

        `setting` is the endpoint's setting if it is not this process's `bind`. With `has_frames`,
        frames pass through shared memory if that is possible.
        """
        socket = self._context.socket(zmq.XPUB)
        give_up_who_takes_nothing(socket)
        admission = self._bind(socket, endpoint, hwm, setting)
        references = None
        if has_frames and self._shares_memory:
            references = references_at(self._security, endpoint, hwm, self._max_message)
        return Publisher(socket, self._publisher_name, admission, references)

    def blocking_publisher(self, endpoint: str, hwm: int, setting: str = "") -> BlockingPublisher:
        """Return a publisher as above that waits when a queue is full.

        It waits without a limit, so that a stalled subscriber is not disconnected and does not lose
        its queue.
        """
        socket = self._context.socket(zmq.XPUB)
        socket.set(zmq.XPUB_NODROP, 1)
        admission = self._bind(socket, endpoint, hwm, setting)
        socket.set(zmq.LINGER, -1)
        return BlockingPublisher(socket, self._publisher_name, admission)

    def relay(self, connect: Sequence[str], bind: str, hwm: int) -> Relay:
        """Return a relay from the publishers at `connect` to the subscribers at `bind`.

        Each queue holds `hwm` messages.
        """
        sources: dict[str, Subscriber] = {}
        with contextlib.ExitStack() as on_error:
            for endpoint in connect:
                sources[endpoint] = self._connector.watched(endpoint, hwm)
                on_error.callback(sources[endpoint].close)
            socket = self._context.socket(zmq.XPUB)
            give_up_who_takes_nothing(socket)
            admission = self._bind(socket, bind, hwm, "")
            on_error.pop_all()
        return Relay(sources, RelayPublisher(socket, self._publisher_name, admission))

    def _bind(
        self, socket: "zmq.Socket[bytes]", endpoint: str, hwm: int, setting: str
    ) -> Admission | None:
        """Bind the socket; if it is encrypted, return its access control."""
        set_publishing(socket, hwm)
        socket.set(zmq.AFFINITY, 1)
        with contextlib.ExitStack() as on_error:
            on_error.callback(socket.close, linger=0)
            endpoint = shifted(endpoint, self._instance)
            check_bind(self._security, endpoint, endpoint, self._who)
            if hwm and not is_local(endpoint):
                socket.set(zmq.SNDBUF, FIRST_BYTES)
            encrypted = is_encrypted(self._security, endpoint)
            if encrypted:
                self._encrypt(socket)
            try:
                socket.bind(endpoint)
            except zmq.ZMQError as error:
                raise unbindable(self._who, endpoint, error, setting) from error
            on_error.pop_all()
        if not encrypted:
            self._failures.expect(endpoint)
            return None
        monitor = HandshakeMonitor(socket, endpoint, self._failures)
        return Admission(socket, self._keys, monitor)

    def _encrypt(self, socket: "zmq.Socket[bytes]") -> None:
        # Set up access control before anybody can connect.
        if self._zap is None:
            self._zap = ZapHandler(self._context, self._keys)
        as_server(socket, self._keys.current())
        # Nothing is sent for a subscription before it is accepted or after it is removed.
        socket.set(zmq.XPUB_MANUAL, 1)

    def receiver(
        self,
        subscriptions: Sequence[Subscription],
        deliver: Callable[[Message], None],
        bad: Callable[[MessageError], None],
        pacer: LinkPacer | None = None,
        clocks: Clocks | None = None,
    ) -> Receiver:
        """Return a receiver whose thread calls `deliver` for a message, `bad` for an invalid one.

        A `pacer` replaces the topics of the subscriptions with its own. With `clocks`, the clocks
        of the publishers are measured, and the messages corrected by them.
        """
        with contextlib.ExitStack() as on_error:
            subscribers: list[Subscriber] = []
            for item in subscriptions:
                topics = () if pacer else item.topics
                for subscriber in self._connector.subscribers(item, topics, asks=bool(clocks)):
                    subscribers.append(subscriber)
                    on_error.callback(subscriber.close)
            on_error.pop_all()
        return Receiver(subscribers, deliver, bad, pacer, clocks)
