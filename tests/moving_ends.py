"""The two ends of a link whose publisher gets another address: `publish` and `listen`."""

import contextlib
import sys
import time
from pathlib import Path
from typing import Final

from emostream.shared.bus import RESULTS_HWM, Bus, Subscription
from emostream.shared.clocks import Clocks
from emostream.shared.config import Security
from emostream.shared.messages import Message
from tests import builders
from tests.conftest import fail_with

EVERY_S: Final = 0.01


def publish(endpoint: str, folder: str) -> None:
    """Publish results, until killed."""
    with Bus("classifier", security=Security(folder=folder)) as bus:
        publisher = bus.publisher(endpoint, RESULTS_HWM)
        seq = 0
        while True:
            publisher.send(Message(builders.emotion(seq=seq)))
            seq += 1
            time.sleep(EVERY_S)


def listen(endpoints: str, folder: str, file: str) -> None:
    """Write the `sent` of each result and when it came (s, monotonic), until killed."""

    def deliver(message: Message) -> None:
        lines.write(f"{message.header.sent} {time.monotonic()}\n")

    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(Path(file).open("w", buffering=1))
        bus = stack.enter_context(Bus("recorder", security=Security(folder=folder)))
        subscription = Subscription(endpoints.split(","), ["emotion/"], RESULTS_HWM)
        # As a stage does, it asks for the time, also at the moment when nobody is there.
        receiver = bus.receiver([subscription], deliver, fail_with, clocks=Clocks())
        stack.enter_context(contextlib.closing(receiver))
        time.sleep(600)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["publish", endpoint, folder]:
            publish(endpoint, folder)
        case ["listen", endpoints, folder, file]:
            listen(endpoints, folder, file)
