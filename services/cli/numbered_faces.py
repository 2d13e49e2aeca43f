"""Small numbers for faces, for lines in a terminal."""

from emostream.shared.face_numbers import FaceNumbers
from emostream.shared.messages import Emotion, Event

# Far more than people look at; the least recent are forgotten first.
MAX_STREAMS = 256
MAX_PRESENT = 100


class NumberedFaces:
    """Assigns small numbers to the faces of each stream, like the page, from the first message on.

    A face keeps its number while it is present, and for five minutes afterward.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _StreamFaces] = {}

    def number(self, header: Event | Emotion, track: int) -> int:
        """Return the number of a face in the message."""
        faces = self._streams.pop(header.stream, None) or _StreamFaces()
        self._streams[header.stream] = faces
        if len(self._streams) > MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        return faces.number(header, track)


class _StreamFaces:
    """The faces of one stream; `present` are those that entered and did not leave, oldest first."""

    def __init__(self) -> None:
        self._numbers = FaceNumbers()
        self._present: dict[int, None] = {}

    def number(self, header: Event | Emotion, track: int) -> int:
        # A face that stays and does not change sends no events for a long time.
        for one in self._present:
            self._numbers.see(one, header.t)
        self._numbers.see(track, header.t)
        if isinstance(header, Event) and header.kind == "leave":
            self._present.pop(track, None)
        elif isinstance(header, Event):
            self._present[track] = None
            if len(self._present) > MAX_PRESENT:
                del self._present[next(iter(self._present))]
        return self._numbers.of(track)
