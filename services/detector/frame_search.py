"""The search of frames for faces: of the frame to answer, and ahead of it of those that wait."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final, TypeAlias

from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.tiling import Region, Tiling, merge, search
from emostream.shared.messages import Frame, Message
from emostream.shared.pixels import Image, image, square_pixels

Key: TypeAlias = tuple[str, str, int, int]
# A picture as decoded, with square pixels, and its faces, the best score first.
Result: TypeAlias = tuple[Image, list[Detection]]

MAX_PENDING: Final = 32


class FrameSearch:
    """Searches whole frames, the tiles whose turn it is, and where a face is missing.

    What is found in the whole frame and in tiles depends only on the picture and on its number in
    the stream. So each of `helpers`, detectors like the first, may search a frame ahead on a thread
    of its own, with the same result.
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

    def submit(self, message: Message, index: int) -> None:
        """Search a frame ahead; `index` is the number that it will have in its stream."""
        key = _key(message, index)
        if self._pool and key not in self._pending:
            self._pending[key] = self._pool.submit(self._search_with_helper, message, index)
            if len(self._pending) > MAX_PENDING:  # of frames whose turn never came
                self._pending.popitem(last=False)

    def result(self, message: Message, index: int) -> Result:
        """Return the picture of frame number `index` of its stream, and its faces.

        The picture has square pixels, and the faces are in pixels of that. Raises MessageError for
        one that cannot be decoded.
        """
        pending = self._pending.pop(_key(message, index), None)
        return pending.result() if pending else self._search(self._detector, message, index)

    def result_of_whole(self, message: Message) -> Result:
        """Return the same of a frame that is searched as a whole alone, without its tiles."""
        frame = _picture(message)
        return frame, merge(self._detector.detect(frame))

    def add(
        self, frame: Image, found: list[Detection], regions: Sequence[Region]
    ) -> list[Detection]:
        """Return what was found, with the faces that the regions show."""
        if not regions:
            return found
        return merge([*found, *search(self._detector, frame, regions)])

    def _search_with_helper(self, message: Message, index: int) -> Result:
        helper = self._helpers.get()
        try:
            return self._search(helper, message, index)
        finally:
            self._helpers.put(helper)

    def _search(self, detector: FaceDetector, message: Message, index: int) -> Result:
        frame = _picture(message)
        tiles = self._tiling.tiles(frame, index)
        return frame, merge([*detector.detect(frame), *search(detector, frame, tiles)])


def _picture(message: Message) -> Image:
    header = message.header
    assert isinstance(header, Frame)
    return square_pixels(image(message), header.pixel_aspect)


def _key(message: Message, index: int) -> Key:
    header = message.header
    return header.stream, header.run, header.seq, index
