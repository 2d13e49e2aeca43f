"""Makes the keys and tokens of all pods, each with the peers that it needs.

They go into the folder that is named, by default the one of this file. What is there stays, so that
a further peer that was allowed by hand is kept; remove a pod's folder to give it new keys.
"""

import sys
from pathlib import Path
from typing import Final

from emostream.shared.key_files import KeyFolder, Own, Peer, PeerKey
from emostream.shared.secret_file import create_secret
from emostream.shared.security import new_key

CLASSIFIERS: Final = tuple(f"classifier-{number}" for number in range(4))
ANSWERING: Final = (*CLASSIFIERS, "standby")
# Each publisher, its topics, and its subscribers.
LINKS: Final = (
    (("capture",), ("frame",), ("detector", "recorder", "display")),
    (("detector",), ("faces",), ANSWERING),
    (ANSWERING, ("emotion", "event"), ("relay",)),
    (CLASSIFIERS, ("emotion",), ("standby",)),
    (("standby",), ("emotion",), CLASSIFIERS),
    (("relay",), ("emotion", "event"), ("recorder", "display")),
    (("display",), ("control",), ("recorder", "display")),
)
# Every peer is limited to topics; a peer that only publishes, to a topic that nobody here
# publishes.
NOTHING: Final = ("credit",)


def make_keys(folder: Path) -> None:
    """Write a folder for each pod, and the token of the metrics."""
    pods = sorted({pod for publishers, _, others in LINKS for pod in (*publishers, *others)})
    folders = {pod: KeyFolder(str(folder / pod)) for pod in pods}
    for pod, keys in folders.items():
        if not (keys.path / "own.json").exists():
            keys.write_own(Own(pod, (new_key(),)))
    publics = {pod: keys.own().keys[-1].public for pod, keys in folders.items()}
    for pod, keys in folders.items():
        ours = {peer.name: peer for peer in peers_of(pod, publics)}
        others = (peer for peer in keys.peers() if peer.name not in ours)
        keys.write_peers((*ours.values(), *others))
    for token in ("metrics.token", "display/operator.token", "display/viewer.token"):
        create_secret(folder / token, token)


def peers_of(pod: str, publics: dict[str, str]) -> list[Peer]:
    """Return the peers of a pod: whom it listens to, and who may listen to it, and to what."""
    topics: dict[str, set[str]] = {}
    for publishers, published, subscribers in LINKS:
        for subscriber in subscribers if pod in publishers else ():
            topics.setdefault(subscriber, set()).update(published)
        for publisher in publishers if pod in subscribers else ():
            topics.setdefault(publisher, set())
    return [
        Peer(
            peer if peer != pod else "self",
            host_of(peer),
            tuple(sorted(allowed)) or NOTHING,
            (PeerKey(publics[peer]),),
        )
        for peer, allowed in topics.items()
    ]


def host_of(pod: str) -> str:
    """Return the host by which others reach the pod: a Service, or a pod of the StatefulSet."""
    return f"{pod}.classifier" if pod in CLASSIFIERS else pod


if __name__ == "__main__":
    make_keys(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
