"""The files with the keys of this host and its peers, and their permissions."""

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
# Peers wait for the file, so a pipe in its place must not block.
READ_WITHIN_S: Final = 0.5
INIT: Final = "emostream keys init"

# 32 bytes in Z85, as ZeroMQ writes them.
Z85: Final = "".join((string.digits, string.ascii_letters, ".-:+=^!/*?&<>()[]{}@%$#"))
KEY_PATTERN: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
Key = Annotated[str, Meta(pattern=f"^{KEY_PATTERN.pattern}$")]
Name = Annotated[str, Meta(pattern=f"^{STREAM_PATTERN.pattern}$")]


class OwnKey(msgspec.Struct, frozen=True):
    """A key pair of this host, in use from `since` (s since the epoch)."""

    public: Key
    secret: Key
    since: float = 0.0

    def __repr__(self) -> str:
        return f"OwnKey({self.public})"


class Own(msgspec.Struct, frozen=True):
    """This host's name and its key pairs, newest last."""

    name: Name
    keys: Annotated[tuple[OwnKey, ...], Meta(min_length=1)]

    def usable(self, now: float) -> tuple[OwnKey, ...]:
        """Return the current key pair, then future ones."""
        used = [number for number, key in enumerate(self.keys) if key.since <= now]
        return self.keys[used[-1] if used else 0 :]

    def current(self, now: float) -> OwnKey:
        """Return the current key pair."""
        return self.usable(now)[0]


class PeerKey(msgspec.Struct, frozen=True):
    """A peer's public key, valid until `until` (s since the epoch; None: until revoked)."""

    public: Key
    until: float | None = None

    def is_valid(self, now: float) -> bool:
        """Whether the key is still valid."""
        return self.until is None or now < self.until


class Peer(msgspec.Struct, frozen=True):
    """A peer that may subscribe, to `topics` only if there are any; `host` is its address."""

    name: Name
    host: str
    topics: tuple[str, ...] = ()
    keys: tuple[PeerKey, ...] = ()

    def may_subscribe(self, subscription: str) -> bool:
        """Whether the peer may receive every topic that the subscription matches."""
        if CLOCK_TOPIC.fullmatch(subscription):
            return True
        asked = answered_topic(subscription.encode()).decode()
        return not self.topics or any(asked.startswith(f"{topic}/") for topic in self.topics)


Content = TypeVar("Content")


class KeyFolder:
    """The key folder. Files are reread when they change.

    Raises ConfigError if they cannot be read, or if other users may read them.
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
        """Return the allowed peers."""
        if not os.path.lexists(self.path / PEERS_FILE):
            return ()
        return self._content(PEERS_FILE, tuple[Peer, ...])

    def peer_of(self, key: str) -> Peer | None:
        """Return the peer (or this host) with this public key, None if there is none."""
        now = self._clock()
        for peer in self.peers():
            if any(each.public == key and each.is_valid(now) for each in peer.keys):
                return peer
        own = self.own()
        if any(each.public == key for each in own.usable(now)):
            return Peer(own.name, "localhost")
        return None

    def usable(self) -> tuple[OwnKey, ...]:
        """Return this host's current key pair, then future ones."""
        return self.own().usable(self._clock())

    def current(self) -> OwnKey:
        """Return the key pair that this host uses now."""
        return self.usable()[0]

    def pinned(self, endpoint: str) -> tuple[str, ...]:
        """Return the keys that the publisher at this endpoint may have, most likely first."""
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
        """Create the folder if it does not exist."""
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
    """Whether this is a valid key. Valid characters are not enough: 85^5 is more than 2^32."""
    if not KEY_PATTERN.fullmatch(text):
        return False
    numbers = [Z85.index(each) for each in text]
    groups = (numbers[at : at + 5] for at in range(0, len(numbers), 5))
    return all(functools.reduce(lambda a, b: 85 * a + b, group) < 2**32 for group in groups)


def _decoded(path: Path, kind: type[Content]) -> Content:
    """Return the content of a key file. Raises ConfigError if ZeroMQ could not use it."""
    try:
        content = msgspec.json.decode(read_whole(path, max_seconds=READ_WITHIN_S), type=kind)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a key file: not UTF-8 text") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is not a key file: it is nested too deeply") from error
    except msgspec.DecodeError as error:
        # msgspec's messages name only types and paths, so they do not reveal a secret.
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
