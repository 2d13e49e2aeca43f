"""Finds streams that have been quiet for a while, so that their counts are sent again."""

import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

REPEAT_S: Final = 1.0

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class QuietTimer(Generic[K, V]):
    """Returns the newest value of each key without a new one for `after` s, then every second.

    Otherwise, the loss of the last frames of a burst would show only with the next frame.
    """

    def __init__(self, after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._after = after
        self._clock = clock
        self._due: dict[K, tuple[float, V]] = {}

    def set(self, key: K, value: V) -> None:
        """Store the key's new value."""
        self._due[key] = (self._clock() + self._after, value)

    def forget(self, is_gone: Callable[[K], bool]) -> None:
        """Forget these keys."""
        self._due = {key: value for key, value in self._due.items() if not is_gone(key)}

    def take(self) -> list[V]:
        """Return the values that are due."""
        now = self._clock()
        due = {key: value for key, (at, value) in self._due.items() if at <= now}
        self._due |= {key: (now + REPEAT_S, value) for key, value in due.items()}
        return list(due.values())
