"""Measures each engine on each device, with crops in memory and over the wire."""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from emostream.models import Classifier, load
from emostream.models.engines import ENGINES
from emostream.models.engines.device import Device
from emostream.models.synthetic_faces import synthetic_faces
from emostream.services.cli.bench.wire import Speed, WiredClassifier
from emostream.services.cli.options import positive
from emostream.shared.errors import EmostreamError, ExitCode
from emostream.shared.plural import counted
from emostream.shared.progress import ProgressBar
from emostream.shared.temporary_folder import temporary_folder

DEVICES: Final[tuple[Device, ...]] = ("cpu", "gpu")
BATCHES: Final = (1, 8, 32, 128, 512, 1024)
LARGEST: Final = 1024


@dataclass(frozen=True)
class Row:
    """The speed of an engine on a device with batches of `faces`; `wire` may be None."""

    engine: str
    device: str
    runtime: str
    faces: int
    memory: Speed
    wire: Speed | None


@dataclass(frozen=True)
class Absent:
    """An engine that cannot run on a device here, with the reason."""

    engine: str
    device: str
    reason: str


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = argparse.ArgumentParser(prog="emostream bench classifier", description=__doc__)
    parser.add_argument(
        "--model", default="alexnet-fer", help="a name or a file (default: %(default)s)"
    )
    parser.add_argument("--engine", choices=ENGINES, help="measure only this one (default: all)")
    parser.add_argument("--device", choices=DEVICES, help="measure only this one (default: both)")
    parser.add_argument(
        "--batch",
        type=_batch,
        nargs="+",
        default=BATCHES,
        metavar="FACES",
        help=f"batch sizes, up to {LARGEST} (default: {' '.join(map(str, BATCHES))})",
    )
    parser.add_argument(
        "--threads", type=positive(int), default=1, help="threads per engine (default: 1)"
    )
    parser.add_argument(
        "--seconds",
        type=positive(float),
        default=2.0,
        help="seconds to measure each figure (default: 2)",
    )
    parser.add_argument(
        "--no-wire",
        action="store_true",
        help="measure only with crops in memory, without a classifier process",
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    return parser


def run(options: argparse.Namespace) -> int:
    """Measure the available engines and devices, and print the results; FAILURE without any."""
    before = os.getloadavg()[0]
    found: list[Row | Absent] = []
    with ProgressBar("measuring") as bar:
        for row in measure(options):
            found.append(row)
            bar.advance()
    rows = [each for each in found if isinstance(each, Row)]
    absent = [each for each in found if isinstance(each, Absent)]
    if options.json:
        facts = {"cores": os.cpu_count(), "threads": options.threads, "load_before": before}
        results = {"rows": [_as_json(row) for row in rows], "absent": [*map(asdict, absent)]}
        print(json.dumps(facts | results, indent=2))
    else:
        _show(
            rows,
            absent,
            f"{counted(options.threads, 'thread')} of {counted(os.cpu_count() or 1, 'core')}, "
            f"load {before:.1f}",
        )
    return ExitCode.OK if rows else ExitCode.FAILURE


def measure(
    options: argparse.Namespace, load: Callable[..., Classifier] = load
) -> Iterator[Row | Absent]:
    """Yield a row for each batch size of each engine and device that `load` returns."""
    for engine in [options.engine] if options.engine else ENGINES:
        for device in [options.device] if options.device else DEVICES:
            try:
                model = load(
                    options.model, engine=engine, device=device, intra_op=int(options.threads)
                )
            except EmostreamError as error:
                yield Absent(engine, device, str(error))
                continue
            for faces in options.batch:
                try:
                    yield _row(model, faces, options)
                except EmostreamError as error:
                    yield Absent(engine, device, f"{faces} faces per batch: {error}")
                    break


def _row(model: Classifier, faces: int, options: argparse.Namespace) -> Row:
    memory = in_memory(model, faces, options.seconds)
    wire = None if options.no_wire else over_the_wire(model, faces, options)
    return Row(model.engine, model.device, model.runtime, faces, memory, wire)


def in_memory(model: Classifier, faces: int, seconds: float) -> Speed:
    """Measure calls with crops in memory, on a warm model."""
    model.max_batch = faces
    crops = np.resize(synthetic_faces(min(faces, 32)), (faces, 64, 64))
    for _ in range(2):
        model.predict(crops)
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        before = time.perf_counter()
        model.predict(crops)
        times.append(time.perf_counter() - before)
    return Speed(statistics.median(times) * 1000, len(times) * faces / sum(times))


def over_the_wire(model: Classifier, faces: int, options: argparse.Namespace) -> Speed:
    """Measure a classifier process with the same settings, on this host, over TCP."""
    settings = (
        *(f"classifier.model={options.model}", f"classifier.engine={model.engine}"),
        *(f"classifier.device={model.device}", f"classifier.threads={int(options.threads)}"),
    )
    with temporary_folder() as folder, WiredClassifier(faces, settings, folder) as classifier:
        return classifier.measure(options.seconds)


def _as_json(row: Row) -> dict[str, object]:
    wire = row.wire._asdict() if row.wire else None
    return {**asdict(row), "memory": row.memory._asdict(), "wire": wire}


def _show(rows: list[Row], absent: list[Absent], title: str) -> None:
    table = Table(title=f"emostream bench classifier: {title}")
    for column in ("engine", "device", "by"):
        table.add_column(column)
    for column in ("faces", "ms in memory", "faces/s", "ms over the wire", "faces/s"):
        table.add_column(column, justify="right")
    for row in rows:
        cells = [f"{row.memory.ms:.1f}", f"{row.memory.faces_per_s:.0f}"]
        cells += [f"{row.wire.ms:.1f}", f"{row.wire.faces_per_s:.0f}"] if row.wire else ["-", "-"]
        table.add_row(row.engine, row.device, row.runtime, str(row.faces), *cells)
    console = Console()
    if rows:
        console.print(table)
    for each in absent:
        print(f"not measured: {each.engine} on the {each.device}: {each.reason}")


def _batch(text: str) -> int:
    faces = int(text)
    if not 1 <= faces <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text}: write a number from 1 to {LARGEST}")
    return faces
