"""This host's keys and those of its peers: the files that hold them, and who may read these."""

import functools
import os
import re
import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec
from msgspec import Meta

from emostream.shared.addresses import TCP, is_local
from emostream.shared.atomic_file import atomic_file
from emostream.shared.clocks import TOPIC as CLOCK_TOPIC
from emostream.shared.errors import ConfigError
from emostream.shared.fields import STREAM_PATTERN
from emostream.shared.requests import answered_topic
from emostream.shared.user_path import user_path
from emostream.shared.whole_file import read_whole

OWN_FILE: Final = "own.json"
PEERS_FILE: Final = "peers.json"
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
OTHERS: Final = 0o077
# Peers wait for it: a pipe in its place is none.
READ_WITHIN_S: Final = 0.5
INIT: Final = "emostream keys init"

# 32 bytes in Z85, as ZeroMQ writes them.
Z85: Final = "".join((string.digits, string.ascii_letters, ".-:+=^!/*?&<>()[]{}@%$#"))
KEY_PATTERN: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
Key = Annotated[str, Meta(pattern=f"^{KEY_PATTERN.pattern}$")]
Name = Annotated[str, Meta(pattern=f"^{STREAM_PATTERN.pattern}$")]


class OwnKey(msgspec.Struct, frozen=True):
    """A key pair of this host, used from `since` on (s since the epoch)."""

    public: Key
    secret: Key
    since: float = 0.0

    def __repr__(self) -> str:
        return f"OwnKey({self.public})"


class Own(msgspec.Struct, frozen=True):
    """This host's name, and its key pairs, the newest last."""

    name: Name
    keys: Annotated[tuple[OwnKey, ...], Meta(min_length=1)]

    def usable(self, now: float) -> tuple[OwnKey, ...]:
        """Return the key pair that is used now, then those that will be."""
        used = [number for number, key in enumerate(self.keys) if key.since <= now]
        return self.keys[used[-1] if used else 0 :]

    def current(self, now: float) -> OwnKey:
        """Return the key pair that is used now."""
        return self.usable(now)[0]


class PeerKey(msgspec.Struct, frozen=True):
    """A peer's public key, good until `until` (s since the epoch; None: until it is revoked)."""

    public: Key
    until: float | None = None

    def is_valid(self, now: float) -> bool:
        """Whether the key still counts."""
        return self.until is None or now < self.until


class Peer(msgspec.Struct, frozen=True):
    """Who may subscribe: to `topics` alone where there are any; `host` is where it is found."""

    name: Name
    host: str
    topics: tuple[str, ...] = ()
    keys: tuple[PeerKey, ...] = ()

    def may_subscribe(self, subscription: str) -> bool:
        """Whether all that the subscription matches is allowed."""
        if CLOCK_TOPIC.fullmatch(subscription):
            return True
        asked = answered_topic(subscription.encode()).decode()
        return not self.topics or any(asked.startswith(f"{topic}/") for topic in self.topics)


Content = TypeVar("Content")


class KeyFolder:
    """The folder of the keys. Files are read again when they change.

    Raises ConfigError if they cannot be read, or where others may read them.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        self.path = user_path(folder).absolute()
        self._clock = clock
        self._read: dict[str, tuple[tuple[int, int, int], Any]] = {}

    def own(self) -> Own:
        """Return this host's keys."""
        if not os.path.lexists(self.path / OWN_FILE):
            raise ConfigError(f"{self.path} contains no keys of this host; run {INIT}")
        return self._content(OWN_FILE, Own)

    def peers(self) -> tuple[Peer, ...]:
        """Return the peers that are let in."""
        if not os.path.lexists(self.path / PEERS_FILE):
            return ()
        return self._content(PEERS_FILE, tuple[Peer, ...])

    def peer_of(self, key: str) -> Peer | None:
        """Return the peer with this public key, None if it is nobody's; this host is one too."""
        now = self._clock()
        for peer in self.peers():
            if any(each.public == key and each.is_valid(now) for each in peer.keys):
                return peer
        own = self.own()
        if any(each.public == key for each in own.usable(now)):
            return Peer(own.name, "localhost")
        return None

    def usable(self) -> tuple[OwnKey, ...]:
        """Return the key pair that this host uses now, then those that it will use."""
        return self.own().usable(self._clock())

    def current(self) -> OwnKey:
        """Return the key pair that this host uses now."""
        return self.usable()[0]

    def pinned(self, endpoint: str) -> tuple[str, ...]:
        """Return the keys that a publisher may have at this endpoint, the most likely first."""
        now = self._clock()
        match = TCP.fullmatch(endpoint)
        host = match["host"] if match else ""
        of_peers = (peer.keys for peer in self.peers() if peer.host == host)
        found = [key.public for keys in of_peers for key in keys if key.is_valid(now)]
        if is_local(endpoint) and not found:
            return tuple(key.public for key in self.own().usable(now))
        return tuple(found)

    def write_own(self, own: Own) -> None:
        """Write this host's keys."""
        self._write(OWN_FILE, own)

    def write_peers(self, peers: tuple[Peer, ...]) -> None:
        """Write the peers."""
        self._write(PEERS_FILE, peers)

    def _content(self, name: str, kind: type[Content]) -> Content:
        path = self.path / name
        try:
            _check_private(self.path, FOLDER_MODE)
            _check_private(path, FILE_MODE)
            facts = path.stat()
            state = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
            known = self._read.get(name)
            if known is None or known[0] != state:
                known = state, _decoded(path, kind)
                self._read[name] = known
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
        return cast("Content", known[1])

    def make(self) -> None:
        """Make the folder where there is none."""
        try:
            self.path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            _check_private(self.path, FOLDER_MODE)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be created: {error.strerror}") from error

    def _write(self, name: str, content: object) -> None:
        self.make()
        path = self.path / name
        try:
            with atomic_file(path) as part:
                part.touch(FILE_MODE, exist_ok=False)
                part.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def is_key(text: str) -> bool:
    """Whether this is a key: the characters alone do not tell, since 85^5 is more than 2^32."""
    if not KEY_PATTERN.fullmatch(text):
        return False
    numbers = [Z85.index(each) for each in text]
    groups = (numbers[at : at + 5] for at in range(0, len(numbers), 5))
    return all(functools.reduce(lambda a, b: 85 * a + b, group) < 2**32 for group in groups)


def _decoded(path: Path, kind: type[Content]) -> Content:
    """Return what a file of keys says; ConfigError if ZeroMQ could not use it."""
    try:
        content = msgspec.json.decode(read_whole(path, max_seconds=READ_WITHIN_S), type=kind)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a key file: not UTF-8 text") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is not a key file: it is nested too deeply") from error
    except msgspec.DecodeError as error:
        # What msgspec says may not quote a secret: it names types and paths alone.
        raise ConfigError(f"{path} is not a key file: {error}") from error
    owners = [content] if isinstance(content, Own) else cast("tuple[Peer, ...]", content)
    for owner in owners:
        keys = [key for pair in owner.keys for key in _keys(pair)]
        if not all(map(is_key, keys)):
            raise ConfigError(f"{path} is not a key file: one of {owner.name} is mistyped")
    return content


def _keys(pair: OwnKey | PeerKey) -> tuple[str, ...]:
    return (pair.public, pair.secret) if isinstance(pair, OwnKey) else (pair.public,)


def _check_private(path: Path, mode: int) -> None:
    if path.stat().st_mode & OTHERS:
        raise ConfigError(f"{path} is readable by other users; run chmod {mode:o} {path}")
