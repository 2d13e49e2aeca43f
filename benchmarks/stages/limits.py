"""The machine's limits, to compare the steps with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emostream.shared.pixels import Image

SIDE = 1024


@dataclass(frozen=True)
class Limit:
    """A limit: `run` does `amount` of `unit` once, ignoring its argument."""

    name: str
    run: Callable[[int], object]
    amount: float
    unit: str


def limits(frame: Image) -> list[Limit]:
    """Return one core's limits for copying and multiplying; `frame` is a picture of the clip."""
    copy = np.empty_like(frame)
    left, right = (np.random.default_rng(seed).random((SIDE, SIDE), np.float32) for seed in (0, 1))
    product = np.empty_like(left)
    return [
        Limit("copy of a frame", lambda _: np.copyto(copy, frame), 2 * frame.nbytes / 1e9, "GB"),
        Limit(
            "product of matrices, float32",
            lambda _: np.matmul(left, right, out=product),
            2 * SIDE**3 / 1e9,
            "GFLOP",
        ),
    ]
