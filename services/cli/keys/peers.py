"""Changes to the allowed peers, as pure functions from old to new peers."""

from typing import Final

import msgspec

from emostream.shared.errors import ConfigError
from emostream.shared.key_files import Peer, PeerKey
from emostream.shared.messages import KINDS

TOPICS: Final = tuple(KINDS)


def allowed(
    peers: tuple[Peer, ...],
    name: str,
    key: str,
    host: str | None,
    topics: tuple[str, ...] | None,
    until: float,
) -> tuple[Peer, ...]:
    """Return the peers with this key for `name`; its other keys end at `until` (s since the epoch).

    None leaves a value unchanged. Raises ConfigError if another peer has the same key or host,
    because it could impersonate this one.
    """
    others = tuple(peer for peer in peers if peer.name != name)
    for other in others:
        if any(each.public == key for each in other.keys):
            raise ConfigError(f"{other.name} has that key; emostream keys revoke {other.name}")
        if host and other.host == host:
            raise ConfigError(f"{other.name} is at {host}; emostream keys revoke {other.name}")
    before = next((peer for peer in peers if peer.name == name), Peer(name, ""))
    earlier = (_ending(each, until) for each in before.keys if each.public != key)
    changed = Peer(
        name,
        before.host if host is None else host,
        before.topics if topics is None else topics,
        (PeerKey(key), *earlier),
    )
    return (*others, changed)


def revoked(peers: tuple[Peer, ...], name: str) -> tuple[Peer, ...]:
    """Return the peers without this one; ConfigError if there is no such peer."""
    left = tuple(peer for peer in peers if peer.name != name)
    if len(left) == len(peers):
        known = ", ".join(peer.name for peer in peers) or "nobody"
        raise ConfigError(f"no peer is named {name}; let in: {known}")
    return left


def _ending(key: PeerKey, until: float) -> PeerKey:
    """Return the key with this end, unless it already ends sooner."""
    return msgspec.structs.replace(key, until=min(until, key.until or until))
