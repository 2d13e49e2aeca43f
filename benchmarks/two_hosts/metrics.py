"""Prints the frames that a namespace's stages dropped, by stage and reason, as JSON."""

import json
import sys
from collections import Counter
from pathlib import Path

from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import load
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape


def main(config_file: str) -> None:
    """Read the metrics of all stages that answer here."""
    config = load(Path(config_file))
    dropped: Counter[str] = Counter()
    for stage in STAGES:
        answer = scrape(f"http://{getattr(config, stage).metrics}/metrics")
        if isinstance(answer, Scrape):
            for (reason,), count in answer.by(MetricName.FRAMES_DROPPED, ("reason",)).items():
                dropped[f"{stage} {reason}"] += int(count)
    print(json.dumps(dropped))


if __name__ == "__main__":
    main(sys.argv[1])
