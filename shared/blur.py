"""Decides what to blur, even while it is not known where the faces are."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined
from emostream.shared.messages import Box

if TYPE_CHECKING:
    from emostream.shared.pixels import Image

# How much a box is enlarged: it spans only brow to chin, and a face that was not found again in
# this frame has moved.
ROOM: Final = 1.2
ROOM_TO_MOVE: Final = 1.5
# How long a face is assumed to be where it was last seen. After that, faces may be anywhere.
HOLD_NS: Final = 10**9


@dataclass(slots=True)
class _LastSeen:
    """Where the faces of a run were last seen: capture time in ns and box, by track.

    `complete` is the capture time of the last frame with complete results.
    """

    run: str
    complete: int | None = None
    boxes: dict[int, tuple[int, Box]] = field(default_factory=dict)


class FaceBlur:
    """Blurs the faces of the streams for which `switch` is on.

    A frame without results is blurred wherever faces were within the last second. If there were no
    results for that long, the whole frame is blurred, so that a stalled stage never exposes a face.
    """

    def __init__(self, switch: StreamSwitch) -> None:
        self.switch = switch
        self._streams: dict[str, _LastSeen] = {}

    def observe(self, joined: Joined) -> None:
        """Record where the faces are. Call it with each frame of a stream, in order."""
        header = joined.frame.header
        seen = self._streams.get(header.stream)
        if seen is None or seen.run != header.run:
            self.switch.register(header.stream)
            seen = self._streams[header.stream] = _LastSeen(header.run)
        for face in joined.faces:
            seen.boxes[face.track] = (header.t, face.box)
        if joined.whole and not any(result.degraded for result in joined.results):
            seen.complete = header.t
            seen.boxes = {
                track: (t, box) for track, (t, box) in seen.boxes.items() if header.t - t <= HOLD_NS
            }

    def forget(self, stream: str) -> None:
        """Forget the faces of the stream."""
        self._streams.pop(stream, None)
        self.switch.forget(stream)

    def picture(self, joined: Joined) -> "Image":
        """Return the picture of the stream's newest frame, blurred if blur is on.

        Raises MessageError for a JPEG that cannot be decoded.
        """
        # Imported here: OpenCV is not needed until somebody looks at pictures.
        from emostream.shared.blurring import blur_all, blur_boxes
        from emostream.shared.pixels import image

        picture = image(joined.frame)
        if not self.switch.is_on(joined.frame.header.stream):
            return picture
        areas = self.areas(joined)
        return blur_all(picture) if areas is None else blur_boxes(picture, areas)

    def areas(self, joined: Joined) -> list[Box] | None:
        """Return the boxes in which faces of the newest frame may be; None if they may be anywhere.

        These areas are blurred while blur is on: x, y, width, height in pixels.
        """
        header = joined.frame.header
        seen = self._streams.get(header.stream)
        if seen is None or seen.complete is None or not 0 <= header.t - seen.complete <= HOLD_NS:
            return None
        boxes = [
            _enlarged(box, ROOM if t == header.t else ROOM_TO_MOVE)
            for t, box in seen.boxes.values()
        ]
        finite = all(math.isfinite(number) for box in boxes for number in box)
        return boxes if finite else None


def _enlarged(box: Box, factor: float) -> Box:
    x, y, across, down = box
    wider, taller = across * factor, down * factor
    return x - (wider - across) / 2, y - (taller - down) / 2, wider, taller
