"""Reads the learning curves of a model's training from the CSV that the training wrote."""

import csv
from pathlib import Path
from typing import TypeAlias

from emostream.shared.errors import SourceError

LearningCurves: TypeAlias = dict[str, list[float]]


def load_curves(path: Path) -> LearningCurves:
    """Return all columns of a training history; SourceError if the file is not one."""
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
    """Return the history next to a model's file, NAME.csv or history.csv, or None."""
    candidates = (model.with_suffix(".csv"), model.with_name("history.csv"))
    return next((path for path in candidates if path.is_file()), None)
