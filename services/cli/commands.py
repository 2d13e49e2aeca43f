"""The commands beside the stages: what each does, and the packages that it needs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command beside the stages: what it does, its package below services.cli, and its group.

    The package's module `command` is imported when it is called: no command needs another's
    packages. `group` is the optional group of pyproject.toml that brings what it imports; a stage's
    has the stage's name.
    """

    package: str
    purpose: str
    group: str = ""


COMMANDS = {
    "init": Command(
        "init", "writes a Procfile and a commented configuration, so that `honcho start` works"
    ),
    "supervise": Command("supervise", "starts a stage, and starts it again when it ends or hangs"),
    "config": Command(
        "configuration",
        "prints the configuration that is in effect, and with --explain where each value is from",
    ),
    "analyze": Command(
        "analysis",
        "turns videos and photos into tables, a report and annotated video; loses no frame",
        "analyze",
    ),
    "export": Command(
        "export",
        "makes tables of recorded sessions: CSV and Parquet, a folder a stream",
        "analyze",
    ),
    "replay": Command(
        "replay", "publishes a recorded session on the bus again, for demos and tests", "recorder"
    ),
    "subscribe": Command(
        "subscribe", "prints events as they come: a face enters, changes its emotion, leaves"
    ),
    "top": Command(
        "top", "shows rates, latency and losses of each stage, each second; Ctrl-C ends it"
    ),
    "doctor": Command(
        "doctor",
        "checks this machine before the first run, and says what to do about what is missing",
    ),
    "keys": Command(
        "keys", "makes this host's keys for encrypted traffic, and says which peers are let in"
    ),
    "bench": Command(
        "bench",
        "measures the pipeline on this machine: drops, latency, memory, time to ready",
        "bench",
    ),
    "train": Command(
        "training", "trains a classifier; `--resume` goes on where it was cut off", "train"
    ),
    "evaluate": Command(
        "evaluation", "judges a model: a table here, a page of HTML and JSON in files", "evaluate"
    ),
    "models": Command(
        "model_files", "lists, describes, verifies, exports and fetches models", "export"
    ),
}
