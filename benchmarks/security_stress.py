"""`python -m benchmarks.security_stress`: changes keys and closes contexts under load.

A publisher and two subscribing processes with one key open and close their sockets repeatedly,
while their key is allowed, revoked and rotated. Exits with 1 if one of them crashed, hung or
received nothing.
"""

import argparse
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import Security
from emostream.shared.key_files import KeyFolder, Own, Peer, PeerKey
from emostream.shared.messages import Frame, Message
from emostream.shared.security import new_key

HOST: Final = "127.0.0.1"
SIDE: Final = 64
CHANGE_EVERY_S: Final = 0.1
SECONDS_EACH: Final = 3.0  # time limit for a repetition, even on a busy machine


@dataclass(frozen=True)
class Outcome:
    """The exit codes of the processes, and what each subscriber received."""

    codes: list[int]
    received: list[int]
    changes: int

    @property
    def is_good(self) -> bool:
        """Whether nothing crashed, and messages came through."""
        return not any(self.codes) and all(self.received)


def publish(folder: Path, endpoint: str) -> None:
    """Publish until standard input ends, with a new context at intervals."""
    stop = threading.Event()
    threading.Thread(target=_set_at_end, args=(stop,), daemon=True).start()
    security = Security(mode="required", folder=str(folder))
    seq = 0
    while not stop.is_set():
        with Bus("capture", security=security) as bus:
            with closing(bus.publisher(endpoint, 4)) as publisher:
                until = time.monotonic() + random.uniform(1, 2)
                while time.monotonic() < until and not stop.is_set():
                    publisher.send(_frame(seq))
                    seq += 1
                    time.sleep(0.001)


def subscribe(folder: Path, endpoint: str, repetitions: int) -> None:
    """Print the total received in all contexts; each is closed while messages arrive."""
    received = 0

    def count(_: Message) -> None:
        nonlocal received
        received += 1

    security = Security(mode="required", folder=str(folder))
    for _ in range(repetitions):
        with Bus("detector", security=security) as bus:
            subscription = Subscription([endpoint], ["frame/"], 4)
            with closing(bus.receiver([subscription], count, lambda error: None)):
                time.sleep(random.uniform(0.01, 0.4))
    print(json.dumps(received))


def stress(folder: Path, repetitions: int, port: int) -> Outcome:
    """Run the three processes, and change keys until the subscribers have ended."""
    server, client = KeyFolder(str(folder / "server")), KeyFolder(str(folder / "client"))
    endpoint = f"tcp://{HOST}:{port}"
    change = _prepared(server, client)

    def start(action: str, keys: KeyFolder) -> "subprocess.Popen[bytes]":
        words = ["--as", action, str(keys.path), endpoint, "--repetitions", str(repetitions)]
        command = [sys.executable, "-m", "benchmarks.security_stress", *words]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    publisher = start("publish", server)
    subscribers = [start("subscribe", client) for _ in range(2)]
    changes, deadline = 0, time.monotonic() + 10 + SECONDS_EACH * repetitions
    while any(each.poll() is None for each in subscribers) and time.monotonic() < deadline:
        change(changes)
        changes += 1
        time.sleep(CHANGE_EVERY_S)
    for each in subscribers:
        each.kill()  # in case it hangs; a process that has exited does not notice
    said = [each.communicate()[0] for each in subscribers]
    publisher.communicate(timeout=10)
    codes = [each.returncode for each in (publisher, *subscribers)]
    return Outcome(codes, [json.loads(text or b"0") for text in said], changes)


def _prepared(server: KeyFolder, client: KeyFolder) -> Callable[[int], None]:
    """Give both their keys; return a function that changes them, by number of the change."""
    server_key, client_key = new_key(), new_key()
    server.write_own(Own("server", (server_key,)))
    client.write_own(Own("client", (client_key,)))
    pinned = Peer("server", HOST, (), (PeerKey(server_key.public),))
    allowed = Peer("client", HOST, (), (PeerKey(client_key.public),))
    client.write_peers((pinned,))

    def change(number: int) -> None:
        step = number % 20
        server.write_peers(() if step in (5, 6, 7, 8) else (allowed,))
        if step == 12:
            new = new_key(time.time() + CHANGE_EVERY_S)
            old = server.own().keys[-1]
            server.write_own(Own("server", (old, new)))
            keys = (PeerKey(new.public), PeerKey(old.public))
            client.write_peers((Peer("server", HOST, (), keys),))

    return change


def _frame(seq: int) -> Message:
    header = Frame(
        stream="demo",
        run="a",
        seq=seq,
        t=time.time_ns(),
        pts=0,
        marks={},
        width=SIDE,
        height=SIDE,
        encoding="bgr8",
    )
    return Message(header, bytes(3 * SIDE * SIDE))


def _set_at_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> int:
    """Run, print the outcome, and return 1 if it is bad."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--port", type=int, default=5991)
    parser.add_argument("--as", dest="action", choices=("publish", "subscribe"))
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Failed handshakes are expected here.
    logging.getLogger("emostream").setLevel(logging.ERROR)
    if options.action:
        folder, endpoint = options.rest
        if options.action == "publish":
            publish(Path(folder), endpoint)
        else:
            subscribe(Path(folder), endpoint, options.repetitions)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        outcome = stress(Path(folder), options.repetitions, options.port)
    print(
        f"{2 * options.repetitions} contexts closed under load, {outcome.changes} changes of keys, "
        f"{time.monotonic() - began:.0f} s: exit codes {outcome.codes}, received {outcome.received}"
    )
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
