"""Compares the simulation with a real run of small streams on this machine."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.simulate.figures import Figures, Plant
from benchmarks.simulate.model import Simulation
from benchmarks.simulate.outcome import Outcome
from benchmarks.simulate.real import Load, Real, figures_of, measure
from emostream.shared.errors import ExitCode

# The tolerance of the simulation.
TOLERANCE: Final = 0.2
SIMULATED_S: Final = 30.0
HOPS: Final = 3


@dataclass(frozen=True)
class Comparison:
    """A real run and the simulation of it."""

    load: Load
    real: Real
    simulated: Outcome

    @property
    def differences(self) -> tuple[float, float]:
        """The relative errors of the simulation's answers/s and p50."""
        return (
            self.simulated.answers_per_s / self.real.answers_per_s - 1,
            self.simulated.age_ms(50) / self.real.p50_ms - 1,
        )


def run(base: Figures, loads: Sequence[Load], seconds: float) -> int:
    """Run the load with the fewest streams to calibrate, then compare the others.

    Prints both; FAILURE if one differs by more than the tolerance.
    """
    least, *others = sorted(loads, key=lambda load: load.streams)
    learned = measure(least, seconds)
    figures = with_hops(figures_of(learned, base), learned, least)
    found = []
    for load in others or [least]:
        real = measure(load, seconds)
        found.append(Comparison(load, real, simulate(figures, real, load)))
    Console(width=120).print(table(figures, found, least))
    is_good = all(abs(each) <= TOLERANCE for one in found for each in one.differences)
    return ExitCode.OK if is_good else ExitCode.FAILURE


def simulate(figures: Figures, real: Real, load: Load) -> Outcome:
    """Simulate the load on this machine's cores, next to the other programs of the real run."""
    plant = Plant(
        streams=load.streams,
        fps=load.fps,
        faces=real.faces,
        vary=False,
        streams_per_detector=load.streams,
        classifiers=1,
        cores=os.cpu_count() or 1,
        other_cores=real.other_cores,
        phases=real.phases,
    )
    return Simulation(figures, plant, SIMULATED_S, 2.0).run()


def with_hops(figures: Figures, real: Real, load: Load) -> Figures:
    """Return the figures with the time between processes from the calibration run.

    This is the difference of its p50 to that of a simulation without such a time.
    """
    p50 = simulate(figures, real, load).age_ms(50)
    return msgspec.structs.replace(figures, hop_ms=max(0.0, real.p50_ms - p50) / HOPS)


def table(figures: Figures, found: Sequence[Comparison], least: Load) -> Table:
    """Return a table with both."""
    title = (
        f"{least.fps:g} frames/s per stream; learned from {least.streams}, ms per frame: capture "
        f"{figures.capture_ms:.2f}, detector {figures.detector_ms:.2f}, classifier "
        f"{figures.classifier_ms:.2f}, recorder and display {figures.consumer_ms:.2f}, a hop "
        f"{figures.hop_ms:.2f}; usual pause {figures.usual_pause_ms:.0f} ms, exponent "
        f"{figures.pause_exponent:.3f}"
    )
    shown = Table(title=title, title_justify="left")
    for column in (
        *("streams", "answers/s", "simulated", "", "p50, ms", "simulated", ""),
        *("dropped, %", "simulated", "other programs, cores"),
    ):
        shown.add_column(column, justify="right")
    for one in found:
        rate, age = one.differences
        shown.add_row(
            str(one.load.streams),
            f"{one.real.answers_per_s:.1f}",
            f"{one.simulated.answers_per_s:.1f}",
            f"{rate:+.0%}",
            f"{one.real.p50_ms:.1f}",
            f"{one.simulated.age_ms(50):.1f}",
            f"{age:+.0%}",
            f"{one.real.dropped_percent:.1f}",
            f"{one.simulated.dropped_percent:.1f}",
            f"{one.real.other_cores:.2f}",
        )
    return shown
