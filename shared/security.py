"""CURVE encryption: which sockets use it, with which keys, and which peers get in (ZAP)."""

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from emostream.shared.addresses import ADVICE, TCP, is_local
from emostream.shared.classifier_peers import classifier_peers
from emostream.shared.config import Config, Security
from emostream.shared.errors import ConfigError
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.key_files import OWN_FILE, KeyFolder, OwnKey, Peer

# libzmq asks here, in the same context, about each peer that has the publisher's key.
ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"
ZAP_DOMAIN: Final = b"emostream"
MECHANISM: Final = b"CURVE"
LOCAL: Final = "ipc://"
# The warning in the log and from doctor.
DISABLED: Final = (
    'security.mode = "disabled": nothing is encrypted, and anyone on the network can read and '
    "publish"
)
LOCAL_ADVICE: Final = 'or write [security] mode = "auto", which encrypts only beyond this host'
# The topics that each stage subscribes to.
CONNECTED: Final[dict[str, tuple[str, ...]]] = {
    "capture": ("emotion", "credit"),
    "detector": ("frame",),
    "classifier": ("faces",),
    "recorder": ("frame", "emotion", "control"),
    "display": ("frame", "emotion", "control"),
}


def new_key(since: float = 0.0) -> OwnKey:
    """Return a new key pair, for use from `since` (s since the epoch)."""
    public, secret = zmq.curve_keypair()
    # A key that starts with `-` would look like an option on a command line.
    while public.startswith(b"-"):
        public, secret = zmq.curve_keypair()
    return OwnKey(public.decode(), secret.decode(), since)


def is_encrypted(security: Security, endpoint: str) -> bool:
    """Whether the mode requires encryption for this endpoint."""
    return security.mode == "required" or (security.mode == "auto" and not is_local(endpoint))


def stage_endpoints(config: Config, stage: str, instance: int = 0) -> tuple[str, tuple[str, ...]]:
    """Return the bus endpoints that a stage binds and those that it connects to."""
    if stage == "relay":
        return config.relay.bind, config.relay.connect
    connected = tuple(
        endpoint
        for topic in CONNECTED[stage]
        if _is_connected(config, stage, topic)
        for endpoint in getattr(config.connect, topic)
    )
    if stage == "classifier":
        connected += classifier_peers(config, instance)
    return getattr(config, stage).bind, connected


def _is_connected(config: Config, stage: str, topic: str) -> bool:
    lossless = config.delivery == "lossless"
    if topic == "credit":
        return lossless
    if (stage, topic) == ("capture", "emotion"):
        # Only sources that are read as fast as possible wait for answers.
        return not lossless and any(source.pace == "fast" for source in config.capture.sources)
    return True


def encrypted_endpoints(config: Config, stage: str) -> list[str]:
    """Return the encrypted endpoints of a stage."""
    bound, connected = stage_endpoints(config, stage)
    return [each for each in (bound, *connected) if is_encrypted(config.security, each)]


def check_stage_keys(config: Config, stage: str, instance: int = 0) -> None:
    """Raise ConfigError if a key is missing for an endpoint that the stage must encrypt."""
    bound, connected = stage_endpoints(config, stage, instance)
    check_bind(config.security, bound, f"{stage}.bind {bound}", stage)
    for endpoint in connected:
        check_connect(config.security, endpoint, stage)


def check_own_processes(security: Security, who: str) -> None:
    """Raise ConfigError if loopback traffic must be encrypted and this host has no usable key."""
    check_bind(security, LOCAL, "the bus", who)


def check_bind(security: Security, endpoint: str, shown: str, who: str) -> None:
    """Raise ConfigError if the endpoint must be encrypted and this host has no usable key."""
    if is_encrypted(security, endpoint):
        _checked_folder(security, endpoint, shown, who)


def check_connect(security: Security, endpoint: str, who: str) -> None:
    """Raise ConfigError if the endpoint must be encrypted and a key for it is missing."""
    if not is_encrypted(security, endpoint):
        return
    if not _checked_folder(security, endpoint, endpoint, who).pinned(endpoint):
        match = TCP.fullmatch(endpoint)
        host = match["host"] if match else ""
        raise ConfigError(
            f"{who}: {endpoint} is encrypted, but the key of that host is not known; run "
            "emostream keys "
            f"allow NAME KEY --host {host} with what emostream keys show prints there"
        )


