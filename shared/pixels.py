"""The pixels that a message's payload carries, as arrays."""

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.shared.errors import MessageError
from emostream.shared.messages import Faces, Frame, Message

Image = NDArray[np.uint8]


def image(message: Message) -> Image:
    """Return the picture of a `frame/` message, uint8 (height, width, 3) in BGR order.

    A raw picture is a read-only view of the payload, without a copy. Raises MessageError for a
    JPEG that cannot be decoded.
    """
    header = message.header
    assert isinstance(header, Frame)
    assert message.payload is not None
    data = np.frombuffer(message.payload, np.uint8)
    if header.encoding == "bgr8":
        return data.reshape(header.height, header.width, 3)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if picture is None or picture.shape[:2] != (header.height, header.width):
        raise MessageError("payload", "a JPEG that cannot be decoded")
    return np.asarray(picture, np.uint8)


def crops(message: Message) -> Image:
    """Return the crops of a `faces/` message, uint8 (N, height, width), a view of the payload."""
    header = message.header
    assert isinstance(header, Faces)
    data = np.frombuffer(message.payload or b"", np.uint8)
    return data.reshape(len(header.faces), *header.crop)
