"""The learning curves of a model's training, as the CSV that a training writes holds them."""

import csv
from pathlib import Path
from typing import TypeAlias

from emostream.shared.errors import SourceError

LearningCurves: TypeAlias = dict[str, list[float]]


def load_curves(path: Path) -> LearningCurves:
    """Return the columns of a history, whatever they are; SourceError if it is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = list(rows[0]) if rows else []
        curves = {name: [float(row[name]) for row in rows] for name in columns}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise SourceError(f"{path} is not a training history: {error}") from error
    if "epoch" not in curves or len(curves) < 2:
        raise SourceError(f"{path} is not a training history: it has no column `epoch`")
    return curves


def find_curves(model: Path) -> Path | None:
    """Return the history that lies next to a model's file: NAME.csv or history.csv, or None."""
    candidates = (model.with_suffix(".csv"), model.with_name("history.csv"))
    return next((path for path in candidates if path.is_file()), None)
