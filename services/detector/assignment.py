"""Matches rows and columns: with the lowest total cost, or the lowest costs first."""

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the min(N, M) pairs (row, column) with the lowest total of `costs`, (N, M).

    This is the Hungarian method with shortest augmenting paths (Jonker and Volgenant 1987), O(N^2
    M). `scipy.optimize.linear_sum_assignment` does the same, but takes 46 MB of memory and 0.4 s to
    import, which is too much for tracking a handful of faces.
    """
    rows, columns = costs.shape
    if rows > columns:
        return sorted((row, column) for column, row in assign(costs.T))
    row_price = np.zeros(rows)
    column_price = np.zeros(columns)
    owner = np.full(columns, -1)
    for row in range(rows):
        _augment(costs, row, owner, row_price, column_price)
    return sorted((int(owner[column]), int(column)) for column in np.flatnonzero(owner >= 0))


def _augment(
    costs: NDArray[np.float64],
    start: int,
    owner: NDArray[np.intp],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Assign a column to the row `start`, along the cheapest augmenting path."""
    columns = costs.shape[1]
    distance = np.full(columns, np.inf)
    before = np.full(columns, -1)
    done = np.zeros(columns, bool)
    row, column, reached = start, -1, 0.0
    while True:
        through = reached + costs[row] - row_price[row] - column_price
        shorter = ~done & (through < distance)
        distance[shorter] = through[shorter]
        before[shorter] = column
        column = int(np.argmin(np.where(done, np.inf, distance)))
        reached = float(distance[column])
        if owner[column] < 0:
            break
        done[column] = True
        row = int(owner[column])
    row_price[start] += reached
    row_price[owner[done]] += reached - distance[done]
    column_price[done] -= reached - distance[done]
    while column >= 0:
        previous = int(before[column])
        owner[column] = start if previous < 0 else owner[previous]
        column = previous


def assign_nearest(costs: NDArray[np.float64], allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return pairs (row, column) that are `allowed`, (N, M), chosen in the order of their `costs`.

    The total may be higher than the lowest, but this takes milliseconds for a thousand rows, where
    `assign` takes seconds.
    """
    rows, columns = allowed.nonzero()
    order = np.argsort(costs[rows, columns], kind="stable")
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return sorted(pairs.items())
