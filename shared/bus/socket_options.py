"""The options of the bus's sockets: their bounds, and when a connection counts as lost."""

from typing import Any, Final, TypeAlias

import zmq

# What a publisher still sends when it closes, in ms; a subscriber has nothing to send.
PUBLISHER_LINGER: Final = 2000
# A peer that vanished without closing (a cable, a host, an address) is noticed after 3 s. The
# systems ask each other, so a process that is stopped is not taken for one that vanished. In s.
KEEPALIVE_IDLE: Final = 1
KEEPALIVE_INTERVAL: Final = 1
KEEPALIVE_COUNT: Final = 2
# So is one that does not acknowledge what it was sent, in ms. Linux takes this bound for the
# questions too: of 3 s it would sometimes fall short by a moment, and ask for a second more. A
# publisher waits for longer, since a stopped subscriber takes nothing once its buffers are full.
UNACKNOWLEDGED: Final = 2500
UNTAKEN: Final = 10_000
# Each attempt looks the host's name up again, so one that hangs ends soon. In ms.
CONNECT_TIMEOUT: Final = 1500
RECONNECT_INTERVAL: Final = 100
RECONNECT_INTERVAL_MAX: Final = 500
# Who does not say who it is within these ms is cut off, and makes room for others.
HANDSHAKE_INTERVAL: Final = 5000
BACKLOG: Final = 256
# What a publisher takes from its subscribers: a topic, or what opens an encrypted connection. The
# queue is short: libzmq takes in subscriptions as long as they arrive faster than it stores them,
# and only then can the publisher count them and cut the sender off. The system's buffer holds the
# requests of a subscriber that is behind: where it is full, TCP waits for a timer.
MAX_SUBSCRIPTION_BYTES: Final = 1024
SUBSCRIPTIONS_HWM: Final = 2
SUBSCRIPTIONS_BUFFER: Final = 16384
# What encryption and framing add to a part of a message.
OVERHEAD_BYTES: Final = 1024

Socket: TypeAlias = "zmq.Socket[Any]"


def set_publishing(socket: Socket, hwm: int) -> None:
    """Set what an XPUB socket needs before its bind; its queues hold `hwm` messages."""
    # Each subscription is told, also where another connection has the same one.
    socket.set(zmq.XPUB_VERBOSE, 1)
    socket.set(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)
    socket.set(zmq.RCVHWM, SUBSCRIPTIONS_HWM)
    socket.set(zmq.RCVBUF, SUBSCRIPTIONS_BUFFER)
    socket.set(zmq.SNDHWM, hwm)
    socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_INTERVAL)
    socket.set(zmq.BACKLOG, BACKLOG)
    socket.set(zmq.LINGER, PUBLISHER_LINGER)
    _keep_alive(socket)


def give_up_who_takes_nothing(socket: Socket) -> None:
    """Let an XPUB socket end the connection of a subscriber that stands still for long."""
    socket.set(zmq.TCP_MAXRT, UNTAKEN)


def ask_who_is_there(socket: Socket) -> None:
    """Let a SUB socket subscribe only where it is connected.

    Else each subscription and its end would wait for a publisher that is away: the questions for
    its time would be thousands when it comes back. For live subscribers alone: what has arrived on
    a connection that ends, and was not taken yet, is lost.
    """
    socket.set(zmq.IMMEDIATE, 1)


def set_subscribing(socket: Socket, hwm: int, max_message: int) -> None:
    """Set what a SUB socket needs before its `connect`; a part may have `max_message` bytes."""
    socket.set(zmq.RCVHWM, hwm)
    socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_INTERVAL)
    socket.set(zmq.MAXMSGSIZE, max_message + OVERHEAD_BYTES)
    # What a SUB socket sends is its subscriptions. With the default, the 1001st is dropped.
    socket.set(zmq.SNDHWM, 0)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.TCP_MAXRT, UNACKNOWLEDGED)
    socket.set(zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT)
    socket.set(zmq.RECONNECT_IVL, RECONNECT_INTERVAL)
    socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_INTERVAL_MAX)
    _keep_alive(socket)


def _keep_alive(socket: Socket) -> None:
    socket.set(zmq.TCP_KEEPALIVE, 1)
    socket.set(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE)
    socket.set(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL)
    socket.set(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT)
