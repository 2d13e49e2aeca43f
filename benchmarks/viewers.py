"""The display's CPU time by number of viewers: python -m benchmarks.viewers.

One stream of 1280 x 720 at 25 fps with three faces and camera noise. Viewers in separate processes
confirm each picture like a browser. Only the display's own CPU time counts.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from websockets.sync.client import connect

from benchmarks.frames import ping_pong
from benchmarks.results import finish, parse
from emostream.models.labels import LABELS
from emostream.services.capture.demo.scene import DemoScene
from emostream.services.cli.bench.result_file import figure
from emostream.shared.bus import LIVE_HWM, Bus
from emostream.shared.errors import EmostreamError
from emostream.shared.messages import Emotion, EmotionFace, Frame, Message

WHAT = "python -m benchmarks.viewers"
FPS = 25
# Drawn once and played back and forth, so that drawing does not cost time during the run.
DRAWN = 50
# The demo's pictures are smooth; with this noise (standard deviation), their JPEGs are as large as
# those of an indoor camera.
NOISE = 6
START_WITHIN = 60.0


class Figures(NamedTuple):
    """The display's share of a core, the slowest viewer's pictures/s, and kB per picture."""

    share: float
    rate: float
    kilobytes: float


def view(url: str) -> None:
    """View the page at `url` until terminated; then print pictures per second, and kB of each."""
    pictures, size, began = 0, 0, time.monotonic()

    def end(*_: object) -> None:
        print(pictures / (time.monotonic() - began), size / pictures / 1e3, flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    with connect(url, proxy=None, compression=None, max_size=None) as socket:
        while True:
            data = socket.recv()
            if isinstance(data, str):
                continue
            length = int.from_bytes(data[:4], "big")
            socket.send(json.dumps({"shown": json.loads(data[4 : 4 + length])["stream"]}))
            if not pictures:
                began = time.monotonic()
                print("viewing", flush=True)
            pictures, size = pictures + 1, size + len(data)


def demo_messages() -> Iterator[tuple[Message, Message]]:
    """Yield the demo's frames with camera noise, and their results, endlessly."""
    demo = DemoScene()
    noise = np.random.default_rng(1).normal(0, NOISE, (DRAWN, demo.height, demo.width, 1))
    frames = [
        np.clip(demo.frame(seq) + noise[seq], 0, 255).astype(np.uint8).tobytes()
        for seq in range(DRAWN)
    ]
    faces = [tuple(_face(face) for face in demo.truth(seq)) for seq in range(DRAWN)]
    size: dict[str, Any] = {"width": demo.width, "height": demo.height}
    for seq in count():
        drawn = ping_pong(seq, DRAWN)
        common: dict[str, Any] = {
            "stream": "demo", "run": "r", "seq": seq, "t": time.time_ns(),
            "pts": seq * 10**9 // FPS, "marks": {},
        }  # fmt: skip
        frame = Frame(**common, **size, encoding="bgr8")
        emotion = Emotion(**common, model="m", faces=faces[drawn], part=0, parts=1, degraded=False)
        yield Message(frame, frames[drawn]), Message(emotion)


@contextlib.contextmanager
def publish_demo() -> Iterator[str]:
    """Publish frames and their results while the context lasts; yield the endpoint."""
    messages, stop = demo_messages(), threading.Event()
    due = next(messages)  # all pictures are drawn now

    def play() -> None:
        pair, started = due, time.monotonic()
        for seq in count(1):
            for message in pair:
                publisher.send(message)
            if stop.wait(max(0.0, started + seq / FPS - time.monotonic())):
                return
            pair = next(messages)

    with Bus("benchmark") as bus:
        publisher = bus.publisher("tcp://127.0.0.1:*", LIVE_HWM)
        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield publisher.endpoint
        finally:
            stop.set()
            thread.join()
            publisher.close(0)


def _face(face: Any) -> EmotionFace:
    shares = dict.fromkeys(LABELS, 1 / len(LABELS))
    return EmotionFace(face.person, face.box, shares, shares, face.label or LABELS[0], 0.5)


@contextlib.contextmanager
def run_display(endpoint: str) -> Iterator[tuple[psutil.Process, str]]:
    """Run a display on free ports; yield its process and the address for viewers."""
    settings = [
        'capture.metrics="127.0.0.1:0"', 'detector.metrics="127.0.0.1:0"',
        'classifier.metrics="127.0.0.1:0"', 'recorder.metrics="127.0.0.1:0"',
        'display.metrics="127.0.0.1:0"', 'display.page="127.0.0.1:0"',
        'display.bind="tcp://127.0.0.1:*"', f'connect.frame=["{endpoint}"]',
        f'connect.emotion=["{endpoint}"]',
    ]  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "emostream", "display", *words]
            process = subprocess.Popen(command, stderr=output)
        try:
            yield psutil.Process(process.pid), _address(process, log)
        finally:
            process.terminate()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"serving the page on http://(\S+)", log.read_text("utf-8")):
            return f"ws://{found[1]}/live"
        time.sleep(0.1)
    raise EmostreamError(f"the display did not start: {log.read_text('utf-8')}")


def measure(process: psutil.Process, url: str, viewers: int, seconds: float) -> Figures:
    """Measure the display with this many viewers over this many seconds."""
    command = [sys.executable, "-m", "benchmarks.viewers", "--view", url]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(viewers)
    ]
    try:
        for viewer in processes:
            assert viewer.stdout is not None
            if viewer.stdout.readline() != "viewing\n":
                raise EmostreamError("a viewer ended before it saw a picture")
        before, began = _cpu(process), time.monotonic()
        time.sleep(seconds)
        share = (_cpu(process) - before) / (time.monotonic() - began)
    finally:
        for viewer in processes:
            viewer.terminate()
        ends = [viewer.communicate()[0] for viewer in processes]
    rates, sizes = zip(*(map(float, end.split()) for end in ends), strict=True)
    return Figures(share, min(rates), statistics.mean(sizes))


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess as error:
        raise EmostreamError("the display ended while it was measured") from error
    return times.user + times.system


def main() -> int:
    """Measure alternately and print a Markdown table."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 10], help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a run (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="alternating runs (%(default)s)")
    parser.add_argument("--view", metavar="URL", help=argparse.SUPPRESS)
    options = parse(parser, WHAT)
    if options.view:
        view(options.view)
        return 0
    figures: dict[int, list[Figures]] = {count: [] for count in options.viewers}
    try:
        with publish_demo() as endpoint, run_display(endpoint) as (process, url):
            for _ in range(options.runs):
                for count in options.viewers:
                    figures[count].append(measure(process, url, count, options.seconds))
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.runs} runs of {options.seconds:g} s, alternately; ", end="")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        "\n| viewers | share of a core, each run | median | pictures/s of the slowest | kB each |"
    )
    print("| --- | --- | --- | --- | --- |")
    for count, runs in figures.items():
        each = ", ".join(f"{run.share:.1%}" for run in runs)
        share, rate, size = map(statistics.median, zip(*runs, strict=True))
        print(f"| {count} | {each} | {share:.1%} | {rate:.1f} | {size:.0f} |")
    found = {}
    for count, runs in figures.items():
        shares, rates, sizes = zip(*runs, strict=True)
        found[f"{count} viewers: display"] = figure([100 * one for one in shares], "% of a core")
        found[f"{count} viewers: slowest"] = figure(rates, "pictures/s", "higher")
        found[f"{count} viewers: picture"] = figure(sizes, "kB", "")
    return finish(options, WHAT, found)


if __name__ == "__main__":
    sys.exit(main())
