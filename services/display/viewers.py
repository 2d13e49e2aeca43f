"""The connected viewers; each gets the newest pictures that it can keep up with."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

# Maximum number of pictures of one stream in transit to a viewer. Enough for 25 fps with a latency
# of 100 ms, and few enough that a slow viewer does not fall far behind.
MAX_IN_FLIGHT = 4


class ViewerConnection:
    """A connected browser with one slot per stream; a newer picture replaces a waiting one.

    `on_skip` is called with the stream of each replaced picture. Create it in its event loop;
    `has_capacity` and `offer` may be called on any thread.
    """

    def __init__(self, on_skip: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._slots: dict[str, bytes] = {}
        self._in_flight: Counter[str] = Counter()
        self._on_skip = on_skip
        self._offered: set[str] = set()

    def has_capacity(self, stream: str) -> bool:
        """Whether a picture of the stream would be sent immediately."""
        return self._in_flight[stream] < MAX_IN_FLIGHT

    def lacks_picture(self, stream: str) -> bool:
        """Whether no picture of the stream has been offered yet."""
        return stream not in self._offered

    def offer(self, stream: str, packet: bytes) -> None:
        """Put a picture into the stream's slot."""
        self._offered.add(stream)
        self._loop.call_soon_threadsafe(self._put, stream, packet)

    def forget(self, stream: str) -> None:
        """Forget the stream and its waiting picture."""
        self._offered.discard(stream)
        self._loop.call_soon_threadsafe(self._drop, stream)

    def confirm(self, stream: str) -> None:
        """Record that the browser has drawn or skipped a picture that was sent."""
        if self._in_flight[stream] > 0:
            self._in_flight[stream] -= 1
            self._changed.set()

    async def next_packets(self, timeout: float) -> list[bytes]:
        """Return the pictures to send now, or none after `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        self._changed.clear()
        ready = [stream for stream in self._slots if self.has_capacity(stream)]
        self._in_flight.update(ready)
        return [self._slots.pop(stream) for stream in ready]

    def _drop(self, stream: str) -> None:
        self._slots.pop(stream, None)
        self._in_flight.pop(stream, None)

    def _put(self, stream: str, packet: bytes) -> None:
        if stream in self._slots:
            self._on_skip(stream)
        self._slots[stream] = packet
        self._changed.set()


class ViewerPool:
    """All connected viewers.

    `on_skip` is called with the stream of each picture that was not sent to a viewer, `on_count`
    with the number of viewers when it changes.
    """

    def __init__(self, on_skip: Callable[[str], None], on_count: Callable[[int], None]) -> None:
        self._on_skip = on_skip
        self._on_count = on_count
        # Replaced as a whole, so that other threads can iterate over it at any time.
        self._connections: tuple[ViewerConnection, ...] = ()

    @contextlib.contextmanager
    def connect(self) -> Iterator[ViewerConnection]:
        """Add a viewer for the duration of the context. Call this in the event loop."""
        connection = ViewerConnection(self._on_skip)
        self._replace((*self._connections, connection))
        try:
            yield connection
        finally:
            self._replace(tuple(other for other in self._connections if other is not connection))

    @property
    def has_viewers(self) -> bool:
        """Whether any viewer is connected."""
        return bool(self._connections)

    def has_capacity(self, stream: str) -> bool:
        """Whether a picture of the stream would be sent to any viewer."""
        return any(connection.has_capacity(stream) for connection in self._connections)

    def lacks_picture(self, stream: str) -> bool:
        """Whether any viewer has no picture of the stream yet."""
        return any(connection.lacks_picture(stream) for connection in self._connections)

    def offer(self, stream: str, packet: bytes) -> None:
        """Offer a picture to all viewers; a slow viewer does not delay others."""
        for connection in self._connections:
            connection.offer(stream, packet)

    def forget(self, stream: str) -> None:
        """Forget an ended stream."""
        for connection in self._connections:
            connection.forget(stream)

    def _replace(self, connections: tuple[ViewerConnection, ...]) -> None:
        self._connections = connections
        self._on_count(len(connections))
