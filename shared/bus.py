"""The bus: ZeroMQ PUB and SUB sockets that carry messages."""

import contextlib
import ipaddress
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
import zmq

from shared.errors import BusError, ConfigError, MessageError
from shared.messages import Message, decode, encode, frame_part

# What a publisher still sends when it closes, in ms; a subscriber has nothing to send.
PUBLISHER_LINGER = 2000
# A peer that vanished without closing (a cable, a host) is noticed after these ms.
HEARTBEAT_INTERVAL = 2000
HEARTBEAT_TIMEOUT = 10_000
RECONNECT_INTERVAL = 100
RECONNECT_INTERVAL_MAX = 1000
PORT_STEP = 100
LAST_PORT = 65_535
# The queue of a live work input: it holds the old frames, so it is short.
LIVE_HWM = 4
# Results are small and read in full.
RESULTS_HWM = 1000
_POLL_MS = 100
_TCP = re.compile(r"tcp://(?P<host>.+):(?P<port>\d+|\*)")


@dataclass(frozen=True)
class Subscription:
    """What to connect to: `topics` are prefixes, `hwm` the messages that a queue holds (0: all)."""

    endpoints: Sequence[str]
    topics: Sequence[str]
    hwm: int


def is_loopback(host: str) -> bool:
    """Whether the host is this machine alone; a name other than localhost counts as beyond it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_exposure(host: str, address: str, who: str, *, insecure: bool) -> None:
    """Raise ConfigError for an address that other hosts could reach, unless that was asked for."""
    if not (insecure or is_loopback(host)):
        raise ConfigError(
            f"{who}: {address} can be reached from other hosts and nothing is encrypted; "
            "bind to 127.0.0.1, or write insecure = true if the network is trusted"
        )


def shifted(endpoint: str, instance: int) -> str:
    """Return the endpoint with 100 x `instance` added to its port, where it has one."""
    match = _TCP.fullmatch(endpoint)
    if not match or match["port"] == "*":
        return endpoint
    return f"tcp://{match['host']}:{shifted_port(int(match['port']), instance)}"


def shifted_port(port: int, instance: int) -> int:
    """Return the port with 100 x `instance` added; 0, any free one, stays.

    Raises ConfigError where that is no port: ZeroMQ would take its lowest 16 bits.
    """
    moved = port + PORT_STEP * instance if port else 0
    if not 0 <= moved <= LAST_PORT:
        raise ConfigError(f"{moved} is no port: the last one is {LAST_PORT}")
    return moved


class Publisher:
    """A PUB socket bound to an endpoint. Never blocks: what a queue cannot hold is lost there."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket
        self._sent: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def send(self, message: Message) -> None:
        """Send the message. A large payload is not copied, so it must never be written again."""
        self._socket.send_multipart(encode(self._counted(message)), copy=False)

    def _counted(self, message: Message) -> Message:
        """Return the message with the number of frames sent before on its topic and part."""
        part = frame_part(message.header)
        if part is None:
            return message
        sent = self._sent[message.topic, part]
        self._sent[message.topic, part] += 1
        header = msgspec.structs.replace(message.header, sent=sent)
        return Message(header, message.payload, message.shard)

    def close(self) -> None:
        """Close the socket; what was sent goes out for up to 2 s more."""
        self._socket.close()


class Receiver:
    """A thread that owns SUB sockets and drains them at once into `deliver`."""

    def __init__(
        self,
        sockets: "Sequence[zmq.Socket[bytes]]",
        deliver: Callable[[Message], None],
        bad: Callable[[MessageError], None],
    ) -> None:
        self._sockets = sockets
        self._deliver = deliver
        self._bad = bad
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread and close its sockets."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in self._sockets:
            poller.register(socket, zmq.POLLIN)
        try:
            while not self._stop.is_set():
                for socket, _ in poller.poll(_POLL_MS):
                    self._receive(socket)
        finally:
            for socket in self._sockets:
                socket.close()

    def _receive(self, socket: "zmq.Socket[bytes]") -> None:
        frames = socket.recv_multipart(copy=False)
        # The view keeps its frame alive, so pixels are not copied.
        parts = [memoryview(frame.buffer) for frame in frames]
        try:
            message = decode(parts)
        except MessageError as error:
            self._bad(error)
        else:
            self._deliver(message)


class Bus:
    """The sockets of one process. `who` names it in errors, `instance` shifts the ports it binds.

    Raises BusError where an address cannot be bound or connected, and ConfigError where it could
    be reached from other hosts without `insecure`.
    """

    def __init__(self, who: str, *, instance: int = 0, insecure: bool = False) -> None:
        self._who = who
        self._instance = instance
        self._insecure = insecure
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.term()

    def publisher(self, endpoint: str, hwm: int) -> Publisher:
        """Return a publisher bound to `endpoint` whose queue holds `hwm` messages a subscriber."""
        endpoint = shifted(endpoint, self._instance)
        if match := _TCP.fullmatch(endpoint):
            check_exposure(match["host"], endpoint, self._who, insecure=self._insecure)
        socket = self._context.socket(zmq.PUB)
        socket.set(zmq.SNDHWM, hwm)
        socket.set(zmq.LINGER, PUBLISHER_LINGER)
        socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
        socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise self._unbindable(endpoint, error) from error
        return Publisher(socket)

    def receiver(
        self,
        subscriptions: Sequence[Subscription],
        deliver: Callable[[Message], None],
        bad: Callable[[MessageError], None],
    ) -> Receiver:
        """Return a receiver that hands each message to `deliver` and each broken one to `bad`.

        Both are called on the receiver's thread.
        """
        with contextlib.ExitStack() as on_error:
            sockets = []
            for item in subscriptions:
                sockets.append(self._subscriber(item))
                on_error.callback(sockets[-1].close, linger=0)
            on_error.pop_all()
        return Receiver(sockets, deliver, bad)

    def _subscriber(self, subscription: Subscription) -> "zmq.Socket[bytes]":
        endpoints = [shifted(endpoint, 0) for endpoint in subscription.endpoints]
        socket = self._context.socket(zmq.SUB)
        socket.set(zmq.RCVHWM, subscription.hwm)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
        socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)
        socket.set(zmq.RECONNECT_IVL, RECONNECT_INTERVAL)
        socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_INTERVAL_MAX)
        for topic in subscription.topics:
            socket.subscribe(topic)
        for endpoint in endpoints:
            try:
                socket.connect(endpoint)
            except zmq.ZMQError as error:
                socket.close(linger=0)
                raise BusError(f"{self._who} cannot connect to {endpoint}: {error}") from error
        return socket

    def _unbindable(self, endpoint: str, error: zmq.ZMQError) -> BusError:
        if error.errno == zmq.EADDRINUSE:
            return BusError(
                f"{self._who} cannot bind {endpoint}: the port is in use. Stop the program that "
                f"has it (another emostream?), or set {self._who}.bind to another"
            )
        return BusError(f"{self._who} cannot bind {endpoint}: {error}")
