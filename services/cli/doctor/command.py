"""The command: all that is looked at, side by side, and the table of what was found."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emostream.services.cli.doctor import machine, packages, ports, sources
from emostream.services.cli.doctor.finding import Finding, Status, problem
from emostream.services.cli.options import add_config_options
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import Config, load

Look: TypeAlias = Callable[[], Sequence[Finding]]
MARKS: Final = {
    Status.OK: Text("✓ OK", "green"),
    Status.WARNING: Text("! warning", "yellow"),
    Status.PROBLEM: Text("✗ problem", "bold red"),
}
# Where there is no terminal to fit.
PLAIN_WIDTH: Final = 120


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = f"{parser.description}. Exit code 1: something would stop `make run`."
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        type=_stage,
        help=f"those that will run here: {', '.join(STAGES)} (default: all)",
    )
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what was found; return 1 where a problem would stop `make run`."""
    config = load(options.config, options.set)
    stages = [stage for stage in STAGES if stage in (options.stages or STAGES)]
    found = examine(config, stages)
    if options.json:
        print(as_json(found))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=PLAIN_WIDTH)
        console.print(table(found))
        console.print()
        console.print(verdict(found))
    return 1 if _count(found, Status.PROBLEM) else 0


def examine(config: Config, stages: Sequence[str]) -> list[Finding]:
    """Look at all that these stages need, at the same time, and return what was found in order."""
    with ThreadPoolExecutor() as pool:
        looks = [pool.submit(look) for look in _looks(config, stages)]
        return [finding for look in looks for finding in look.result()]


def table(found: Sequence[Finding]) -> Table:
    """Return a row for each finding, and below it what to do."""
    shown = Table.grid(padding=(0, 2))
    for _ in range(2):
        shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for finding in found:
        shown.add_row(MARKS[finding.status], finding.check, finding.found)
        if finding.advice:
            shown.add_row("", "", Text(f"→ {finding.advice}", "bold" if _bad(finding) else "dim"))
    return shown


def verdict(found: Sequence[Finding]) -> Text:
    """Return the last line: whether it can be started."""
    problems, warnings = _count(found, Status.PROBLEM), _count(found, Status.WARNING)
    more = f"; {_counted(warnings, 'warning')}" if warnings else ""
    if problems:
        return Text(f"{_counted(problems, 'problem')} to mend before `make run`{more}", "bold red")
    return Text(f"nothing stands in the way of `make run`{more}", "bold green")


def as_json(found: Sequence[Finding]) -> str:
    """Return the findings for a program."""
    rows = [
        {"check": f.check, "status": f.status.value, "found": f.found, "advice": f.advice}
        for f in found
    ]
    return json.dumps({"ready": not _count(found, Status.PROBLEM), "findings": rows})


def _looks(config: Config, stages: Sequence[str]) -> list[Look]:
    """Return what there is to look at, in the order in which it is shown."""
    engine, engine_group, of_models = _looks_at_models(config)
    looks: list[tuple[str | None, Look]] = [
        (None, lambda: [machine.check_python(sys.version_info[:3])]),
        (None, partial(packages.findings, config, stages, engine_group)),
        (None, lambda: [machine.check_processor(machine.look_at_processor(), engine)]),
        (None, lambda: [machine.check_memory(psutil.virtual_memory().available, stages, engine)]),
        ("capture", partial(sources.findings, config.capture.sources)),
        *of_models,
        (None, partial(ports.findings, config, stages)),
        ("recorder", lambda: [_disk(config)]),
        ("display", partial(_desktop, config)),
        (None, lambda: [machine.check_clock(time.time(), machine.newest_file())]),
    ]
    return [look for stage, look in looks if stage is None or stage in stages]


def _looks_at_models(config: Config) -> tuple[str, str, list[tuple[str | None, Look]]]:
    """Return the classifier's engine, the group of its packages, and what there is to look at."""
    try:
        # It needs OpenCV and NumPy, and the doctor has to come also where those do not load.
        from emostream.services.cli.doctor import models
    except ImportError:
        unknown = problem("model", "cannot be looked at yet", "mend the packages first")
        return "litert", "classifier", [("classifier", lambda: [unknown])]
    model = models.look_at_model(config.classifier)
    return (
        model.engine,
        model.group,
        [
            ("detector", lambda: [models.check_detector(config.detector)]),
            ("classifier", lambda: [models.check_model(model)]),
            ("classifier", lambda: [models.check_gpu(models.look_at_gpu(), model.engine)]),
        ],
    )


def _disk(config: Config) -> Finding:
    return machine.check_disk(machine.look_at_disk(config.recorder), config.recorder)


def _desktop(config: Config) -> list[Finding]:
    return machine.check_desktop(machine.look_at_desktop(config.display), config.display)


def _stage(text: str) -> str:
    if text not in STAGES:
        raise argparse.ArgumentTypeError(f"no stage {text!r}: {', '.join(STAGES)}")
    return text


def _bad(finding: Finding) -> bool:
    return finding.status is not Status.OK


def _count(found: Sequence[Finding], status: Status) -> int:
    return sum(finding.status is status for finding in found)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
