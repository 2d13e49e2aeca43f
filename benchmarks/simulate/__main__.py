"""`python -m benchmarks.simulate`: simulates many streams and classifiers.

Uses measured service times. Simulates a plant for each number of classifiers, and prints drops,
ages and utilization. `--check` instead runs a real pipeline with small streams, and compares it
with the simulation. `--arithmetic` instead computes cores, network and disks for the streams and
for an archive.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.simulate import arithmetic, check
from benchmarks.simulate.figures import MEASURED, Failure, Figures, Plant, read_figures
from benchmarks.simulate.model import Simulation
from benchmarks.simulate.outcome import Outcome
from benchmarks.simulate.real import Load
from emostream.services.cli.options import count, not_negative, positive
from emostream.shared.errors import EmostreamError, ExitCode
from emostream.shared.progress import ProgressBar

CLASSIFIERS: Final = (80, 100, 120, 140)
WIDTH: Final = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, or check the simulation; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        figures = _figures(options)
        if options.check:
            loads = [
                Load(streams, options.check_fps, options.check_together)
                for streams in options.check
            ]
            return check.run(figures, loads, options.seconds)
        if options.arithmetic:
            load = (options.fps, options.faces)
            console = Console(width=WIDTH)
            console.print(arithmetic.processes(figures, options.streams, *load))
            console.print(arithmetic.traffic(figures, options.streams, *load))
            console.print(arithmetic.archive(figures, options.hours, *load))
            return ExitCode.OK
        plants = [_plant(options, number) for number in options.classifiers]
        outcomes = []
        with ProgressBar("simulating", len(plants), "plants") as bar:
            for plant in plants:
                outcomes.append(Simulation(figures, plant, options.seconds, options.warm_up).run())
                bar.advance()
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    Console(width=WIDTH).print(table(plants, outcomes))
    return ExitCode.OK


def table(plants: Sequence[Plant], outcomes: Sequence[Outcome]) -> Table:
    """Return the outcome of each plant."""
    shown = Table(title=_title(plants[0]), title_justify="left")
    for column in (
        *("classifiers", "answers/s", "dropped, %", "p50, ms", "p99, ms"),
        *("detectors busy: mean, most", "classifiers busy: mean, most", "where dropped"),
    ):
        shown.add_column(column, justify="left" if column == "where dropped" else "right")
    for plant, outcome in zip(plants, outcomes, strict=True):
        most_detector, detectors, most_classifier, classifiers = outcome.busy
        shown.add_row(
            str(plant.classifiers),
            f"{outcome.answers_per_s:,.0f}",
            f"{outcome.dropped_percent:.2f}",
            f"{outcome.age_ms(50):.0f}",
            f"{outcome.age_ms(99):.0f}",
            f"{detectors:.0%}, {most_detector:.0%}",
            f"{classifiers:.0%}, {most_classifier:.0%}",
            ", ".join(f"{place} {count:,}" for place, count in outcome.dropped.most_common()),
        )
    return shown


def _title(plant: Plant) -> str:
    link = f"{plant.link_mbit:g} Mbit/s, {plant.link_ms:g} ms" if plant.link_mbit else "no bound"
    return (
        f"{plant.streams} streams, {plant.fps:g} frames/s, {plant.faces:g} faces per frame; "
        f"{plant.streams_per_detector} streams per detector; link of a detector: {link}"
    )


def _figures(options: argparse.Namespace) -> Figures:
    figures = read_figures(options.figures)
    try:
        changed = {**msgspec.structs.asdict(figures), **_changes(options.set)}
        return msgspec.convert(changed, Figures)
    except msgspec.ValidationError as error:
        raise EmostreamError(f"--set: {error}") from error


def _changes(settings: Sequence[str]) -> dict[str, float]:
    found = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in Figures.__struct_fields__:
            raise EmostreamError(
                f"--set {setting}: write KEY=NUMBER, one of {', '.join(Figures.__struct_fields__)}"
            )
        try:
            found[key] = float(value)
        except ValueError as error:
            raise EmostreamError(f"--set {setting}: {value} is not a number") from error
    return found


def _plant(options: argparse.Namespace, classifiers: int) -> Plant:
    for failure in options.kill:
        if failure.classifier >= classifiers:
            raise EmostreamError(f"--kill {failure.classifier}: the last is {classifiers - 1}")
    return Plant(
        streams=options.streams,
        fps=options.fps,
        faces=options.faces,
        streams_per_detector=options.streams_per_detector,
        classifiers=classifiers,
        standbys=options.standbys,
        link_mbit=options.link_mbit,
        link_ms=options.link_ms,
        failures=tuple(options.kill),
    )


def _failure(text: str) -> Failure:
    """Parse `N:AT:AWAY`; a type for argparse."""
    try:
        number, at, away = text.split(":")
        fields = {"classifier": int(number), "at_s": float(at), "away_s": float(away)}
        return msgspec.convert(fields, Failure)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not N:AT:AWAY, like 0:2:1.5") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--figures", type=Path, default=MEASURED, metavar="FILE", help="service times, as JSON")
    add("--set", action="append", default=[], metavar="KEY=NUMBER", help="change one of them")
    add("--streams", type=positive(int), default=1000, help="default: %(default)s")
    add("--fps", type=positive(float), default=25.0, help="of a stream (default: %(default)g)")
    add("--faces", type=not_negative, default=3.0, help="mean of a frame (default: %(default)g)")
    text = "streams of each detector (default: %(default)s)"
    add("--streams-per-detector", type=positive(int), default=3, metavar="N", help=text)
    text = f"one plant for each number (default: {' '.join(map(str, CLASSIFIERS))})"
    add("--classifiers", type=positive(int), nargs="+", default=CLASSIFIERS, metavar="N", help=text)
    add("--standbys", type=count, default=0, metavar="N", help="default: %(default)s")
    add("--link-mbit", type=not_negative, default=0.0, help="of each detector; 0: no bound")
    add("--link-ms", type=not_negative, default=0.0, help="delay of this link")
    text = "kill classifier N (from 0) at AT s, for AWAY s; may be repeated"
    add("--kill", type=_failure, action="append", default=[], metavar="N:AT:AWAY", help=text)
    add("--arithmetic", action="store_true", help="cores, network and disks, without a simulation")
    add("--hours", type=positive(float), default=1e6, help="of the archive (default: a million)")
    add("--seconds", type=positive(float), default=10.0, help="measured (default: %(default)g)")
    text = "seconds before that (default: %(default)g)"
    add("--warm-up", type=not_negative, default=2.0, help=text)
    text = "compare with a real pipeline of this many streams of 320 x 180"
    add("--check", type=positive(int), nargs="+", metavar="STREAMS", help=text)
    add("--check-fps", type=positive(float), default=10.0, help="of each of these streams")
    text = "all these streams capture at the same time, instead of at random times"
    add("--check-together", action="store_true", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
