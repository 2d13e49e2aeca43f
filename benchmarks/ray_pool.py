"""What actors of Ray give and cost: python -m benchmarks.ray_pool.

Three parts: the latency that an actor adds to a batch of the real model; faces per second with 1, 2
and 4 actors, whose service time is simulated (they sleep) unless `--real`; and the longest answer
when one of two actors is killed. The cluster is this machine's own.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.results import finish, parse
from emostream.models import load
from emostream.models.classifier import MAX_BATCH, Classifier, Probabilities
from emostream.models.crop_size import CROP
from emostream.models.model_choice import ModelChoice
from emostream.models.ray_pool.cluster import cluster
from emostream.models.ray_pool.pool import ActorPool
from emostream.models.ray_pool.ray_actors import RayActor, RayActors
from emostream.models.ray_pool.scaling import Scaling
from emostream.models.ray_pool.served import ModelActor, Opened, ServedModel, process_name
from emostream.services.cli.bench.result_file import Figure, figure
from emostream.services.cli.options import positive
from emostream.shared.errors import EmostreamError

Figures: TypeAlias = dict[str, Figure]
WHAT: Final = "python -m benchmarks.ray_pool"
LABELS: Final = 8
TEND_S: Final = 0.05
START_WITHIN_S: Final = 120.0
# Sleeping takes no processor.
CPUS: Final = 0.01
IN_FLIGHT: Final = 2
SIZES: Final = (1, 8, 32)


def simulated(service: float) -> type[ModelActor]:
    """Return actors that answer a batch after `service` s, without a model."""

    class SleepingActor(ModelActor):
        def open(self, served: ServedModel) -> Opened:
            self._number = served.number
            return Opened(process_name(), "no device", service)

        def predict(self, number: int, *faces: NDArray[np.uint8]) -> Probabilities:
            if getattr(self, "_number", 0) != number:
                return super().predict(number, *faces)
            time.sleep(service)
            return np.full((sum(map(len, faces)), LABELS), 1 / LABELS, np.float32)

    return SleepingActor


class Pool:
    """A pool of so many warm actors, which is looked after until the context ends."""

    def __init__(self, count: int, code: type[ModelActor], served: ServedModel) -> None:
        self.served, self._count, self._actors = served, count, RayActors(CPUS, 0.0, code)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tend)
        self.handles: list[RayActor] = []
        self.counts = {"restarts": 0, "given again": 0, "without an actor": 0}
        self.pool = ActorPool(self._start, Scaling(count, count, 3600.0, 3600.0), self, IN_FLIGHT)

    def __enter__(self) -> Self:
        self.pool.serve(self.served)
        self._thread.start()
        end = time.monotonic() + START_WITHIN_S
        while self.pool.warm < self._count:
            if time.monotonic() > end:
                self.__exit__()
                raise EmostreamError(f"{self._count} actors did not start in {START_WITHIN_S:g} s")
            time.sleep(TEND_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.pool.close()
        for handle in self.handles:
            handle.end()

    def predict(self, crops: NDArray[np.uint8]) -> None:
        """Let an actor answer a batch."""
        self.pool.predict(self.served.number, crops)

    def restarted(self) -> None:
        self.counts["restarts"] += 1

    def replaced(self) -> None:
        self.counts["given again"] += 1

    def answered_here(self) -> None:
        self.counts["without an actor"] += 1

    def _start(self) -> RayActor:
        self.handles.append(self._actors.start())
        return self.handles[-1]

    def _tend(self) -> None:
        while not self._over.wait(TEND_S):
            self.pool.tend(0.0)


def added_latency(served: ServedModel, local: Classifier, rounds: int) -> Figures:
    """Return the ms of a batch here and in an actor, in turn, by the size of the batch."""
    figures: Figures = {}
    with Pool(1, ModelActor, served) as pool:
        for size in SIZES:
            crops = faces(size)
            here, there = [], []
            for _ in range(rounds):
                here.append(_ms(local.predict, crops))
                there.append(_ms(pool.predict, crops))
            added = [b - a for a, b in zip(here, there, strict=True)]
            for name, ms in (("here", here), ("in an actor", there), ("added", added)):
                figures[f"{size} face{'s' * (size > 1)}: {name}"] = figure(ms, "ms")
    return figures


def throughput(
    served: ServedModel, code: type[ModelActor], title: str, options: argparse.Namespace
) -> Figures:
    """Return faces/s and the ms of a batch, with as many batches at a time as there are places."""
    figures: Figures = {}
    for count in options.actors:
        rates, half, most = [], [], []
        with Pool(count, code, served) as pool:
            for _ in range(options.runs):
                taken = _stream(pool, pool.pool.places, options.seconds)
                rates.append(len(taken) * MAX_BATCH / options.seconds)
                half.append(float(np.percentile(taken, 50)))
                most.append(float(np.percentile(taken, 99)))
        name = f"{count} actor{'s' * (count > 1)}, {title}"
        figures[f"{name}: faces per second"] = figure(rates, "1/s", "higher")
        figures[f"{name}: batch p50"] = figure(half, "ms")
        figures[f"{name}: batch p99"] = figure(most, "ms")
    return figures


def killed(served: ServedModel, code: type[ModelActor], options: argparse.Namespace) -> Figures:
    """Return the ms of the longest batch while one of two actors is killed."""
    longest = []
    counts: dict[str, list[float]] = {}
    title = "one of two actors killed"
    for _ in range(options.runs):
        with Pool(2, code, served) as pool:
            process = pool.handles[0].open(served).result(START_WITHIN_S).process
            victim = int(process.rpartition(":")[2])
            timer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
            timer.start()
            longest.append(max(_stream(pool, 2, options.seconds + 1.0)))
            timer.join()
            for name, count in pool.counts.items():
                counts.setdefault(name, []).append(float(count))
    others = {f"{title}: {name}": figure(values, "", "") for name, values in counts.items()}
    return {f"{title}: longest batch": figure(longest, "ms"), **others}


def faces(count: int) -> NDArray[np.uint8]:
    """Return that many crops of noise."""
    return np.random.default_rng(0).integers(0, 255, (count, CROP, CROP), np.uint8)


def show(figures: Figures, service_ms: float) -> None:
    """Print the figures as a table."""
    table = Table(title=f"actors of Ray; simulated: an actor sleeps {service_ms:g} ms per batch")
    table.add_column("figure")
    for name in ("median", "range", "unit"):
        table.add_column(name, justify="right")
    for name, each in figures.items():
        low, high = each.range
        table.add_row(name, f"{each.median:.1f}", f"{low:.1f} to {high:.1f}", each.unit)
    Console(width=110, file=sys.__stdout__).print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--actors", type=positive(int), nargs="+", default=[1, 2, 4], metavar="N")
    parser.add_argument("--service-ms", type=positive(float), default=50.0, metavar="MS")
    parser.add_argument("--seconds", type=positive(float), default=5.0, help="of each run")
    parser.add_argument("--runs", type=positive(int), default=3)
    parser.add_argument("--rounds", type=positive(int), default=100, help="batches of each size")
    parser.add_argument("--model", default="alexnet-fer", help="(default: %(default)s)")
    parser.add_argument(
        "--real", action="store_true", help="let actors run the model: needs a core for each"
    )
    options = parse(parser, WHAT, arguments)
    try:
        figures = measure(options)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    show(figures, options.service_ms)
    return finish(options, WHAT, figures)


def measure(options: argparse.Namespace) -> Figures:
    """Return all figures, measured on a cluster in this machine."""
    local = load(options.model, intra_op=1)
    choice = ModelChoice(options.model, local.engine, "cpu", max_batch=MAX_BATCH)
    served = ServedModel(1, choice, local.sha256)
    code = ModelActor if options.real else simulated(options.service_ms / 1e3)
    title = "real model" if options.real else "simulated"
    with cluster(WHAT, None):
        return {
            **added_latency(served, local, options.rounds),
            **throughput(served, code, title, options),
            **throughput(served, simulated(0.0), "no service time", options),
            **killed(served, code, options),
        }


def _ms(call: Callable[[NDArray[np.uint8]], object], crops: NDArray[np.uint8]) -> float:
    began = time.perf_counter()
    call(crops)
    return 1e3 * (time.perf_counter() - began)


def _stream(pool: Pool, at_once: int, seconds: float) -> list[float]:
    """Let full batches come for so long, so many at a time; return the ms of each."""
    crops, end = faces(MAX_BATCH), time.perf_counter() + seconds

    def one(_: int) -> list[float]:
        taken = []
        while time.perf_counter() < end:
            taken.append(_ms(pool.predict, crops))
        return taken

    with ThreadPoolExecutor(at_once) as threads:
        return [ms for taken in threads.map(one, range(at_once)) for ms in taken]


if __name__ == "__main__":
    sys.exit(main())
