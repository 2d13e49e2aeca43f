"""Looking for faces: in the frame whose turn it is, and ahead of their turn in those that wait."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final, TypeAlias

from services.detector.detection import Detection, FaceDetector
from services.detector.tiling import Tiling, merge, search
from shared.messages import Message
from shared.pixels import image

Key: TypeAlias = tuple[str, str, int, int]

MOST_AHEAD: Final = 32


class Looks:
    """Searches whole frames and the tiles whose turn it is.

    What is found depends on the picture and on its number in the stream, and on no frame before it.
    So each of `helpers`, detectors like the first, may search a frame ahead on a thread of its own,
    and the same is found as without.
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
        self._begun: OrderedDict[Key, Future[list[Detection]]] = OrderedDict()

    def begin(self, message: Message, index: int) -> None:
        """Search a frame ahead; `index` is what it will have when its turn comes."""
        key = _key(message, index)
        if self._pool and key not in self._begun:
            self._begun[key] = self._pool.submit(self._help, message, index)
            if len(self._begun) > MOST_AHEAD:  # of frames whose turn never came
                self._begun.popitem(last=False)

    def find(self, message: Message, index: int) -> list[Detection]:
        """Return the faces of frame number `index` of its stream, the best score first.

        Raises MessageError for a picture that cannot be decoded.
        """
        begun = self._begun.pop(_key(message, index), None)
        return begun.result() if begun else self._search(self._detector, message, index)

    def _help(self, message: Message, index: int) -> list[Detection]:
        helper = self._helpers.get()
        try:
            return self._search(helper, message, index)
        finally:
            self._helpers.put(helper)

    def _search(self, detector: FaceDetector, message: Message, index: int) -> list[Detection]:
        frame = image(message)
        tiles = self._tiling.tiles(frame, index)
        return merge([*detector.detect(frame), *search(detector, frame, tiles)])


def _key(message: Message, index: int) -> Key:
    header = message.header
    return header.stream, header.run, header.seq, index
