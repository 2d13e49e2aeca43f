"""Searches frames for faces: the current frame, and waiting frames ahead of time."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final, TypeAlias

import numpy as np

from emostream.services.detector.detection import Detection, FaceDetector, enlarged
from emostream.services.detector.planes import Picture, Planes
from emostream.services.detector.tiling import Region, Tiling, everything, merge, search_tiles
from emostream.services.detector.track_windows import Window, search_windows
from emostream.shared.messages import Frame, Message
from emostream.shared.pixels import image, square_pixels

Key: TypeAlias = tuple[str, str, int, int, bool]
# A decoded picture with square pixels, and its faces, best score first.
Result: TypeAlias = tuple[Picture, list[Detection]]

MAX_PENDING: Final = 32


class FrameSearch:
    """Searches full frames, the tiles due now, and regions.

    The result for the full frame and the tiles due depends only on the picture and its number in
    the stream. So each of `helpers` (detectors like the first) may search a frame ahead of time on
    its own thread, with the same result.
    """

    def __init__(
        self, detector: FaceDetector, tiling: Tiling, helpers: Sequence[FaceDetector] = ()
    ) -> None:
        self._detector = detector
        self._tiling = tiling
        self._helpers: SimpleQueue[FaceDetector] = SimpleQueue()
        for helper in helpers:
            self._helpers.put(helper)
        self._pool = ThreadPoolExecutor(len(helpers), "search") if helpers else None
        self._pending: OrderedDict[Key, Future[Result]] = OrderedDict()

    def submit(self, message: Message, index: int, *, whole: bool) -> None:
        """Search a frame ahead of time, in its tiles and, if `whole`, in full.

        `index` is its future number in the stream.
        """
        key = _key(message, index, whole)
        if self._pool and key not in self._pending:
            self._pending[key] = self._pool.submit(self._search_with_helper, message, index, whole)
            if len(self._pending) > MAX_PENDING:  # of frames that were never needed
                self._pending.popitem(last=False)

    def result(self, message: Message, index: int, *, whole: bool) -> Result:
        """Return the picture of frame number `index` of its stream, and its faces.

        It is searched in the tiles due and, if `whole`, in full. The picture has square pixels,
        which the faces' coordinates refer to. Raises MessageError if it cannot be decoded.
        """
        if other := self._pending.pop(_key(message, index, not whole), None):
            other.cancel()
        if pending := self._pending.pop(_key(message, index, whole), None):
            return pending.result()
        return self._search(self._detector, picture(message), index, whole)

    def whole(self, frame: Picture) -> list[Detection]:
        """Return the faces of a frame that is searched in full but without tiles."""
        return merge(self._look(self._detector, frame))

    def add(
        self, frame: Picture, found: list[Detection], regions: Sequence[Region]
    ) -> list[Detection]:
        """Return the found faces together with those in the regions."""
        if not regions:
            return found
        return merge([*found, *self._search_regions(frame, regions)])

    def add_windows(
        self, frame: Picture, found: list[Detection], windows: Sequence[Window]
    ) -> list[Detection]:
        """Return the found faces together with those at expected positions in windows."""
        if not windows:
            return found
        return merge([*found, *search_windows(self._detector, frame, windows)])

    def _search_with_helper(self, message: Message, index: int, whole: bool) -> Result:
        helper = self._helpers.get()
        try:
            return self._search(helper, picture(message), index, whole)
        finally:
            self._helpers.put(helper)

    def _search(self, detector: FaceDetector, frame: Picture, index: int, whole: bool) -> Result:
        found = self._look(detector, frame) if whole else []
        return frame, merge(
            [*found, *search_tiles(detector, frame, self._tiling.tiles(frame, index))]
        )

    def _search_regions(self, frame: Picture, regions: Sequence[Region]) -> list[Detection]:
        """Return the faces in regions, one of which may be the full frame."""
        parts = [region for region in regions if region != everything(frame)]
        found = self._look(self._detector, frame) if len(parts) < len(regions) else []
        return [*found, *search_tiles(self._detector, frame, parts)]

    def _look(self, detector: FaceDetector, frame: Picture) -> list[Detection]:
        """Return the faces from a single full-frame search."""
        if not isinstance(frame, Planes):
            return detector.detect(frame)
        small = frame.reduced(self._tiling.seen or max(frame.shape))
        ratio = (frame.shape[1] / small.shape[1], frame.shape[0] / small.shape[0])
        return [enlarged(one, *ratio) for one in detector.detect(small)]


def picture(message: Message) -> Picture:
    """Return a frame's picture with square pixels; MessageError if it cannot be decoded."""
    header = message.header
    assert isinstance(header, Frame)
    if header.encoding == "i420" and header.pixel_aspect == 1:
        assert message.payload is not None
        data = np.frombuffer(message.payload, np.uint8)
        return Planes(data.reshape(header.height * 3 // 2, header.width))
    return square_pixels(image(message), header.pixel_aspect)


def _key(message: Message, index: int, whole: bool) -> Key:
    header = message.header
    return header.stream, header.run, header.seq, index, whole
