"""The commands other than stages: their description, and their packages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command other than a stage: its description, its package below services.cli, its group.

    The package's module `command` is imported when called, so that no command needs another's
    packages. `group` is the optional group in pyproject.toml with its imports; a stage's group has
    the stage's name.
    """

    package: str
    purpose: str
    group: str = ""


COMMANDS = {
    "init": Command(
        "init", "writes a Procfile and a commented configuration, so that `honcho start` works"
    ),
    "supervise": Command("supervise", "starts a stage, and restarts it when it exits or hangs"),
    "config": Command(
        "configuration",
        "prints the configuration in effect; --explain adds where each value comes from",
    ),
    "analyze": Command(
        "analysis",
        "turns videos and photos into tables, a report and annotated video; skips no frame",
        "analyze",
    ),
    "batch": Command(
        "batch",
        "does the same for archives, on Ray on this machine or a cluster; writes only tables",
        "ray",
    ),
    "export": Command(
        "export",
        "writes tables of recorded sessions: CSV and Parquet, one folder per stream",
        "analyze",
    ),
    "replay": Command(
        "replay", "publishes a recorded session on the bus again, for demos and tests", "recorder"
    ),
    "subscribe": Command(
        "subscribe", "prints events as they arrive: a face enters, changes its emotion, leaves"
    ),
    "top": Command(
        "top", "shows rates, latency and losses of each stage every second; Ctrl-C stops it"
    ),
    "healthy": Command(
        "healthy", "asks a stage whether it is live or ready, for health checks: exit code 0 or 1"
    ),
    "doctor": Command(
        "doctor",
        "checks this machine before the first run, and tells you how to fix problems",
    ),
    "keys": Command(
        "keys", "manages this host's encryption keys and tokens, and which peers may connect"
    ),
    "bench": Command(
        "bench",
        "measures the pipeline on this machine: drops, latency, memory, time to ready",
        "bench",
    ),
    "train": Command(
        "training", "trains a classifier; `--resume` continues an interrupted training", "train"
    ),
    "evaluate": Command(
        "evaluation", "evaluates a model: prints a table, writes an HTML page and JSON", "evaluate"
    ),
    "models": Command(
        "model_files", "lists, describes, verifies, exports and fetches models", "export"
    ),
}
