"""The command: runs all checks in parallel, and prints a table of findings."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import psutil
from rich.table import Table
from rich.text import Text

from emostream.services.cli.console import table_console
from emostream.services.cli.doctor import (
    clocks,
    http,
    machine,
    packages,
    ports,
    relay,
    security,
    sources,
)
from emostream.services.cli.doctor.finding import Finding, Status, problem
from emostream.services.cli.given_config import given_config
from emostream.services.cli.options import add_config_options
from emostream.services.cli.processes import procfile
from emostream.services.cli.processes.stages import ALL_STAGES, STAGES
from emostream.shared.config import Config
from emostream.shared.errors import ExitCode
from emostream.shared.plural import counted
from emostream.shared.shipped_files import ROOT

Check: TypeAlias = Callable[[], Sequence[Finding]]
MARKS: Final = {
    Status.OK: Text("✓ OK", "green"),
    Status.WARNING: Text("! warning", "yellow"),
    Status.PROBLEM: Text("✗ problem", "bold red"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = f"{parser.description}. Exit code 1: a problem would prevent {_start()}."
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        type=_stage,
        help=f"the stages that will run here: {', '.join(ALL_STAGES)} (default: those in the "
        f"Procfile of this folder, or without one {', '.join(STAGES)})",
    )
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the findings; return FAILURE if a problem would prevent the start."""
    config = given_config(options).load()
    chosen = options.stages or _stages_here() or STAGES
    stages = [stage for stage in ALL_STAGES if stage in chosen]
    found = examine(config, stages)
    if options.json:
        print(as_json(found))
    else:
        console = table_console()
        console.print(table(found))
        console.print()
        console.print(verdict(found))
    return ExitCode.FAILURE if _count(found, Status.PROBLEM) else ExitCode.OK


def examine(config: Config, stages: Sequence[str]) -> list[Finding]:
    """Run all checks for these stages in parallel, and return the findings in order."""
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(check) for check in _checks(config, stages)]
        return [finding for future in futures for finding in future.result()]


def table(found: Sequence[Finding]) -> Table:
    """Return a row for each finding, with advice below it."""
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
    """Return the last line: whether the pipeline can start."""
    problems, warnings = _count(found, Status.PROBLEM), _count(found, Status.WARNING)
    more = f"; {counted(warnings, 'warning')}" if warnings else ""
    if problems:
        return Text(f"{counted(problems, 'problem')} to fix before {_start()}{more}", "bold red")
    return Text(f"no problems; ready for {_start()}{more}", "bold green")


def _start() -> str:
    """Return how a pipeline is started here; only a checkout has a Makefile."""
    if Path("Makefile").is_file() and Path().samefile(ROOT):
        return "`make run`"
    is_initialized = Path(procfile.FILE).is_file()
    return "`honcho start`" if is_initialized else "`emostream init` and `honcho start`"


def as_json(found: Sequence[Finding]) -> str:
    """Return the findings for a program."""
    rows = [
        {"check": f.check, "status": f.status.value, "found": f.found, "advice": f.advice}
        for f in found
    ]
    return json.dumps({"ready": not _count(found, Status.PROBLEM), "findings": rows})


def _checks(config: Config, stages: Sequence[str]) -> list[Check]:
    """Return the checks, in display order."""
    engine, engine_group, of_models = _model_checks(config)
    checks: list[tuple[str | None, Check]] = [
        (None, lambda: [machine.check_python(sys.version_info[:3])]),
        (None, partial(packages.findings, config, stages, engine_group)),
        (None, lambda: [machine.check_processor(machine.probe_processor(), engine)]),
        (None, lambda: [machine.check_memory(psutil.virtual_memory().available, stages, engine)]),
        ("capture", partial(sources.findings, config.capture.sources)),
        *of_models,
        (None, partial(ports.findings, config, stages)),
        (None, partial(security.findings, config, stages)),
        ("relay", partial(relay.findings, config.relay.connect)),
        ("recorder", lambda: [_disk(config)]),
        (None, partial(http.findings, config, stages)),
        ("display", partial(_desktop, config)),
        (None, lambda: [machine.check_clock(time.time(), machine.newest_file())]),
        (None, partial(clocks.findings, config, stages)),
    ]
    return [check for stage, check in checks if stage is None or stage in stages]


def _model_checks(config: Config) -> tuple[str, str, list[tuple[str | None, Check]]]:
    """Return the classifier's engine, the group of its packages, and the checks of both."""
    try:
        # This needs OpenCV and NumPy, and the doctor must also work if they do not load.
        from emostream.services.cli.doctor import models
    except ImportError:
        unknown = problem("model", "cannot be checked yet", "fix the packages first")
        return "litert", "classifier", [("classifier", lambda: [unknown])]
    model = models.probe_model(config.classifier)
    return (
        model.engine,
        model.group,
        [
            ("detector", lambda: [models.check_detector(config.detector)]),
            ("classifier", lambda: [models.check_model(model)]),
            (
                "classifier",
                lambda: [models.check_gpu(models.probe_gpu(), model.engine, model.device)],
            ),
        ],
    )


def _disk(config: Config) -> Finding:
    return machine.check_disk(machine.probe_disk(config.recorder), config.recorder)


def _desktop(config: Config) -> list[Finding]:
    return machine.check_desktop(machine.probe_desktop(config.display), config.display)


def _stages_here() -> list[str]:
    """Return the stages that honcho would start in this folder; empty without a Procfile."""
    try:
        return procfile.stages_of(Path(procfile.FILE).read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return []


def _stage(text: str) -> str:
    if text not in ALL_STAGES:
        raise argparse.ArgumentTypeError(f"no stage {text!r}: {', '.join(ALL_STAGES)}")
    return text


def _bad(finding: Finding) -> bool:
    return finding.status is not Status.OK


def _count(found: Sequence[Finding], status: Status) -> int:
    return sum(finding.status is status for finding in found)
