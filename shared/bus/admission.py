"""Access control of an encrypted publisher: refuses topics, and disconnects revoked keys."""

import logging
import time
from typing import Final

import zmq

from emostream.shared.errors import ConfigError
from emostream.shared.key_files import KeyFolder
from emostream.shared.security import HandshakeMonitor, admitted_peer, as_server
from emostream.shared.subscription_limit import end_connection, socket_inode

CHECK_EVERY_S: Final = 0.5
REBIND_EVERY_S: Final = 0.02
WARN_AFTER_TRIES: Final = 100
# The libzmq property that a ZAP handler sets for a peer; here it holds the peer's public key.
USER_ID: Final = "User-Id"
MESSAGE: Final = "something other than a subscription"
log = logging.getLogger("emostream")


class Admission:
    """Accepts or refuses subscriptions by the key of the connection, and watches the key files.

    The XPUB socket is in manual mode: nothing is sent for a subscription that was not accepted.
    """

    def __init__(
        self, socket: "zmq.Socket[bytes]", folder: KeyFolder, monitor: HandshakeMonitor
    ) -> None:
        self._socket = socket
        self._folder = folder
        self._monitor = monitor
        self._key = folder.current()
        self._endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        # By file descriptor: the inode of its socket, which is never reused, and the peer's key.
        self._connections: dict[int, tuple[int | None, str]] = {}
        self._refused: set[tuple[str, str]] = set()
        self._check_at = 0.0
        self._is_bound = True
        self._tries = 0

    def admit(self, part: zmq.Frame, descriptor: int, topic: str) -> bool:
        """Accept the subscription if the connection's key allows it; return whether it does.

        Call this right after receiving it: libzmq applies it to the last subscription received.
        """
        key = str(part.get(USER_ID))
        self._connections[descriptor] = socket_inode(descriptor), key
        peer = admitted_peer(self._folder, key)
        if peer is None:
            end_connection(descriptor)
            return False
        if not peer.may_subscribe(topic):
            self._log_refusal(peer.name, topic)
            return False
        self._socket.set(zmq.SUBSCRIBE, part.bytes[1:])
        return True

    def note_message(self, part: zmq.Frame) -> None:
        """Log, once per peer, that it sent something other than a subscription."""
        peer = admitted_peer(self._folder, str(part.get(USER_ID)))
        name = peer.name if peer else "a revoked key"
        if self._is_new(name, MESSAGE):
            log.warning("%s sent %s; disconnected it", name, MESSAGE)

    def remove(self, part: zmq.Frame) -> None:
        """Remove the subscription that was received last."""
        self._socket.set(zmq.UNSUBSCRIBE, part.bytes[1:])

    def check(self) -> None:
        """At intervals, disconnect revoked keys, and switch to a new key of this host.

        Other connections stay open; only a new key of this host makes all peers reconnect.
        """
        now = time.monotonic()
        if now < self._check_at:
            return
        self._check_at = now + CHECK_EVERY_S
        self._monitor.read()
        admitted = {key: admitted_peer(self._folder, key) for _, key in self._connections.values()}
        for descriptor, (known, key) in list(self._connections.items()):
            if socket_inode(descriptor) != known:
                del self._connections[descriptor]
            elif not admitted[key]:
                del self._connections[descriptor]
                end_connection(descriptor)
        self._take_up_key()

    def _take_up_key(self) -> None:
        try:
            key = self._folder.current()
        except ConfigError:
            # The key in use stays valid while its file is broken, but nobody new is let in.
            return
        if key != self._key:
            self._socket.unbind(self._endpoint)
            as_server(self._socket, key)
            self._key = key
            self._connections.clear()
            self._is_bound = False
        if not self._is_bound:
            self._bind()

    def _bind(self) -> None:
        try:
            self._socket.bind(self._endpoint)
        except zmq.ZMQError as error:
            # libzmq releases the address a moment after `unbind`.
            self._check_at = time.monotonic() + REBIND_EVERY_S
            self._tries += 1
            if self._tries == WARN_AFTER_TRIES:
                log.warning("%s cannot be bound with the new key: %s", self._endpoint, error)
            return
        self._is_bound, self._tries = True, 0
        log.info("%s now uses the new key of this host", self._endpoint)

    def _log_refusal(self, name: str, topic: str) -> None:
        if self._is_new(name, topic):
            log.warning(
                "%s is not allowed to receive %s here; see emostream keys list",
                name,
                topic or "all topics",
            )

    def _is_new(self, name: str, what: str) -> bool:
        """Whether this was not logged for the peer yet, within a limited memory."""
        is_new = (name, what) not in self._refused and len(self._refused) < 1000
        if is_new:
            self._refused.add((name, what))
        return is_new

    def close(self) -> None:
        """Close the monitor. Call this before the socket is closed."""
        self._monitor.close()
