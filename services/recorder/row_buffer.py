"""Results that wait in memory until the database accepts them."""

from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from emostream.shared.messages import Emotion, Event

Result: TypeAlias = Emotion | Event

# About 1.3 kB each with eight labels, so at most 130 MB, regardless of streams and faces.
MOST_ROWS: Final = 100_000


def rows_by_table(result: Result) -> dict[str, int]:
    """Return the result's number of rows in `frames`, `observations` or `events`."""
    if isinstance(result, Event):
        return {"events": 1}
    return {"frames": 1, "observations": len(result.faces)} if result.is_data else {}


def row_count(result: Result) -> int:
    """Return the result's number of rows."""
    return sum(rows_by_table(result).values())


class RowBuffer:
    """Results in order of arrival, from the last `seconds`, with at most `most_rows` rows.

    Times are s on a steady clock. `rows` is the results' total number of rows.
    """

    def __init__(self, seconds: float, most_rows: int = MOST_ROWS) -> None:
        self._seconds = seconds
        self._most_rows = most_rows
        self._waiting: deque[tuple[float, Result]] = deque()
        self.rows = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, result: Result, now: float) -> list[Result]:
        """Add a result; return the oldest ones that were evicted for too many rows."""
        self._waiting.append((now, result))
        self.rows += row_count(result)
        dropped = []
        while self.rows > self._most_rows:
            dropped.append(self._pop())
        return dropped

    def oldest(self, rows: int) -> Iterator[Result]:
        """Yield the oldest results with up to `rows` rows in total, but at least one."""
        total = 0
        for _, result in self._waiting:
            total += row_count(result)
            if total > rows and total > row_count(result):
                return
            yield result

    def remove(self, count: int) -> None:
        """Remove the oldest `count` results, which were written."""
        for _ in range(count):
            self._pop()

    def expire(self, now: float) -> list[Result]:
        """Remove and return the results that waited too long."""
        dropped = []
        while self._waiting and now - self._waiting[0][0] > self._seconds:
            dropped.append(self._pop())
        return dropped

    def clear(self) -> list[Result]:
        """Remove and return all results."""
        return [self._pop() for _ in range(len(self._waiting))]

    def _pop(self) -> Result:
        _, result = self._waiting.popleft()
        self.rows -= row_count(result)
        return result
