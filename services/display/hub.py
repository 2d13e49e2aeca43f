"""The hand-over from the stage's thread to the viewers: the newest frame each, never a queue."""

import asyncio
from collections.abc import AsyncIterator


class Viewer:
    """One open page: the newest frame of each stream and the newest state that wait for it.

    Frames that a slow viewer cannot take in time are replaced by newer ones. A hidden page is sent
    nothing.
    """

    def __init__(self) -> None:
        self.visible = True
        self._frames: dict[str, bytes] = {}
        self._state: str | None = None
        self._wake = asyncio.Event()

    def put(self, stream: str | None, content: str | bytes) -> None:
        """Let a stream's frame, or the state, wait in place of the one before."""
        if not self.visible:
            return
        if isinstance(content, bytes):
            self._frames[stream or ""] = content
        else:
            self._state = content
        self._wake.set()

    async def waiting(self) -> AsyncIterator[str | bytes]:
        """Yield what is to be sent, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._state is not None:
                state, self._state = self._state, None
                yield state
            while self._frames:
                yield self._frames.pop(next(iter(self._frames)))


class Hub:
    """All viewers. The stage's thread publishes; viewers join and leave on the server's loop."""

    def __init__(self) -> None:
        self._viewers: set[Viewer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state = ""

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return len(self._viewers)

    @property
    def watched(self) -> bool:
        """Whether anybody looks; if not, nothing need be encoded."""
        return any(viewer.visible for viewer in tuple(self._viewers))

    def join(self) -> Viewer:
        """Return a new viewer, which gets the present state at once."""
        self._loop = asyncio.get_running_loop()
        viewer = Viewer()
        self._viewers.add(viewer)
        if self._state:
            viewer.put(None, self._state)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget the viewer."""
        self._viewers.discard(viewer)

    def publish_frame(self, stream: str, packet: bytes) -> None:
        """Give every viewer the frame."""
        self._publish(stream, packet)

    def publish_state(self, state: str) -> None:
        """Give every viewer the state, also those that join later."""
        self._state = state
        self._publish(None, state)

    def _publish(self, stream: str | None, content: str | bytes) -> None:
        # Between the check and the call the server may have ended, with nobody left to tell.
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, stream, content)

    def _deliver(self, stream: str | None, content: str | bytes) -> None:
        for viewer in self._viewers:
            viewer.put(stream, content)
