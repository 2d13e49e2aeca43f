"""Whether the display needs every frame."""

import time
from collections.abc import Callable
from typing import Final

LOOK_EVERY_S: Final = 1.0
# The pipeline counts as overloaded from when less than the first share of the captured frames is
# analyzed, until the second share is.
OVERLOADED_BELOW: Final = 2 / 3
KEEPS_UP_ABOVE: Final = 0.9


class FrameNeed:
    """Decides when few frames are enough: without viewers, while the pipeline is overloaded.

    `is_watched` returns whether there are viewers, `analyzed` the share of the captured frames that
    is analyzed. Times are s on the steady `clock`.
    """

    def __init__(
        self,
        is_watched: Callable[[], bool],
        analyzed: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_watched = is_watched
        self._analyzed = analyzed
        self._clock = clock
        self._looked = clock()
        self._is_overloaded = False

    def few_are_enough(self) -> bool:
        """Whether few frames are enough now."""
        now = self._clock()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            limit = KEEPS_UP_ABOVE if self._is_overloaded else OVERLOADED_BELOW
            self._is_overloaded = self._analyzed() < limit
        return self._is_overloaded and not self._is_watched()
