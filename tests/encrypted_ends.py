"""The two ends of an encrypted link, each run in its own network namespace."""

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zmq

from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import Security
from emostream.shared.key_files import KeyFolder
from emostream.shared.messages import Message
from tests import builders

# A known pattern of pixels, which no encrypted packet has.
PATTERN: Final = bytes(range(48)) * 4
SIDE: Final = 8
LISTEN_S: Final = 2.0
ALL_PACKETS: Final = 0x0003
# The folders of keys, by what is wrong with each; all ask for frames.
CASES: Final = ("allowed", "stranger", "wrong_server", "revoked", "limited")


def publish(endpoint: str, folder: str, mode: str) -> None:
    """Publish frames with the pattern, until killed."""
    with Bus("capture", security=_security(mode, Path(folder) / "server")) as bus:
        publisher = bus.publisher(endpoint, 0)
        seq = 0
        while True:
            header = builders.frame(seq, width=SIDE, height=SIDE).header
            publisher.send(Message(header, PATTERN))
            seq += 1
            time.sleep(0.01)


def listen(endpoint: str, folder: str, mode: str) -> None:
    """Print, as JSON, what each case received, and what the packets held."""
    packets = bytearray()
    with packets_into(packets), contextlib.ExitStack() as stack:
        came: dict[str, list[float]] = {}
        for case in CASES:
            bus = stack.enter_context(Bus(case, security=_security(mode, Path(folder) / case)))
            came[case] = []
            receiver = bus.receiver(
                [Subscription([endpoint], ["frame/"], 0)],
                lambda _, case=case: came[case].append(time.monotonic()),  # type: ignore[misc]
                lambda _: None,
            )
            stack.enter_context(contextlib.closing(receiver))
        plain = stack.enter_context(_plain(endpoint))
        time.sleep(LISTEN_S)
        revoked_at = time.monotonic()
        before = len(came["revoked"])
        server = KeyFolder(str(Path(folder) / "server"))
        server.write_peers(tuple(peer for peer in server.peers() if peer.name != "revoked"))
        time.sleep(LISTEN_S)
        found = {case: len(times) for case, times in came.items()}
        found["revoked"] = before
        found["after_revoked"] = sum(at > revoked_at + LISTEN_S / 2 for at in came["revoked"])
        found["plain"] = int(bool(plain.poll(0)))
    found["headers"] = packets.count(b"frame/") + packets.count(b"height")
    found["pixels"] = packets.count(PATTERN[:48])
    print(json.dumps({**found, "bytes": len(packets)}))


@contextlib.contextmanager
def packets_into(packets: bytearray) -> Iterator[None]:
    """Append every packet of this network namespace, while the context lasts."""
    stop = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PACKETS)) as raw:
        raw.settimeout(0.1)

        def run() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    packets.extend(raw.recv(65_536))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextlib.contextmanager
def _plain(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.set(zmq.LINGER, 0)
        subscriber.subscribe("")
        subscriber.connect(endpoint)
        yield subscriber


def _security(mode: str, folder: Path) -> Security:
    return Security(mode="disabled" if mode == "disabled" else "auto", folder=str(folder))


if __name__ == "__main__":
    {"publish": publish, "listen": listen}[sys.argv[1]](*sys.argv[2:])
