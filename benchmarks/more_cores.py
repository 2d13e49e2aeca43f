"""Computes the speed of `analyze` on more cores: python -m benchmarks.more_cores FILE.json.

The file is from `emostream bench analyze --out`, and has the cost of a frame for each stage. The
detector searches several frames in parallel and does the rest of its work in order, so the share of
each is measured here, on one thread. Nothing else is measured: cores of one CPU share memory
bandwidth and heat, so real machines reach less.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from emostream.services.capture.demo.scene import DemoScene
from emostream.services.capture.framer import Framer
from emostream.services.capture.picture import Picture
from emostream.services.cli.bench.result_file import ResultFile
from emostream.services.cli.processes.stages import STAGES
from emostream.services.detector.frame_search import FrameSearch
from emostream.services.detector.process import MAX_HELPERS, new_detector, new_tiling, selected
from emostream.services.detector.stage import DetectorStage
from emostream.services.detector.tracking import track_ids
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError, EmostreamError
from emostream.shared.messages import Message

CORES: Final = (2, 4, 8, 16)
PROGRAM: Final = "analyze --no-video"
ANALYZE: Final = "emostream bench analyze"
FRAMES: Final = 150
FPS: Final = 25


@dataclass(frozen=True)
class Costs:
    """The cost of a frame in ms: CPU time of each stage, and that of its busiest thread.

    The detector's `search` runs on several threads; `in_order` is the rest.
    """

    cpu: Mapping[str, float]
    step: Mapping[str, float]
    search: float
    in_order: float


def limits(costs: Costs, cores: int) -> dict[str, float]:
    """Return the frames/s that each part allows on this many cores."""
    found = {"all cores": 1e3 * cores / sum(costs.cpu.values())}
    for stage, ms in costs.step.items():
        if stage != "detector":
            found[stage] = 1e3 / ms
    found["detector, search"] = 1e3 * min(cores, MAX_HELPERS) / costs.search
    found["detector, in order"] = 1e3 / costs.in_order
    return found


def read(path: Path, detector: tuple[float, float]) -> Costs:
    """Return the costs from a result file; `detector` has its search and rest as measured here.

    Raises ConfigError for a file from another benchmark.
    """
    results = ResultFile.read(path)
    if results.what != ANALYZE:
        raise ConfigError(f"{path} holds results of `{results.what}`: give one of `{ANALYZE}`")

    def of(kind: str) -> dict[str, float]:
        names = {stage: f"{PROGRAM}: {stage}, {kind}" for stage in STAGES}
        found = {
            stage: results.figures[name].median
            for stage, name in names.items()
            if name in results.figures
        }
        if "detector" not in found:
            raise ConfigError(f"{path} does not say what a frame costs each stage")
        return found

    cpu = of("processor")
    search, rest = detector
    # The speed of this machine varies over time, so only the shares are used.
    share = search / (search + rest)
    return Costs(cpu, of("step"), share * cpu["detector"], (1 - share) * cpu["detector"])


def measure_detector() -> tuple[float, float]:
    """Return the time per frame of searches by turn and of the detector's other work, in ms."""
    settings = Config().detector
    chosen = selected(settings)
    detector = new_detector(settings, chosen)
    tiling = new_tiling(settings, chosen, live=False)
    search = FrameSearch(detector, tiling)
    stage = DetectorStage(detector, track_ids(time.time()), tiling=tiling)
    messages = list(_messages())
    began = time.thread_time()
    for index, message in enumerate(messages):
        # Threads search ahead only what is searched by turn.
        if tiling.has_turn(index):
            search.result(message, index, whole=tiling.is_due(index))
    searched = time.thread_time()
    for message in messages:
        stage(message)
    whole = time.thread_time() - searched
    alone = searched - began
    return 1e3 * alone / FRAMES, 1e3 * max(0.0, whole - alone) / FRAMES


def _messages() -> Iterator[Message]:
    scene, framer = DemoScene(fps=FPS), Framer("bgr8", 90, recorded=("demo",))
    for seq in range(FRAMES):
        yield framer.frame("demo", Picture(scene.frame(seq), seq * 10**9 // FPS))


def table(costs: Costs) -> Table:
    """Return the frames/s by number of cores, and the limiting part."""
    found = Table(title="computed from service times, not measured")
    for column in ("cores", "frames/s at most", "limited by"):
        found.add_column(column, justify="left" if column == "limited by" else "right")
    for cores in CORES:
        by = limits(costs, cores)
        least = min(by, key=by.__getitem__)
        found.add_row(str(cores), f"{by[least]:.0f}", least)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print costs and table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.more_cores", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        costs = read(options.file, measure_detector())
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for stage, ms in costs.cpu.items():
        console.print(f"{stage}: {ms:.2f} ms of processor, {costs.step[stage]:.2f} ms a step")
    console.print(f"detector: search {costs.search:.2f} ms, in order {costs.in_order:.2f} ms")
    console.print(table(costs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
