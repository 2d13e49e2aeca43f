"""The process that gives the load instead of a capture: frames from memory, at their times.

It sends as the capture does, but neither decodes nor draws, so that it takes little of what the
stages could have.
"""

import argparse
import heapq
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.shared.bus import Bus, frames_hwm
from emostream.shared.messages import stamped
from emostream.shared.parent_process import exit_with_parent

# Later than that it does not catch up, as a capture does not.
MOST_LATE_S: Final = 0.1
# How far the streams' pictures are apart, in frames.
APART: Final = 7


def due_times(streams: int, fps: float, *, in_step: bool) -> Iterator[tuple[float, int]]:
    """Yield when each next frame is due (s), and of which stream, without end.

    Cameras know nothing of each other, so their frames are spread over the time between two;
    `in_step` they all come at once.
    """
    spread = 0.0 if in_step else 1 / (fps * streams)
    due = [(stream * spread, stream) for stream in range(streams)]
    while True:
        at, stream = due[0]
        yield at, stream
        heapq.heapreplace(due, (at + 1 / fps, stream))


def back_and_forth(step: int, length: int) -> int:
    """Return the index of step `step` in a sequence of `length` that is played back and forth."""
    index = step % max(2 * (length - 1), 1)
    return min(index, 2 * (length - 1) - index)


def publish(options: argparse.Namespace, stop: threading.Event) -> None:
    """Publish the frames until told to stop."""
    frames = np.load(options.frames, mmap_mode="r")
    # Pages that were never read would be read from the disk while it is measured.
    pixels = [np.ascontiguousarray(frame) for frame in frames]
    names = [f"cam{number}" for number in range(options.streams)]
    framer = Framer("bgr8", 0)
    with Bus("load") as bus:
        publisher = bus.publisher(options.bind, frames_hwm(options.streams))
        began = time.monotonic()
        for at, stream in due_times(options.streams, options.fps, in_step=options.in_step):
            left = began + at - time.monotonic()
            if left < -MOST_LATE_S:
                began -= left
            if left > 0 and stop.wait(left):
                break
            if stop.is_set():
                break
            count, now = framer.count(names[stream]), time.time_ns()
            shown = pixels[back_and_forth(count + APART * stream, len(pixels))]
            picture = Picture(shown, round(count * 1e9 / options.fps), now)
            publisher.send(stamped(framer.frame(names[stream], picture), "capture", now))
        publisher.close(0)


def main() -> None:
    """Publish as the command line says until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bind", required=True)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--in-step", action="store_true")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    exit_with_parent()
    publish(options, stop)


if __name__ == "__main__":
    main()
