"""`python -m benchmarks.thin_link`: measures the age of results behind a rate-limited link.

Capture and detector run at one end, the classifier and its subscribers at the other. Needs Linux,
root, and `ip` and `tc` from iproute2. Exits with 1 if a result arrived later after its faces were
sent than `live.max_age_ms` plus the link's own delay (transfer time and queue).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Final

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.thin_link.namespaces import NEAR_ADDRESS, ThinLink
from emostream.services.cli.processes.child_process import stage_command
from emostream.services.cli.processes.config_file import write_config
from emostream.shared.config import Config, Security, load
from emostream.shared.shipped_files import CONFIGS

# Bytes of a face's crop and map, of the rest of a message, and of packet headers.
FACE_BYTES: Final = 64 * 64 + 130
MESSAGE_BYTES: Final = 400
OVERHEAD: Final = 1.06
# Additional time for stages, timers and a busy machine, s.
SLACK: Final = 0.1
WARM_UP_S: Final = 8.0


def configuration(folder: Path) -> Config:
    """Return a configuration whose faces travel over the link."""
    config = load(CONFIGS / "default.toml")
    replace = msgspec.structs.replace
    faces = f"tcp://{NEAR_ADDRESS}:5552"
    return replace(
        config,
        security=Security(mode="disabled"),
        detector=replace(config.detector, bind=faces),
        connect=replace(config.connect, faces=(faces,)),
        recorder=replace(config.recorder, folder=str(folder / "recordings")),
    )


def measure(link: ThinLink, folder: Path, seconds: float) -> np.ndarray:
    """Return float (results, 3): age (s), time since sending (s), and number of faces."""
    config = configuration(folder)
    file = folder / "config.toml"
    write_config(config, file)
    with (folder / "log.txt").open("wb") as log:
        stages = [
            start(link.inside(namespace, *stage_command(stage, "--config", str(file))), log)
            for stage, namespace in (
                ("classifier", link.far),
                ("detector", link.near),
                ("capture", link.near),
            )
        ]
        try:
            time.sleep(WARM_UP_S)
            listener = [sys.executable, "-m", "benchmarks.thin_link.listener"]
            endpoint = config.connect.emotion[0]
            answer = subprocess.run(
                link.inside(link.far, *listener, endpoint, str(seconds)),
                check=True,
                stdout=subprocess.PIPE,
            )
        finally:
            for stage in stages:
                stage.terminate()
            for stage in stages:
                stage.wait(10)
    return np.array(json.loads(answer.stdout), float).reshape(-1, 3)


def start(command: list[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a command whose output goes to the log."""
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def own_delay(faces: np.ndarray, kilobits: float, latency_ms: float) -> np.ndarray:
    """Return the link's transfer time for messages with this many faces, in s."""
    return (
        OVERHEAD * 8 * (MESSAGE_BYTES + FACE_BYTES * faces) / (1000 * kilobits) + latency_ms / 1e3
    )


def main() -> int:
    """Measure, print a table, and return 1 if a result was too old, 2 if it cannot run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kilobits", type=float, nargs="+", default=[300, 1000, 10_000])
    parser.add_argument("--latency-ms", type=float, default=50.0, help="of the link's own queue")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each rate")
    options = parser.parse_args()
    max_age = load(CONFIGS / "default.toml").live.max_age_ms / 1000
    table = Table(title="age of results behind a slow link (capture to subscriber)")
    for column in ("kbit/s", "results/s", "median, ms", "p99, ms", "oldest, ms", "beyond, ms"):
        table.add_column(column, justify="right")
    worst = 0.0
    for kilobits in options.kilobits:
        try:
            with ThinLink(f"{kilobits:g}kbit", options.latency_ms) as link:
                with tempfile.TemporaryDirectory() as folder:
                    seen = measure(link, Path(folder), options.seconds)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or error
            print(f"cannot create a link here: {str(reason).strip()}", file=sys.stderr)
            return 2
        ages, since_sent, faces = seen.T
        # The age not explained by the link's own delay or max_age_ms.
        beyond = since_sent - own_delay(faces, kilobits, options.latency_ms) - max_age
        worst = max(worst, float(beyond.max(initial=0.0)))
        quantiles = (1000 * np.quantile(ages, q) for q in (0.5, 0.99, 1)) if len(ages) else ()
        table.add_row(
            f"{kilobits:g}",
            f"{len(ages) / options.seconds:.1f}",
            *(f"{value:.0f}" for value in quantiles),
            f"{1000 * max(0.0, float(beyond.max(initial=0.0))):.0f}",
        )
    Console().print(table)
    return int(worst > SLACK)


if __name__ == "__main__":
    sys.exit(main())
