"""`python -m benchmarks.two_hosts`: a pipeline on two hosts, over links and through faults.

Needs Linux, root, and `ip` and `tc` from iproute2. The namespaces share one clock, so ages are
exact, and one machine, which must be idle.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.results import finish, parse
from benchmarks.two_hosts.scenarios import Figures, scenarios
from emostream.services.cli.bench.result_file import Figure, figure
from emostream.shared.progress import ProgressBar

WHAT = "python -m benchmarks.two_hosts"


def named(figures: list[Figures]) -> dict[str, Figure]:
    """Return the figures by name."""
    found = {}
    for one in figures:
        found[f"{one.scenario}: results"] = figure([one.results_per_s], "results/s", "higher")
        found[f"{one.scenario}: age, p50"] = figure([one.age_p50_ms], "ms")
        found[f"{one.scenario}: age, p99"] = figure([one.age_p99_ms], "ms")
        found[f"{one.scenario}: longest gap"] = figure([one.longest_gap_s], "s")
    return found


def table(figures: list[Figures]) -> Table:
    """Return the table for the terminal."""
    shown = Table(title="two hosts: capture on one, results of the other")
    for column in ("scenario", "results/s", "p50, p99, ms", "gap, s", "fresh after, s"):
        shown.add_column(column)
    for column in ("dropped", "bytes per face, out, back", "CPU, ms per frame"):
        shown.add_column(column)
    for one in figures:
        shown.add_row(
            one.scenario,
            f"{one.results_per_s:.1f}",
            f"{one.age_p50_ms:.0f}, {one.age_p99_ms:.0f}",
            ", ".join(
                f"{stage} {gap:.1f}".strip()
                for stage, gap in {"": one.longest_gap_s, **one.stage_gaps_s}.items()
            ),
            "" if one.fresh_after_s is None else f"{one.fresh_after_s:.1f}",
            ", ".join(f"{reason} {count}" for reason, count in one.dropped.items()),
            f"{one.bytes_per_face_out:,.0f}, {one.bytes_per_face_back:,.0f}",
            ", ".join(f"{stage} {used:.1f}" for stage, used in one.cpu_ms_per_frame.items()),
        )
    return shown


def main() -> int:
    """Measure, print a table, and return 0, or 2 if namespaces cannot be created."""
    names = list(scenarios(0))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=30.0, help="for each scenario")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parse(parser, WHAT)
    if unknown := set(options.scenarios) - set(names):
        parser.error(f"no scenario {min(unknown)}: {', '.join(names)}")
    found: list[Figures] = []
    chosen = options.scenarios or names
    with ProgressBar("measuring", len(chosen), "scenarios") as bar:
        for name in chosen:
            try:
                with tempfile.TemporaryDirectory() as folder:
                    found.append(scenarios(options.seconds)[name](Path(folder)))
            except (OSError, subprocess.CalledProcessError) as error:
                reason = getattr(error, "stderr", None) or error
                print(f"cannot create a link here: {str(reason).strip()}", file=sys.stderr)
                return 2
            bar.advance()
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        Console(width=200).print(table(found))
    return finish(options, WHAT, named(found))


if __name__ == "__main__":
    sys.exit(main())
