"""The savings of shared memory over TCP for frames: python -m benchmarks.shared_memory.

A publisher and some subscribers run in separate processes. They alternate between the normal bus
and a ring of shared memory for the pixels, of which the bus carries only the position. Each
subscriber reads every pixel once, like a stage. The CPU time of all processes counts.
"""

import argparse
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final

import numpy as np
import psutil
from rich.console import Console

from benchmarks.results import finish, parse
from emostream.services.cli.bench.load.work import SIZES, size
from emostream.services.cli.bench.result_file import figure
from emostream.services.cli.options import positive
from emostream.shared.bus import LIVE_HWM, Bus, Subscription
from emostream.shared.messages import Frame, Message

WHAT: Final = "python -m benchmarks.shared_memory"
WAYS: Final = ("tcp", "shared memory")
SLOTS: Final = 8
WARM_UP_S: Final = 1.0


def publish(
    frame: np.ndarray, fps: float, ring: SharedMemory | None, stop: threading.Event
) -> None:
    """Publish the frame repeatedly, over the bus or by its position in the ring."""
    with Bus("benchmark") as bus:
        publisher = bus.publisher("tcp://127.0.0.1:*", LIVE_HWM)
        print(publisher.endpoint, flush=True)
        height, width = frame.shape[:2]
        payload, began = frame.data.cast("B"), time.monotonic()
        for seq in itertools.count():
            if stop.wait(max(0.0, began + seq / fps - time.monotonic())):
                break
            common: dict[str, Any] = {
                "stream": "cam",
                "run": "r",
                "seq": seq,
                "t": time.time_ns(),
                "pts": seq,
            }
            header = Frame(**common, marks={}, width=width, height=height, encoding="bgr8")
            if ring is None:
                publisher.send(Message(header, payload))
                continue
            begin = seq % SLOTS * payload.nbytes
            assert ring.buf is not None
            ring.buf[begin : begin + payload.nbytes] = payload
            place = Frame(**common, marks={}, width=1, height=1, encoding="jpeg")
            publisher.send(Message(place, begin.to_bytes(8, "big")))
        publisher.close(0)


def subscribe(endpoint: str, length: int, ring: SharedMemory | None, stop: threading.Event) -> None:
    """Read every published pixel."""

    def deliver(message: Message) -> None:
        assert message.payload is not None
        if ring is None:
            pixels = np.frombuffer(message.payload, np.uint8)
        else:
            begin = int.from_bytes(bytes(message.payload), "big")
            assert ring.buf is not None
            pixels = np.frombuffer(ring.buf, np.uint8, length, begin)
        pixels.max()

    with Bus("benchmark") as bus:
        receiver = bus.receiver([Subscription([endpoint], ["frame/"], LIVE_HWM)], deliver, print)
        stop.wait()
        receiver.close()


def work(options: argparse.Namespace) -> int:
    """Run as the publisher or a subscriber until the end of standard input."""
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    ring = SharedMemory(options.ring) if options.ring else None
    if ring:
        # A process that only attaches must not remove the memory, as Python 3.11 would.
        resource_tracker.unregister(ring._name, "shared_memory")  # type: ignore[attr-defined]
    width, height = options.size
    frame = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    if options.work == "publish":
        publish(frame, options.fps, ring, stop)
    else:
        subscribe(options.work, frame.nbytes, ring, stop)
    os._exit(0)  # remaining views of the ring do not matter at the end


@contextmanager
def process(words: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run this program as a part of the benchmark."""
    command = [sys.executable, "-m", "benchmarks.shared_memory", *words]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.communicate()


def measure(options: argparse.Namespace, way: str) -> float:
    """Return the CPU time per frame in all processes, in ms."""
    width, height = options.size
    words = ["--size", f"{width}x{height}", "--fps", str(options.fps)]
    with ExitStack() as stack:
        if way != WAYS[0]:
            ring = SharedMemory(create=True, size=SLOTS * width * height * 3)
            stack.callback(ring.unlink)
            stack.callback(ring.close)
            words += ["--ring", ring.name]
        publisher = stack.enter_context(process([*words, "--work", "publish"]))
        assert publisher.stdout is not None
        endpoint = publisher.stdout.readline().strip()
        readers = [
            stack.enter_context(process([*words, "--work", endpoint]))
            for _ in range(options.subscribers)
        ]
        processes = [psutil.Process(each.pid) for each in (publisher, *readers)]
        time.sleep(WARM_UP_S + 1.0)
        before, began = _cpu(processes), time.monotonic()
        time.sleep(options.seconds)
        spent, took = _cpu(processes) - before, time.monotonic() - began
    return float(1e3 * spent / (took * options.fps))


def _cpu(processes: Sequence[psutil.Process]) -> float:
    times = [each.cpu_times() for each in processes]
    return float(sum(each.user + each.system for each in times))


def main() -> int:
    """Measure both variants alternately and print the CPU time per frame."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--size", type=size, default=SIZES["1080p"], help="(1080p)")
    parser.add_argument("--fps", type=positive(float), default=25.0, help="(%(default)g)")
    parser.add_argument("--subscribers", type=positive(int), default=2, help="(%(default)d)")
    parser.add_argument("--seconds", type=positive(float), default=10.0, help="(%(default)g)")
    parser.add_argument(
        "--runs", type=positive(int), default=3, help="alternating runs (%(default)d)"
    )
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--ring", help=argparse.SUPPRESS)
    options = parse(parser, WHAT)
    if options.work:
        return work(options)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.runs):
        for way in WAYS:
            found[way].append(measure(options, way))
    figures = {f"pixels by {way}": figure(each, "ms per frame") for way, each in found.items()}
    for name, one in figures.items():
        low, high = one.range
        Console().print(f"{name}: {one.median:g} {one.unit} ({low:g} to {high:g})", highlight=False)
    return finish(options, WHAT, figures)


if __name__ == "__main__":
    sys.exit(main())
