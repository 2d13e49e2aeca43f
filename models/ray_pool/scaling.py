"""Scales a pool of actors by the age of the faces that wait."""

import time
from collections.abc import Callable
from typing import Final

# The age is averaged over this time: a single late frame does not need another actor.
WINDOW_S: Final = 1.0


class Scaling:
    """Chooses the number of actors, from `least` to `most`.

    It adds one if the mean age over a second is at least `up_age` s and no actor is starting. It
    removes one if at least one actor was idle for `down_after` s. Times are s on the steady
    `clock`.
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
        self._aged = 0.0  # the sum of age times duration in this window
        self._window = self._looked = self._needed = clock()

    def wanted(self, actors: int, starting: int, age: float, busiest: int) -> int:
        """Return the wanted number of actors; there are `actors`, of which some are `starting`.

        `age` is how long the oldest message has waited (s), `busiest` the largest number of
        simultaneous batches since the last call.
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
