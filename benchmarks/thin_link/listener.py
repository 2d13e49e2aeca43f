"""Prints the age of each result; runs inside a namespace, next to the classifier."""

import json
import sys
import time

from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import Security
from emostream.shared.messages import Emotion, Message


def main(endpoint: str, seconds: float) -> None:
    """Print [age, s since the detector sent it, number of faces] of each result, as JSON."""
    seen: list[tuple[float, float, int]] = []

    def deliver(message: Message) -> None:
        header = message.header
        if isinstance(header, Emotion) and header.is_data:
            now, (_, sent) = time.time_ns(), header.marks["detector"]
            seen.append(((now - header.t) / 1e9, (now - sent) / 1e9, len(header.faces)))

    with Bus("listener", security=Security(mode="disabled")) as bus:
        receiver = bus.receiver(
            [Subscription([endpoint], ["emotion/"], 0)], deliver, lambda error: None
        )
        time.sleep(seconds)
        receiver.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
