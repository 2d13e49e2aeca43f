"""All sources of a capture process, combined."""

import functools
import threading
from collections.abc import Container, Sequence
from typing import Self

from emostream.services.capture.clock import Clock, SystemClock
from emostream.services.capture.picture import Picture
from emostream.services.capture.source_reader import SourceReader, open_source
from emostream.services.capture.source_status import SourceStatus
from emostream.services.capture.source_thread import SourceThread
from emostream.shared import config

JOIN_TIMEOUT = 1.0


class SourceSet:
    """All sources of a capture process; a context manager that starts and stops their threads.

    With `planar`, pictures of files may be I420, see `Picture`.
    """

    def __init__(
        self,
        settings: Sequence[config.Source],
        clock: Clock | None = None,
        reader: SourceReader | None = None,
        *,
        planar: bool = False,
    ) -> None:
        reader = reader or functools.partial(open_source, planar=planar)
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._sources = [
            SourceThread(each, self._changed, self._clock, reader) for each in settings
        ]
        self._turn = 0

    def __enter__(self) -> Self:
        for source in self._sources:
            source.start()
        return self

    def __exit__(self, *_: object) -> None:
        # In this order, so that no thread mistakes the stop for the end of its source.
        for source in self._sources:
            source.stop()
        self._clock.stop()
        deadline = self._clock.now() + JOIN_TIMEOUT
        for source in self._sources:
            source.join(max(0.0, deadline - self._clock.now()))

    @property
    def finished(self) -> bool:
        """Whether every source has ended and all its pictures were taken."""
        return all(source.ended and not source.has_picture for source in self._sources)

    def take(self, timeout: float, blocked: Container[str] = ()) -> tuple[str, Picture] | None:
        """Return the next picture with its stream's name, in turn; None after `timeout` seconds.

        Streams in `blocked` are skipped.
        """
        for source in self._sources:
            source.supervise()
        with self._changed:
            self._changed.wait_for(lambda: self._is_ready(blocked), timeout)
            for _ in self._sources:
                source = self._sources[self._turn]
                self._turn = (self._turn + 1) % len(self._sources)
                picture = None if source.name in blocked else source.pop()
                if picture is not None:
                    return source.name, picture
        return None

    def statuses(self) -> dict[str, SourceStatus]:
        """Return the status of each source by stream name."""
        return {source.name: source.status() for source in self._sources}

    def _is_ready(self, blocked: Container[str]) -> bool:
        ready = (source.has_picture for source in self._sources if source.name not in blocked)
        return any(ready) or self.finished
