"""A publisher in its own process, for the tests of shared memory: endpoint, width, on or off."""

import os
import sys
import time

from emostream.shared.bus import LIVE_HWM, Bus
from emostream.shared.messages import Message
from tests import builders


def pixels(seq: int, width: int) -> bytes:
    """Return the pixels of a frame, of which each differs from the last frame's."""
    return bytes([seq % 251]) * (3 * width * width)


def frame(seq: int, width: int) -> Message:
    """Return a square frame of this process."""
    fields = {"run": str(os.getpid()), "t": time.time_ns()}
    header = builders.frame(seq, width=width, height=width, **fields).header
    return Message(header, pixels(seq, width))


def publish(endpoint: str, width: int, *, is_shared: bool) -> None:
    """Publish frames until killed."""
    with Bus("capture", count_local=(lambda: None) if is_shared else None) as bus:
        publisher = bus.publisher(endpoint, LIVE_HWM, has_frames=True)
        print(publisher.endpoint, flush=True)
        seq = 0
        while True:
            publisher.send(frame(seq, width))
            seq += 1
            time.sleep(0.01)


if __name__ == "__main__":
    publish(sys.argv[1], int(sys.argv[2]), is_shared=sys.argv[3] == "on")
