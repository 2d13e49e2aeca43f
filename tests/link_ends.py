"""The two ends of a link, each run in its own network namespace: `publish` and `listen`."""

import json
import sys
import time

from emostream.shared.bus import LIVE_HWM, Bus, Subscription
from emostream.shared.config import Security
from emostream.shared.link_pacing import LinkPacer
from emostream.shared.messages import Face, Message, stamped
from emostream.shared.send_buffers import SendBuffers
from tests.builders import faces
from tests.conftest import fail_with

CROPS = 3
FOUND = Face(7, (0.0, 0.0, 64.0, 64.0), 1.0, ())
FRAMES_PER_S = 25
MAX_AGE_S = 0.2
TRUSTED = Security(mode="disabled")


def publish(endpoint: str) -> None:
    """Publish three faces per frame, until killed."""
    with Bus("detector", security=TRUSTED) as bus:
        publisher = bus.publisher(endpoint, LIVE_HWM)
        buffers = SendBuffers([publisher.endpoint], MAX_AGE_S / 2)
        crops = bytes(CROPS * 64 * 64)
        seq = 0
        while True:
            found = faces(seq, *[FOUND] * CROPS, t=time.time_ns())
            publisher.send(stamped(Message(found, crops), "detector", time.time_ns()))
            buffers.adjust()
            seq += 1
            time.sleep(1 / FRAMES_PER_S)


def listen(endpoint: str, seconds: float) -> None:
    """Print, as JSON, when each message that is kept came, and its age, in s."""
    pacer = LinkPacer(["faces/0/"], MAX_AGE_S)
    began, seen = time.monotonic(), []

    def deliver(message: Message) -> None:
        if pacer.age(message) is not None:
            age = (time.time_ns() - message.header.t) / 1e9
            seen.append((time.monotonic() - began, age))

    with Bus("classifier", security=TRUSTED) as bus:
        subscription = Subscription([endpoint], ["faces/0/"], LIVE_HWM)
        receiver = bus.receiver([subscription], deliver, fail_with, pacer)
        time.sleep(seconds)
        receiver.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["publish", endpoint]:
            publish(endpoint)
        case ["listen", endpoint, seconds]:
            listen(endpoint, float(seconds))
