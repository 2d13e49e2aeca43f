"""`run.json`: the input, settings and outcome of an analysis, enough to repeat it."""

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias

import msgspec

from emostream.models import weights
from emostream.models.engines import SUFFIXES
from emostream.models.prior import ESTIMATED
from emostream.models.spec import card_of
from emostream.shared.atomic_file import atomic_file
from emostream.shared.config import Config
from emostream.shared.errors import RecordingError
from emostream.shared.whole_file import read_whole

NAME: Final = "run.json"
PACKAGES: Final = (
    *("av", "ai-edge-litert", "msgpack", "numpy", "opencv-python"),
    *("pillow", "pillow-heif", "pyzmq"),
)

# The layout of the stages' states, from which an interrupted analysis continues. Increase it with
# each change of the result of `state` in the detector's or classifier's streams.
STATE_FORMAT: Final = 2

# complete: every frame; broken: the file fails, its readable part was analyzed; partial: a stage
# could not continue; interrupted: by the user; running: still running, or the machine went down.
Status: TypeAlias = Literal["running", "complete", "broken", "partial", "interrupted"]


@dataclass
class StageUse:
    """A stage's seconds of work, CPU time, and number of restarts."""

    frames: int = 0
    busy_seconds: float = 0.0
    cpu_seconds: float = 0.0
    restarts: int = 0


class _InputFacts(msgspec.Struct, frozen=True):
    """The facts about the input that are read; there may be more."""

    path: str = ""
    sha256: str = ""


@dataclass
class RunFile:
    """What `run.json` holds. `frames_skipped` are pictures that could not be decoded.

    `video` says whether annotated video was requested.
    `state_format` is the layout of the states to resume from; 0 for a file that does not say.
    `prior` has the facts about the reweighting, {} for a model without shares; `left_out` counts
    the observations that were left out, by reason.
    """

    run: str
    stream: str
    input: dict[str, Any]
    model: dict[str, str]
    config: dict[str, Any]
    sample: float = 0.0
    video: bool = True
    prior: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    state_format: int = 0
    status: Status = "running"
    message: str = ""
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    frames_read: int = 0
    frames_analysed: int = 0
    frames_skipped: int = 0
    frames_degraded: int = 0
    observations: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    tracks: int = 0
    events: int = 0
    stages: dict[str, StageUse] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    @property
    def estimates_prior(self) -> bool:
        """Whether the prior is estimated from the recording, which needs a second pass."""
        return self.prior.get("name") == ESTIMATED

    def write(self, folder: Path) -> None:
        """Write it to the folder atomically; RecordingError if that fails."""
        write_json(folder / NAME, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from the folder; RecordingError if it is missing or from another program."""
        try:
            record = msgspec.json.decode(read_whole(folder / NAME), type=cls)
            msgspec.convert(record.input, _InputFacts)
        except (OSError, ValueError, RecursionError) as error:
            raise RecordingError(f"{folder / NAME}: not a folder of an analysis") from error
        return record


def write_json(path: Path, tree: dict[str, Any]) -> None:
    """Write the tree as JSON atomically; RecordingError if that fails."""
    try:
        with atomic_file(path) as part:
            part.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise RecordingError(
            f"cannot write {path}: {error.strerror}. Free some space or allow writing there"
        ) from error


def model_facts(config: Config) -> dict[str, str]:
    """Return the name, engine and sha256 of the model; WeightsError if it is missing."""
    settings = config.classifier
    path = weights.find(settings.model, settings.model_engine, settings.device)
    return {
        "name": path.stem,
        "engine": SUFFIXES[path.suffix],
        "file": path.name,
        "sha256": weights.sha256(path),
    }


def model_card(config: Config) -> Path | None:
    """Return the model card, if there is one; WeightsError for a missing model."""
    settings = config.classifier
    return card_of(weights.find(settings.model, settings.model_engine, settings.device))


def versions() -> dict[str, str]:
    """Return the versions of emostream, Python, and the packages that affect results."""
    found = {"emostream": importlib.metadata.version("emostream")}
    found["python"] = platform.python_version()
    found["platform"] = platform.platform()
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}
