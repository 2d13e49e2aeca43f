"""The current faces of each stream, for `emostream top`."""

import threading
import time
from collections.abc import Callable
from typing import Final

from emostream.services.cli.numbered_faces import MAX_STREAMS, NumberedFaces
from emostream.shared.duplicates import Duplicates
from emostream.shared.messages import Emotion, Message
from emostream.shared.plural import counted

# Older results are not current.
SHOWN_FOR_S: Final = 3.0
# As many as a line of a terminal holds.
MAX_FACES: Final = 4


class FacesNow:
    """Collects messages on `emotion/`, on any thread; `clock` is steady, in s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbered = NumberedFaces()
        self._duplicates = Duplicates()
        # By stream and part: arrival time, and the faces by number.
        self._parts: dict[tuple[str, int], tuple[float, dict[int, str]]] = {}

    def add(self, message: Message) -> None:
        """Take a message; anything other than a frame's results is ignored."""
        header = message.header
        if not isinstance(header, Emotion) or not header.is_data or header.degraded:
            return
        with self._lock:
            if self._duplicates.has(header):
                return
            faces = {
                self._numbered.number(header, face.track): f"{face.label} {face.confidence:.0%}"
                for face in header.faces
                if not face.left_out
            }
            self._parts.pop((header.stream, header.part), None)
            self._parts[header.stream, header.part] = self._clock(), faces
            if len(self._parts) > MAX_STREAMS:
                del self._parts[next(iter(self._parts))]

    def lines(self) -> dict[str, str]:
        """Return the current faces by stream, as "#1 fear 70%, #2 anger 40%"."""
        now = self._clock()
        streams: dict[str, dict[int, str]] = {}
        with self._lock:
            for (stream, _), (came, faces) in self._parts.items():
                if now - came <= SHOWN_FOR_S:
                    streams.setdefault(stream, {}).update(faces)
        return {stream: _line(faces) for stream, faces in sorted(streams.items())}


def _line(faces: dict[int, str]) -> str:
    if not faces:
        return "no face"
    shown = [f"#{number} {label}" for number, label in sorted(faces.items())]
    more = len(shown) - MAX_FACES
    rest = f", and {counted(more, 'more face')}" if more > 0 else ""
    return ", ".join(shown[:MAX_FACES]) + rest
