"""Records what a subscriber and the stages on the camera host receive.

Runs inside the host's namespace.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from emostream.shared.account import ANSWERED
from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import Config, load
from emostream.shared.messages import Emotion, Message
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape

READY: Final = "listening"
LOOK_S: Final = 0.1


def main(config_file: str, seconds: float, *stages: str) -> None:
    """Print that it listens; after `seconds`, print the received results as JSON.

    For each result: [arrival (ns), capture (ns), seq, faces]; for each stage: the times of its
    progress (ns).
    """
    config = load(Path(config_file))
    results: list[tuple[int, int, int, int]] = []

    def deliver(message: Message) -> None:
        header: Any = message.header
        if isinstance(header, Emotion) and header.is_data:
            results.append((time.time_ns(), header.t, header.seq, len(header.faces)))

    with Bus("listener", security=config.security) as bus:
        subscription = Subscription(config.connect.emotion, ["emotion/"], 0)
        receiver = bus.receiver([subscription], deliver, lambda error: None)
        print(READY, flush=True)
        progress = _watch(config, stages, time.monotonic() + seconds)
        receiver.close()
    print(json.dumps({"results": results, "stages": progress}))


def _watch(config: Config, stages: tuple[str, ...], until: float) -> dict[str, list[int]]:
    """Return the times at which each stage had taken more results, until `until`."""
    seen = dict.fromkeys(stages, -1.0)
    progress: dict[str, list[int]] = {stage: [] for stage in stages}
    while (left := until - time.monotonic()) > 0:
        for stage in stages:
            answer = scrape(f"http://{getattr(config, stage).metrics}/metrics")
            if isinstance(answer, Scrape):
                taken = answer.total(MetricName.FRAMES_ACCOUNTED, topic="emotion", fate=ANSWERED)
                if taken > seen[stage]:
                    progress[stage].append(time.time_ns())
                seen[stage] = taken
        time.sleep(min(LOOK_S, left))
    return progress


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
