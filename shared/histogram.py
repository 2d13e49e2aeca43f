"""Quantiles of a Prometheus histogram."""

import math
from collections.abc import Mapping


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """Return the `q`-quantile of a histogram, interpolated within its bucket; None when empty.

    `buckets` maps each upper bound, including +inf, to the count at or below it. As in Prometheus'
    `histogram_quantile`, the first bucket starts at 0, and values in the last, unbounded bucket
    count as the highest finite bound.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    if not total > 0:
        return None
    rank = q * total
    below, start = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank and count > below:
            inside = (rank - below) / (count - below)
            return start if math.isinf(bound) else start + (bound - start) * inside
        if not math.isinf(bound):
            below, start = count, bound
    return start
