"""Faces by the small numbers that people call them by, for lines in a terminal."""

from emostream.shared.face_numbers import FaceNumbers
from emostream.shared.messages import Emotion, Event

# Far more than one looks at; those heard of longest ago go first.
MAX_STREAMS = 256
MAX_PRESENT = 100


class NumberedFaces:
    """Gives the faces of each stream small numbers, as the page does, from the first message on.

    A face keeps its number while it is there, and for five minutes after.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _StreamFaces] = {}

    def number(self, header: Event | Emotion, track: int) -> int:
        """Return the number of a face that the message is about."""
        faces = self._streams.pop(header.stream, None) or _StreamFaces()
        self._streams[header.stream] = faces
        if len(self._streams) > MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        return faces.number(header, track)


class _StreamFaces:
    """The faces of one stream; those that came and did not leave are `present`, oldest first."""

    def __init__(self) -> None:
        self._numbers = FaceNumbers()
        self._present: dict[int, None] = {}

    def number(self, header: Event | Emotion, track: int) -> int:
        # Of a face that stays and shows the same nothing is heard for long.
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
