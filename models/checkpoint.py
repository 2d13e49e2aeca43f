"""Checkpoints that a training writes after each epoch, so that it can continue after a kill."""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import keras

from emostream.models import weights
from emostream.shared.errors import WeightsError

TRAINED, AVERAGE, HISTORY = "trained.keras", "average.keras", "history.csv"


@dataclass(frozen=True)
class EpochRow:
    """One epoch of the learning curves; held-out figures are for the averaged model."""

    epoch: int
    loss: float
    held_out_loss: float
    held_out_accuracy: float
    held_out_fer2013: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f}, held out {self.held_out_loss:.4f}, "
            f"accuracy {self.held_out_accuracy:.2%}, on FER2013's labels "
            f"{self.held_out_fer2013:.2%}, {self.seconds:.0f} s"
        )


@dataclass
class TrainingState:
    """The state of a training between epochs: model with optimizer, average, and curves."""

    model: Any
    average: Any
    rows: list[EpochRow]

    @property
    def epochs(self) -> int:
        """The number of completed epochs."""
        return len(self.rows)


def save(state: TrainingState, out: Path) -> Path:
    """Write a folder out/epoch-NNN, which replaces the previous one; return it.

    The folder gets its name only when it is complete.
    """
    new, final = out / "new", out / f"epoch-{state.epochs:03d}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    state.model.save(new / TRAINED)
    state.average.save(new / AVERAGE)
    write_history(state.rows, new / HISTORY)
    earlier = folders(out)
    new.rename(final)
    for folder in earlier:
        shutil.rmtree(folder)
    return final


def load_latest(out: Path) -> TrainingState | None:
    """Load the latest checkpoint, None if there is none."""
    if not (found := folders(out)):
        return None
    return TrainingState(
        keras.saving.load_model(found[-1] / TRAINED),
        keras.saving.load_model(found[-1] / AVERAGE),
        load_history(found[-1] / HISTORY),
    )


def load_net(path: Path) -> Any:
    """Load a saved network to continue or learn from; WeightsError if it is not a network."""
    try:
        return keras.saving.load_model(weights.find(path, "keras"), compile=False)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a saved Keras model") from error


def folders(out: Path) -> list[Path]:
    """Return the saved epochs, latest last."""
    return sorted(out.glob("epoch-[0-9]*"))


def write_history(rows: Sequence[EpochRow], path: Path) -> None:
    """Write the learning curves as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def load_history(path: Path) -> list[EpochRow]:
    """Read learning curves from CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            EpochRow(
                int(line["epoch"]),
                *(float(line[field.name]) for field in fields(EpochRow)[1:]),
            )
            for line in csv.DictReader(file)
        ]