def _checked_folder(security: Security, endpoint: str, shown: str, who: str) -> KeyFolder:
    folder = KeyFolder(security.folder)
    try:
        for key in folder.usable():
            if zmq.curve_public(key.secret.encode()) != key.public.encode():
                raise ConfigError(
                    f"{folder.path / OWN_FILE}: {key.public} does not match its secret key"
                )
        folder.peers()
    except ConfigError as error:
        advice = LOCAL_ADVICE if is_local(endpoint) else ADVICE
        raise ConfigError(f"{who}: {shown} is encrypted: {error}, {advice}") from error
    return folder


def as_server(socket: "zmq.Socket[Any]", key: OwnKey) -> None:
    """Make the socket accept only peers that the ZAP handler allows. Call this before its bind."""
    socket.set(zmq.CURVE_SERVER, 1)
    socket.set(zmq.CURVE_SECRETKEY, key.secret.encode())
    socket.set(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
    # Without a handler, libzmq would accept anyone with the public key.
    socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)


def as_client(socket: "zmq.Socket[Any]", key: OwnKey, server_key: str) -> None:
    """Make the socket connect only to the owner of `server_key`. Call this before `connect`."""
    socket.set(zmq.CURVE_PUBLICKEY, key.public.encode())
    socket.set(zmq.CURVE_SECRETKEY, key.secret.encode())
    socket.set(zmq.CURVE_SERVERKEY, server_key.encode())


class ZapHandler:
    """A ZAP thread that accepts or refuses peers by the current key files.

    It ends with the context. Accepted peers have their public key as `User-Id`.
    """

    def __init__(self, context: "zmq.Context[Any]", folder: KeyFolder) -> None:
        self._folder = folder
        self._socket = context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(ZAP_ENDPOINT)
        threading.Thread(target=self._run, name="zap", daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        except zmq.ContextTerminated:
            pass
        finally:
            self._socket.close()

    def _answer(self, request: list[bytes]) -> list[bytes]:
        # Version, id, domain, address, identity, mechanism, and, for CURVE, the key.
        version, number, domain, _, _, mechanism, *credentials = request
        key = z85.encode(credentials[0]).decode() if credentials else ""
        if domain == ZAP_DOMAIN and mechanism == MECHANISM and admitted_peer(self._folder, key):
            return [version, number, b"200", b"OK", key.encode(), b""]
        return [version, number, b"400", b"not allowed", b"", b""]


def admitted_peer(folder: KeyFolder, key: str) -> Peer | None:
    """Return the owner of the key if it is currently allowed; None if the files are unusable."""
    try:
        return folder.peer_of(key)
    except ConfigError:
        return None


@dataclass(frozen=True)
class Handshakes:
    """Whether any handshake failed, and whether any succeeded."""

    failed: bool
    succeeded: bool


class HandshakeMonitor:
    """Monitors the handshakes of one socket.

    For a socket that connects to one endpoint, `is_connected` says whether the last handshake
    succeeded and the connection was not lost since.
    """

    EVENTS: Final = (
        zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_DISCONNECTED
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    )

    def __init__(
        self, socket: "zmq.Socket[bytes]", endpoint: str, failures: HandshakeFailures
    ) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._failures = failures
        self._connects = socket.get(zmq.TYPE) in (zmq.SUB, zmq.XSUB)
        self._monitor = socket.get_monitor_socket(self.EVENTS)
        self.is_connected = False
        failures.expect(endpoint)

    def read(self) -> Handshakes:
        """Return the outcome of handshakes since the last call, and count failed ones."""
        failed = succeeded = False
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            self.is_connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if self.is_connected:
                succeeded = True
            elif event != zmq.EVENT_DISCONNECTED:
                failed = True
                self._failures.count(self._endpoint, time.monotonic(), connects=self._connects)
        return Handshakes(failed, succeeded)

    def close(self) -> None:
        """Close the monitor. Call this before the socket is closed."""
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
