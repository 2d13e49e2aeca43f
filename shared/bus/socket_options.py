"""Socket options of the bus: limits, and when a connection counts as lost."""

from typing import Any, Final, TypeAlias

import zmq

# How long a closing publisher still sends pending messages, in ms; a subscriber has none.
PUBLISHER_LINGER: Final = 2000
# TCP keep-alive, in s: a peer that vanished without closing (cable, host, address) is noticed after
# 3 s. The kernels probe each other, so a stopped process is not mistaken for one that vanished.
KEEPALIVE_IDLE: Final = 1
KEEPALIVE_INTERVAL: Final = 1
KEEPALIVE_COUNT: Final = 2
# Time until unacknowledged data counts as a lost connection, in ms. Linux also applies this to
# keep-alive probes: with 3 s it would sometimes be just too early, and probe for a second more. A
# publisher waits longer, because a stopped subscriber reads nothing once its buffers are full.
UNACKNOWLEDGED: Final = 2500
UNTAKEN: Final = 10_000
# Each attempt looks up the host name again, so end a hanging attempt soon. In ms.
CONNECT_TIMEOUT: Final = 1500
RECONNECT_INTERVAL: Final = 100
RECONNECT_INTERVAL_MAX: Final = 500
# A peer that does not complete the handshake within these ms is disconnected.
HANDSHAKE_INTERVAL: Final = 5000
BACKLOG: Final = 256
# The largest frame that a publisher accepts from its subscribers: a topic, or a handshake. The
# queue is short, because libzmq keeps reading subscriptions while they arrive faster than it stores
# them, and only after that can the publisher count and disconnect the sender. The kernel buffer has
# room for the requests of a subscriber that is behind: if it is full, TCP waits for a timer.
MAX_SUBSCRIPTION_BYTES: Final = 1024
SUBSCRIPTIONS_HWM: Final = 2
SUBSCRIPTIONS_BUFFER: Final = 16384
# The overhead of encryption and framing per message part.
OVERHEAD_BYTES: Final = 1024

Socket: TypeAlias = "zmq.Socket[Any]"


def set_publishing(socket: Socket, hwm: int) -> None:
    """Set the options of an XPUB socket, before its bind; its queues hold `hwm` messages."""
    # Report every subscription and unsubscription, even if another connection has the same topic.
    socket.set(zmq.XPUB_VERBOSER, 1)
    socket.set(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)
    socket.set(zmq.RCVHWM, SUBSCRIPTIONS_HWM)
    socket.set(zmq.RCVBUF, SUBSCRIPTIONS_BUFFER)
    socket.set(zmq.SNDHWM, hwm)
    socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_INTERVAL)
    socket.set(zmq.BACKLOG, BACKLOG)
    socket.set(zmq.LINGER, PUBLISHER_LINGER)
    _keep_alive(socket)


def give_up_who_takes_nothing(socket: Socket) -> None:
    """Make an XPUB socket disconnect a subscriber that reads nothing for a long time."""
    socket.set(zmq.TCP_MAXRT, UNTAKEN)


def ask_who_is_there(socket: Socket) -> None:
    """Make a SUB socket subscribe only while it is connected.

    Otherwise subscriptions and unsubscriptions queue up for an absent publisher, and it would get
    thousands of requests for the time when it returns. Only for live subscribers: unread messages
    of a connection that ends are lost.
    """
    socket.set(zmq.IMMEDIATE, 1)


def set_subscribing(socket: Socket, hwm: int, max_message: int) -> None:
    """Set the options of a SUB socket, before `connect`; a part may have `max_message` bytes."""
    socket.set(zmq.RCVHWM, hwm)
    socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_INTERVAL)
    socket.set(zmq.MAXMSGSIZE, max_message + OVERHEAD_BYTES)
    # A SUB socket sends only subscriptions. With the default, the 1001st is dropped.
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
