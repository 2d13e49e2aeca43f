"""All sources of a capture process, read from one place."""

import threading
from collections.abc import Container, Sequence
from typing import Self

from emostream.services.capture.pace import Clock, RealClock
from emostream.services.capture.picture import Picture
from emostream.services.capture.readers import read
from emostream.services.capture.source_thread import Reader, Source, Status
from emostream.shared import config

JOIN_WITHIN = 1.0


class Sources:
    """All sources of a capture process; a context manager that starts and stops their threads."""

    def __init__(
        self,
        settings: Sequence[config.Source],
        clock: Clock | None = None,
        reader: Reader = read,
    ) -> None:
        self._clock = clock or RealClock()
        self._arrived = threading.Condition()
        self._sources = [Source(each, self._arrived, self._clock, reader) for each in settings]
        self._turn = 0

    def __enter__(self) -> Self:
        for source in self._sources:
            source.start()
        return self

    def __exit__(self, *_: object) -> None:
        # In this order, so that no thread takes the stop for the end of its source.
        for source in self._sources:
            source.stop()
        self._clock.stop()
        deadline = self._clock.now() + JOIN_WITHIN
        for source in self._sources:
            source.join(max(0.0, deadline - self._clock.now()))

    @property
    def finished(self) -> bool:
        """Whether every source has ended and all its pictures were taken."""
        return all(source.ended and not source.waits for source in self._sources)

    def take(self, timeout: float, held: Container[str] = ()) -> tuple[str, Picture] | None:
        """Return the next picture with its stream's name, in turn; None after `timeout` seconds.

        Streams in `held` have to wait.
        """
        for source in self._sources:
            source.watch()
        with self._arrived:
            self._arrived.wait_for(lambda: self._something(held), timeout)
            for _ in self._sources:
                source = self._sources[self._turn]
                self._turn = (self._turn + 1) % len(self._sources)
                picture = None if source.name in held else source.pop()
                if picture is not None:
                    return source.name, picture
        return None

    def statuses(self) -> dict[str, Status]:
        """Return where each source stands, by its stream's name."""
        return {source.name: source.status() for source in self._sources}

    def _something(self, held: Container[str]) -> bool:
        waiting = (source.waits for source in self._sources if source.name not in held)
        return any(waiting) or self.finished
