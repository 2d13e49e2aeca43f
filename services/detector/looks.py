"""Looking for faces: in the frame whose turn it is, and ahead of their turn in those that wait."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final, TypeAlias

from emostream.services.detector.detection import Detection, FaceDetector
from emostream.services.detector.tiling import Tiling, merge, search
from emostream.shared.messages import Box, Message
from emostream.shared.pixels import Image, image

Key: TypeAlias = tuple[str, str, int, int]
# A picture as decoded, and its faces, the best score first.
Seen: TypeAlias = tuple[Image, list[Detection]]

MOST_AHEAD: Final = 32


class Looks:
    """Searches whole frames, the tiles whose turn it is, and where a face is missing.

    What whole and tiles show depends on the picture and on its number in the stream alone. So each
    of `helpers`, detectors like the first, may search a frame ahead on a thread of its own, and the
    same is found as without.
    """

    def __init__(
        self, detector: FaceDetector, tiling: Tiling, helpers: Sequence[FaceDetector] = ()
    ) -> None:
        self._detector = detector
        self._tiling = tiling
        self._helpers: SimpleQueue[FaceDetector] = SimpleQueue()
        for helper in helpers:
            self._helpers.put(helper)
        self._pool = ThreadPoolExecutor(len(helpers), "looks") if helpers else None
        self._begun: OrderedDict[Key, Future[Seen]] = OrderedDict()

    def begin(self, message: Message, index: int) -> None:
        """Search a frame ahead; `index` is what it will have when its turn comes."""
        key = _key(message, index)
        if self._pool and key not in self._begun:
            self._begun[key] = self._pool.submit(self._help, message, index)
            if len(self._begun) > MOST_AHEAD:  # of frames whose turn never came
                self._begun.popitem(last=False)

    def find(self, message: Message, index: int) -> Seen:
        """Return the picture of frame number `index` of its stream, and its faces.

        Raises MessageError for a picture that cannot be decoded.
        """
        begun = self._begun.pop(_key(message, index), None)
        return begun.result() if begun else self._search(self._detector, message, index)

    def find_missing(
        self, frame: Image, found: Sequence[Detection], missing: Sequence[Box]
    ) -> list[Detection]:
        """Return what was found, and what close-ups of where faces are `missing` show beside it."""
        close_ups = self._tiling.close_ups(frame, missing)
        return merge([*found, *search(self._detector, frame, close_ups)])

    def _help(self, message: Message, index: int) -> Seen:
        helper = self._helpers.get()
        try:
            return self._search(helper, message, index)
        finally:
            self._helpers.put(helper)

    def _search(self, detector: FaceDetector, message: Message, index: int) -> Seen:
        frame = image(message)
        tiles = self._tiling.tiles(frame, index)
        return frame, merge([*detector.detect(frame), *search(detector, frame, tiles)])


def _key(message: Message, index: int) -> Key:
    header = message.header
    return header.stream, header.run, header.seq, index
