"""How many actors a pool should have, by the age of what waits."""

import time
from collections.abc import Callable
from typing import Final

# Over which the age of what waits is averaged: one late frame is no lack of actors.
WINDOW_S: Final = 1.0


class Scaling:
    """Decides on the number of actors, from `least` to `most`.

    One more where what waits is `up_age` s old in the mean of a second, unless one is starting
    already; one less where for `down_after` s all batches together left one of them without work.
    Times are s on the steady `clock`.
    """

    def __init__(
        self,
        least: int,
        most: int,
        up_age: float,
        down_after: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._least, self._most = least, most
        self._up_age, self._down_after = up_age, down_after
        self._clock = clock
        self._aged = 0.0  # the ages in this window, each times how long it was so
        self._window = self._looked = self._needed = clock()

    def wanted(self, actors: int, starting: int, age: float, busiest: int) -> int:
        """Return how many there should be of `actors`, of which some are `starting`.

        `age` is for how long the oldest message has waited, and `busiest` how many batches there
        were at a time since the last call.
        """
        now = self._clock()
        self._aged += age * (now - self._looked)
        self._looked = now
        if busiest >= actors or age >= self._up_age:
            self._needed = now
        if now - self._window >= WINDOW_S:
            mean = self._aged / (now - self._window)
            self._aged, self._window = 0.0, now
            if mean >= self._up_age and not starting:
                return self._within(actors + 1)
        if now - self._needed >= self._down_after:
            self._needed = now
            return self._within(actors - 1)
        return self._within(actors)

    def _within(self, actors: int) -> int:
        return min(max(actors, self._least), self._most)
