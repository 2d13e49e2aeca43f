"""What `python -m benchmarks.soak` takes for a fault."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.soak import Sample, Soak, faults
from emostream.shared.frame_counts import FrameCounts

FRAMES = 1000
STEADY = [Sample(100.0, 20, 8)] * 20


def counts(path: str, **fields: Any) -> FrameCounts:
    good = FrameCounts(path, "film", FRAMES, FRAMES - 3, 0, {("recorder", "late"): 3})
    return replace(good, **fields)


GOOD = Soak("live", 9.0, {"detector": STEADY}, [counts("emotions"), counts("rows")], FRAMES - 3)


def rising(**step: float) -> list[Sample]:
    """Return samples of which a figure rises by so much each time."""
    ((name, by),) = step.items()
    first = STEADY[0]
    values = [getattr(first, name) + by * number for number in range(20)]
    return [replace(first, **{name: value}) for value in values]


def test_a_steady_run_with_an_exact_sum_is_well() -> None:
    assert faults(GOOD, FRAMES) == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (replace(GOOD, samples={"detector": rising(memory=1.0)}), "memory grows by 10.0 MB"),
        (replace(GOOD, samples={"detector": rising(files=1)}), "files grow by 10"),
        (replace(GOOD, samples={"detector": rising(threads=1)}), "threads grow by 10"),
        (replace(GOOD, samples={"detector": STEADY[:2]}), "too few samples"),
        (replace(GOOD, counts=[counts("rows")]), "emotions: no sum"),
        (
            replace(GOOD, counts=[counts("emotions", answered=900), counts("rows")]),
            "emotions: the sum is not exact",
        ),
        (
            replace(GOOD, counts=[counts("emotions"), counts("rows", in_flight=1, answered=996)]),
            "rows: the sum is not exact",
        ),
        (replace(GOOD, rows=5), "997 rows are counted, 5 in the database"),
        (replace(GOOD, delivery="lossless"), "997 rows of 1000 frames"),
    ],
)
def test_what_is_not_is_named(run: Soak, said: str) -> None:
    assert any(said in fault for fault in faults(run, FRAMES))
