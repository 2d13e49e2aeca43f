"""The JPEG of a frame for the page."""

from typing import Any

import cv2
import numpy as np

from emostream.shared.blur import FaceBlur
from emostream.shared.errors import MessageError
from emostream.shared.join import Joined
from emostream.shared.messages import Frame
from emostream.shared.pixels import check_jpeg

# A page shows no more pixels than this, and encoding a 4K picture would take a whole core.
LONG_SIDE = 1280
# OpenCV's thread pool would spin on every core for work that takes a millisecond.
cv2.setNumThreads(1)


def encode_jpeg(joined: Joined, quality: int, blur: FaceBlur) -> bytes:
    """Return the frame's picture as JPEG, scaled down to at most 1280 pixels.

    A JPEG that is small enough is passed on unchanged, unless faces must be blurred. Raises
    MessageError if it cannot be decoded.
    """
    header = joined.frame.header
    assert isinstance(header, Frame)
    assert joined.frame.payload is not None
    scale = LONG_SIDE / max(header.width, header.height)
    if header.encoding == "jpeg" and scale >= 1 and not blur.switch.is_on(header.stream):
        check_jpeg(joined.frame)
        return bytes(joined.frame.payload)
    picture: Any = blur.picture(joined)
    if scale < 1:
        size = (max(1, round(header.width * scale)), max(1, round(header.height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    good, jpeg = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not good:
        raise MessageError("payload", "a picture that cannot be encoded as JPEG")
    return np.asarray(jpeg, np.uint8).tobytes()
