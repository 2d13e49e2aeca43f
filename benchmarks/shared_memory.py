"""The savings of shared memory over TCP for frames: python -m benchmarks.shared_memory.

A publisher and some subscribers run in separate processes, alternately with and without shared
memory. Each subscriber reads every pixel once, like a stage. The CPU time of all processes counts.
"""

import argparse
import functools
import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import numpy as np
import psutil
from rich.console import Console

from benchmarks.results import finish, parse
from emostream.services.cli.bench.load.work import SIZES, size
from emostream.services.cli.bench.result_file import figure
from emostream.services.cli.options import positive
from emostream.shared.bus import LIVE_HWM, Bus, Subscription
from emostream.shared.clocks import Clocks
from emostream.shared.errors import EmostreamError
from emostream.shared.messages import Frame, Message

WHAT: Final = "python -m benchmarks.shared_memory"
WAYS: Final = ("tcp", "shared memory")
WARM_UP_S: Final = 3.0


def publish(frame: np.ndarray, fps: float, bus: Bus, stop: threading.Event) -> None:
    """Publish the frame repeatedly."""
    publisher = bus.publisher("tcp://127.0.0.1:*", LIVE_HWM, has_frames=True)
    print(publisher.endpoint, flush=True)
    height, width = frame.shape[:2]
    payload, began = frame.data.cast("B"), time.monotonic()
    for seq in itertools.count():
        if stop.wait(max(0.0, began + seq / fps - time.monotonic())):
            break
        header = Frame(
            stream="cam",
            run="r",
            seq=seq,
            t=time.time_ns(),
            pts=seq,
            marks={},
            width=width,
            height=height,
            encoding="bgr8",
        )
        publisher.send(Message(header, payload))
    publisher.close(0)


def subscribe(endpoint: str, bus: Bus, stop: threading.Event) -> list[float]:
    """Read every published pixel; return how long each frame took to arrive, in ms."""
    ages = []

    def deliver(message: Message) -> None:
        assert message.payload is not None
        ages.append((time.time_ns() - message.header.t) / 1e6)
        np.frombuffer(message.payload, np.uint8).max()

    receiver = bus.receiver(
        [Subscription([endpoint], ["frame/"], LIVE_HWM)], deliver, print, clocks=Clocks()
    )
    stop.wait()
    receiver.close()
    return ages


def work(options: argparse.Namespace) -> int:
    """Run as the publisher or a subscriber until the end of standard input."""
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    local: list[None] = []
    count = functools.partial(local.append, None) if options.shared else None
    with Bus("benchmark", count_local=count) as bus:
        if options.work == "publish":
            width, height = options.size
            frame = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
            publish(frame, options.fps, bus, stop)
        else:
            ages = subscribe(options.work, bus, stop)
            print(json.dumps({"ages": ages, "local": len(local)}))
    return 0


@contextmanager
def process(words: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run this program as a part of the benchmark; its end is that of its standard input."""
    command = [sys.executable, "-m", "benchmarks.shared_memory", *words]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.communicate()


def measure(options: argparse.Namespace, *, shared: bool) -> tuple[float, float]:
    """Return the CPU time per frame in all processes, and its median age at arrival, in ms."""
    width, height = options.size
    words = ["--size", f"{width}x{height}", "--fps", str(options.fps)]
    words += ["--shared"] if shared else []
    with ExitStack() as stack:
        publisher = stack.enter_context(process([*words, "--work", "publish"]))
        assert publisher.stdout is not None
        endpoint = publisher.stdout.readline().strip()
        readers = [
            stack.enter_context(process([*words, "--work", endpoint]))
            for _ in range(options.subscribers)
        ]
        processes = [psutil.Process(each.pid) for each in (publisher, *readers)]
        time.sleep(WARM_UP_S)
        before, began = _cpu(processes), time.monotonic()
        time.sleep(options.seconds)
        spent, took = _cpu(processes) - before, time.monotonic() - began
        told = [json.loads(each.communicate()[0]) for each in readers]
    ages = [age for each in told for age in each["ages"]]
    if bool(sum(each["local"] for each in told)) != shared:
        raise EmostreamError("the frames did not come as they should: is this Linux?")
    return 1e3 * spent / (took * options.fps), statistics.median(ages)


def _cpu(processes: Sequence[psutil.Process]) -> float:
    times = [each.cpu_times() for each in processes]
    return float(sum(each.user + each.system for each in times))


def main() -> int:
    """Measure both variants alternately and print the medians."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--size", type=size, default=SIZES["1080p"], help="(1080p)")
    parser.add_argument("--fps", type=positive(float), default=25.0, help="(%(default)g)")
    parser.add_argument("--subscribers", type=positive(int), default=2, help="(%(default)d)")
    parser.add_argument("--seconds", type=positive(float), default=10.0, help="(%(default)g)")
    parser.add_argument(
        "--runs", type=positive(int), default=3, help="alternating runs (%(default)d)"
    )
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--shared", action="store_true", help=argparse.SUPPRESS)
    options = parse(parser, WHAT)
    if options.work:
        return work(options)
    cpu: dict[str, list[float]] = {way: [] for way in WAYS}
    age: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.runs):
        for way in WAYS:
            spent, took = measure(options, shared=way == WAYS[1])
            cpu[way].append(spent)
            age[way].append(took)
    figures = {f"CPU time by {way}": figure(each, "ms per frame") for way, each in cpu.items()}
    figures |= {f"age at arrival by {way}, p50": figure(each, "ms") for way, each in age.items()}
    for name, one in figures.items():
        low, high = one.range
        line = f"{name}: {one.median:g} {one.unit} ({low:g} to {high:g})"
        Console().print(line, highlight=False)
    return finish(options, WHAT, figures)


if __name__ == "__main__":
    sys.exit(main())
