"""The load source that replaces capture: sends frames from memory on schedule.

It sends like capture, but neither decodes nor draws, so that it takes little CPU time from the
stages.
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

# If it is later than this, it does not catch up, like capture.
MOST_LATE_S: Final = 0.1
# The offset between the streams' pictures, in frames.
APART: Final = 7


def due_times(streams: int, fps: float, *, in_step: bool) -> Iterator[tuple[float, int]]:
    """Yield the due time (s) and stream of each next frame, endlessly.

    Cameras are not synchronized, so their frames are spread evenly over the frame interval; with
    `in_step`, they are all due at once.
    """
    spread = 0.0 if in_step else 1 / (fps * streams)
    due = [(stream * spread, stream) for stream in range(streams)]
    while True:
        at, stream = due[0]
        yield at, stream
        heapq.heapreplace(due, (at + 1 / fps, stream))


def back_and_forth(step: int, length: int) -> int:
    """Return the index at `step` in a sequence of `length` that is played back and forth."""
    index = step % max(2 * (length - 1), 1)
    return min(index, 2 * (length - 1) - index)


def publish(options: argparse.Namespace, stop: threading.Event) -> None:
    """Publish the frames until stopped."""
    frames = np.load(options.frames, mmap_mode="r")
    # Read all pages now, so that they are not read from disk during the measurement.
    pixels = [np.ascontiguousarray(frame) for frame in frames]
    names = [f"cam{number}" for number in range(options.streams)]
    framer = Framer("bgr8", 0)
    # As capture does; the stages count the frames that they receive so.
    with Bus("load", count_local=lambda: None) as bus:
        publisher = bus.publisher(options.bind, frames_hwm(options.streams), has_frames=True)
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
    """Run the command line until SIGTERM."""
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
