"""A peer that is known by its host name gets another address; a stage that is stopped loses none.

Two hosts, as network namespaces with their own hosts files.
"""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from benchmarks.thin_link.namespaces import FAR_ADDRESS, NEAR_ADDRESS, ThinLink
from emostream.shared.key_files import KeyFolder, Own, Peer, PeerKey
from emostream.shared.security import new_key
from emostream.shared.shipped_files import ROOT

NAME: Final = "classifier-host"
UNKNOWN_NAME: Final = "no-such-host"
NEW_ADDRESS: Final = "10.213.7.3"
# Nobody answers at that address, so each lookup of another name waits for it.
DEAD_NAME_SERVER: Final = "10.213.7.99"
STOPPED_S: Final = 2.5
# A peer that vanished is noticed within 3 s, and results flow again within 5 s.
FLOWS_AGAIN_S: Final = 5.0


@pytest.fixture
def link(link: ThinLink) -> Iterator[ThinLink]:
    """Two hosts of which the far one has its own names."""
    with contextlib.ExitStack() as stack:
        names = Path("/etc/netns") / link.far
        names.mkdir(parents=True)
        stack.callback(names.rmdir)
        for file in (names / "hosts", names / "resolv.conf"):
            file.touch()
            stack.callback(file.unlink)
        (names / "resolv.conf").write_text(f"nameserver {DEAD_NAME_SERVER}\n", "utf-8")
        yield link


def name_is_at(link: ThinLink, address: str) -> None:
    (Path("/etc/netns") / link.far / "hosts").write_text(f"{address} {NAME}\n", "utf-8")


def move(link: ThinLink) -> None:
    """Give the publisher's host another address, as a lease that ends does."""
    for verb, address in (("del", NEAR_ADDRESS), ("add", NEW_ADDRESS)):
        words = ("address", verb, f"{address}/24", "dev", "link0")
        subprocess.run(["ip", "-n", link.near, *words], check=True)
    name_is_at(link, NEW_ADDRESS)


def make_keys(folder: Path) -> None:
    """Let two hosts in at each other; the publisher is known by its name alone."""
    near, far = new_key(), new_key()
    for name, own, other, host in (
        ("near", near, far, FAR_ADDRESS),
        ("far", far, near, NAME),
    ):
        keys = KeyFolder(str(folder / name))
        keys.write_own(Own(name, (own,)))
        known = ((PeerKey(other.public),), (PeerKey(new_key().public),))
        names = (("other", host), ("unknown", UNKNOWN_NAME))
        keys.write_peers(
            tuple(Peer(*name, (), key) for name, key in zip(names, known, strict=True))
        )


@contextlib.contextmanager
def running(link: ThinLink, namespace: str, *arguments: str) -> Iterator[int]:
    """Run an end while the context lasts; yield its process id."""
    command = link.inside(namespace, sys.executable, "-m", "tests.moving_ends", *arguments)
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def arrivals(file: Path) -> list[tuple[int, float]]:
    """Return the whole lines of a listener's file: `sent`, and when it came."""
    lines = file.read_text("utf-8").rpartition("\n")[0].splitlines() if file.exists() else []
    return [(int(sent), float(at)) for sent, at in map(str.split, lines)]


def has_since(file: Path, moment: float) -> bool:
    return arrivals(file)[-1][1] > moment


def wait_until(is_true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.evidence
def test_results_flow_again_from_a_new_address_and_a_stop_loses_none(
    link: ThinLink, tmp_path: Path
) -> None:
    make_keys(tmp_path)
    name_is_at(link, NEAR_ADDRESS)
    stopped, other = tmp_path / "stopped", tmp_path / "other"
    endpoint = f"tcp://{NAME}:5553"
    with contextlib.ExitStack() as stack:

        def start(namespace: str, *arguments: str) -> int:
            return stack.enter_context(running(link, namespace, *arguments))

        far = str(tmp_path / "far")
        publisher = start(link.near, "publish", "tcp://0.0.0.0:5553", str(tmp_path / "near"))
        process = start(link.far, "listen", endpoint, far, str(stopped))
        start(link.far, "listen", f"tcp://{UNKNOWN_NAME}:5553,{endpoint}", far, str(other))
        wait_until(lambda: min(map(len, map(arrivals, (stopped, other)))) > 10, 60)
        os.kill(process, signal.SIGSTOP)
        began = time.monotonic()
        wait_until(lambda: arrivals(other)[-1][1] > began + STOPPED_S, 20)
        os.kill(process, signal.SIGCONT)
        wait_until(lambda: arrivals(stopped)[-1][0] >= arrivals(other)[-1][0] - 10, 20)
        os.kill(publisher, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        os.kill(publisher, signal.SIGCONT)
        again = time.monotonic()
        for file in (stopped, other):
            wait_until(partial(has_since, file, again + 0.1), 20)
            numbers = [sent for sent, _ in arrivals(file)]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        moved = time.monotonic()
        move(link)
        for file in (stopped, other):
            wait_until(partial(has_since, file, moved + 1), 2 * FLOWS_AGAIN_S)
            times = [at for _, at in arrivals(file) if at > again]
            assert max(b - a for a, b in itertools.pairwise(times)) < FLOWS_AGAIN_S
