"""Hosts with keys, for the tests of encrypted sockets."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from emostream.shared.bus import Bus
from emostream.shared.config import Security
from emostream.shared.handshake_failures import HandshakeFailures
from emostream.shared.key_files import KeyFolder, Own, OwnKey, Peer, PeerKey
from emostream.shared.security import new_key

HOST: Final = "127.0.0.1"


class Host:
    """A host of the tests: a folder of keys, and whom it lets in."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.key = new_key()
        self.keys = KeyFolder(str(folder / name))
        self.keys.write_own(Own(name, (self.key,)))
        self.security = Security(mode="required", folder=str(folder / name))
        self.failed: list[str] = []

    def allow(self, other: "Host", *topics: str, key: OwnKey | None = None) -> None:
        keys = (PeerKey((key or other.key).public),)
        peers = [peer for peer in self.keys.peers() if peer.name != other.name]
        self.keys.write_peers((*peers, Peer(other.name, HOST, topics, keys)))

    def revoke(self, other: "Host") -> None:
        self.keys.write_peers(tuple(p for p in self.keys.peers() if p.name != other.name))

    def bus(self, count_local: Callable[[], None] | None = None) -> Bus:
        return Bus(
            self.name,
            count_local=count_local,
            security=self.security,
            failures=HandshakeFailures(lambda socket, more: self.failed.extend([socket] * more)),
        )
