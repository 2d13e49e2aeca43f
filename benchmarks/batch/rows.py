"""Compares the rows of a batch with those of `analyze`."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from pyarrow import parquet

from emostream.services.detector.detection import pairwise_iou

BOX: Final = ("x", "y", "width", "height")
# Boxes in pixels, shares and degrees that are equal except for rounding in another order.
ROUNDING: Final = 1e-6
SAME_FACE: Final = 0.5

Row = Mapping[str, Any]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table of observations."""
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def differences(ours: Sequence[Row], theirs: Sequence[Row]) -> Counter[str]:
    """Count the differing rows, by the first reason that applies.

    `missing` and `more` are faces in only one result, `box` are faces at another position, `track`
    faces with another number, `probabilities` faces with other model output, `smoothed` those that
    differ only in values derived from earlier frames, and `label` those with another displayed
    label. Equal rows do not count.
    """
    found: Counter[str] = Counter()
    frames = [_by_frame(rows) for rows in (ours, theirs)]
    for seq in sorted({*frames[0], *frames[1]}):
        found.update(_of_frame(frames[0].get(seq, []), frames[1].get(seq, [])))
    return found


def _by_frame(rows: Sequence[Row]) -> dict[int, list[Row]]:
    frames: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        frames[row["seq"]].append(row)
    return frames


def _of_frame(ours: list[Row], theirs: list[Row]) -> list[str]:
    mine = [row for row in ours if row["track"] is not None]
    others = [row for row in theirs if row["track"] is not None]
    if not mine and not others:
        return [] if len(ours) == len(theirs) else ["missing" if theirs else "more"]
    pairs = _pairs(mine, others)
    reasons = [_reason(mine[row], others[column]) for row, column in pairs]
    reasons += ["more"] * (len(mine) - len(pairs)) + ["missing"] * (len(others) - len(pairs))
    return [reason for reason in reasons if reason]


def _pairs(mine: list[Row], others: list[Row]) -> list[tuple[int, int]]:
    """Match faces, largest overlap first."""
    overlaps = pairwise_iou(_boxes(mine), _boxes(others))
    pairs: list[tuple[int, int]] = []
    for place in np.argsort(-overlaps, axis=None, kind="stable").tolist():
        row, column = divmod(place, len(others))
        is_free = all(row != one and column != other for one, other in pairs)
        if is_free and overlaps[row, column] >= SAME_FACE:
            pairs.append((row, column))
    return pairs


def _boxes(rows: list[Row]) -> np.ndarray:
    return np.array([[row[name] for name in BOX] for row in rows], np.float64).reshape(-1, 4)


def _reason(ours: Row, theirs: Row) -> str:
    """Return why two rows of a face differ, "" if they do not."""
    kinds = {
        "box": (*BOX, "detection_score"),
        "track": ("track",),
        "probabilities": tuple(name for name in theirs if name.startswith("p_")),
        "smoothed": tuple(name for name in theirs if name.startswith("smoothed_")),
        "label": ("label", "left_out"),
        "other": tuple(theirs),
    }
    for reason, names in kinds.items():
        if any(not _equal(ours[name], theirs[name]) for name in names):
            return reason
    return ""


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) <= ROUNDING * max(1.0, abs(theirs))
    return bool(ours == theirs)
