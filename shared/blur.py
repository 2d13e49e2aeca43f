"""Faces made unrecognizable, also while it is not known where they are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from emostream.shared.control import StreamSwitch
from emostream.shared.join import Joined
from emostream.shared.messages import Box
from emostream.shared.pixels import Image, image

# Mean colours that are left of a face along its longer side, and of a whole picture along its own.
FACE_CELLS: Final = 5
PICTURE_CELLS: Final = 12
# By how much a box is enlarged: it ends at brow and chin, and a face that was not found again in
# this frame has moved since.
ROOM: Final = 1.2
ROOM_TO_MOVE: Final = 1.5
# How long a face is where it was last seen. Without results for longer, faces may be anywhere.
HOLD_NS: Final = 10**9


def blur_boxes(picture: Image, boxes: Iterable[Box]) -> Image:
    """Return a copy of the picture, uint8 (height, width, 3), with what is in the boxes blurred.

    Boxes are x, y, width, height in pixels and may reach out of the picture.
    """
    blurred = np.array(picture, np.uint8, order="C")
    height, width = blurred.shape[:2]
    for x, y, across, down in boxes:
        left, right = (math.floor(min(max(at, 0), width)) for at in (x, x + across + 1))
        top, bottom = (math.floor(min(max(at, 0), height)) for at in (y, y + down + 1))
        if left < right and top < bottom:
            region = blurred[top:bottom, left:right]
            region[:] = _coarse(region, max(across / FACE_CELLS, down / FACE_CELLS, 1.0))
    return blurred


def blur_all(picture: Image) -> Image:
    """Return the picture, uint8 (height, width, 3), with all of it blurred."""
    return _coarse(picture, max(picture.shape[:2]) / PICTURE_CELLS)


def _coarse(region: Image, cell: float) -> Image:
    """Return the region with no detail left that is finer than `cell` pixels."""
    height, width = region.shape[:2]
    cells = (math.ceil(width / cell), math.ceil(height / cell))
    means = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


@dataclass(slots=True)
class _LastSeen:
    """Where the faces of a run were last seen, by track: capture time in ns, and box.

    `complete` is the capture time of the last frame with complete results.
    """

    run: str
    complete: int | None = None
    boxes: dict[int, tuple[int, Box]] = field(default_factory=dict)


class FaceBlur:
    """Blurs the faces of the streams for which `switch` is on.

    A frame without its results is blurred where faces were in the last second, and one before
    which no results came for so long is blurred as a whole: it must not show a face because a
    stage stands still.
    """

    def __init__(self, switch: StreamSwitch) -> None:
        self.switch = switch
        self._streams: dict[str, _LastSeen] = {}

    def observe(self, joined: Joined) -> None:
        """Note where the faces are; call it with each frame of a stream, in order."""
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
        """Forget where the stream's faces were."""
        self._streams.pop(stream, None)
        self.switch.forget(stream)

    def picture(self, joined: Joined) -> Image:
        """Return the picture of the stream's newest frame, blurred if that is switched on.

        Raises MessageError for a JPEG that cannot be decoded.
        """
        picture = image(joined.frame)
        if not self.switch.is_on(joined.frame.header.stream):
            return picture
        areas = self.areas(joined)
        return blur_all(picture) if areas is None else blur_boxes(picture, areas)

    def areas(self, joined: Joined) -> list[Box] | None:
        """Return where the faces of the stream's newest frame may be; None: anywhere in it.

        That is what is blurred while it is switched on: x, y, width, height in pixels.
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
