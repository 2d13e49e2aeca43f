"""Who looks at the page: each viewer is sent the newest pictures that it can keep up with."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

# Pictures of one stream that may be on their way to a viewer. Enough for 25 a second over a
# network of 100 ms, and few enough that a slow viewer is never more than these behind.
ON_THE_WAY = 4


class Viewer:
    """A browser, with one slot a stream: a picture that waits there makes room for a newer one.

    Made in the event loop that serves it; `wants` and `offer` may be called on any thread.
    """

    def __init__(self, skipped: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._slots: dict[str, bytes] = {}
        self._on_the_way: Counter[str] = Counter()
        self._skipped = skipped
        self._offered: set[str] = set()

    def wants(self, stream: str) -> bool:
        """Whether a picture would be sent at once."""
        return self._on_the_way[stream] < ON_THE_WAY

    def lacks(self, stream: str) -> bool:
        """Whether no picture of the stream was ever offered."""
        return stream not in self._offered

    def offer(self, stream: str, packet: bytes) -> None:
        """Put a picture into the stream's slot."""
        self._offered.add(stream)
        self._loop.call_soon_threadsafe(self._put, stream, packet)

    def confirm(self, stream: str) -> None:
        """Note that the browser has drawn (or left out) a picture that was sent."""
        if self._on_the_way[stream] > 0:
            self._on_the_way[stream] -= 1
            self._news.set()

    async def next(self, timeout: float) -> list[bytes]:
        """Return the pictures that may be sent now, after `timeout` seconds none."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._news.wait()
        self._news.clear()
        ready = [stream for stream in self._slots if self.wants(stream)]
        self._on_the_way.update(ready)
        return [self._slots.pop(stream) for stream in ready]

    def _put(self, stream: str, packet: bytes) -> None:
        if stream in self._slots:
            self._skipped(stream)
        self._slots[stream] = packet
        self._news.set()


class Audience:
    """All viewers.

    `skipped` is told the stream of each picture that one of them was not sent, `count` how many
    look.
    """

    def __init__(self, skipped: Callable[[str], None], count: Callable[[int], None]) -> None:
        self._skipped = skipped
        self._count = count
        # Replaced as a whole, so that another thread can look through it at any time.
        self._viewers: tuple[Viewer, ...] = ()

    @contextlib.contextmanager
    def admit(self) -> Iterator[Viewer]:
        """Have one viewer more while the context lasts; call it in the event loop."""
        viewer = Viewer(self._skipped)
        self._replace((*self._viewers, viewer))
        try:
            yield viewer
        finally:
            self._replace(tuple(other for other in self._viewers if other is not viewer))

    @property
    def looks(self) -> bool:
        """Whether anybody is there."""
        return bool(self._viewers)

    def wants(self, stream: str) -> bool:
        """Whether a picture of the stream would be sent to anybody."""
        return any(viewer.wants(stream) for viewer in self._viewers)

    def lacks(self, stream: str) -> bool:
        """Whether anybody has no picture of the stream yet."""
        return any(viewer.lacks(stream) for viewer in self._viewers)

    def offer(self, stream: str, packet: bytes) -> None:
        """Offer a picture to everybody; a slow viewer holds nobody up."""
        for viewer in self._viewers:
            viewer.offer(stream, packet)

    def _replace(self, viewers: tuple[Viewer, ...]) -> None:
        self._viewers = viewers
        self._count(len(viewers))
