"""Converts message payloads to pixel arrays.

OpenCV is imported only where needed: a program that uses only raw pixels and crops, such as the
classifier, saves its memory and start-up time.
"""

import numpy as np
from numpy.typing import NDArray

from emostream.shared.errors import MessageError
from emostream.shared.messages import Faces, Frame, Message
from emostream.shared.picture_header import (
    HEAD_BYTES,
    MAX_PIXELS,
    PictureFormat,
    declared_size,
    picture_format,
)

Image = NDArray[np.uint8]

MAX_STRETCHED = 2**24  # pixels
# A JPEG declares its size within these bytes; a preview or color profile before it is smaller.
JPEG_HEAD_BYTES = 2**20


def image(message: Message) -> Image:
    """Return the picture of a `frame/` message, uint8 (height, width, 3) in BGR order.

    A raw picture is a read-only view of the payload, not a copy. Raises MessageError for a JPEG
    that cannot be decoded.
    """
    header = message.header
    assert isinstance(header, Frame)
    assert message.payload is not None
    data = np.frombuffer(message.payload, np.uint8)
    if header.encoding == "bgr8":
        return data.reshape(header.height, header.width, 3)
    import cv2

    if header.encoding == "i420":
        planes = data.reshape(header.height * 3 // 2, header.width)
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)
    check_jpeg(message)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MessageError("payload", "a JPEG that cannot be decoded") from error
    if picture is None or picture.shape[:2] != (header.height, header.width):
        raise MessageError("payload", "a JPEG that cannot be decoded")
    return np.asarray(picture, np.uint8)


def check_jpeg(message: Message) -> None:
    """Raise MessageError unless a `frame/` message's payload is a JPEG of the header's size.

    Only the JPEG's own header is read, because a few bytes may declare gigabytes of pixels.
    """
    header = message.header
    assert isinstance(header, Frame)
    assert message.payload is not None
    head = bytes(memoryview(message.payload)[:JPEG_HEAD_BYTES])
    if picture_format(head[:HEAD_BYTES]) is not PictureFormat.JPEG:
        raise MessageError("payload", "not a JPEG")
    size = declared_size(head, PictureFormat.JPEG)
    if size != (header.width, header.height):
        wanted = f"{header.width} x {header.height}"
        raise MessageError("payload", f"a JPEG of {size[0]} x {size[1]} instead of {wanted}")
    if size[0] * size[1] > MAX_PIXELS:
        raise MessageError("payload", f"a JPEG of {size[0]} x {size[1]} pixels is too large")


def square_pixels(picture: Image, aspect: float) -> Image:
    """Return a picture with pixels `aspect` times as wide as high, resampled to square pixels.

    It is stretched in the direction with lower resolution, or shrunk in the other one if stretching
    would make it larger than MAX_STRETCHED.
    """
    height, width = picture.shape[:2]
    if width * height * max(aspect, 1 / aspect) > MAX_STRETCHED:
        size = (width, height / aspect) if aspect > 1 else (width * aspect, height)
    else:
        size = (width * aspect, height) if aspect > 1 else (width, height / aspect)
    across, down = max(1, round(size[0])), max(1, round(size[1]))
    if (across, down) == (width, height):
        return picture
    import cv2

    return np.asarray(cv2.resize(picture, (across, down), interpolation=cv2.INTER_LINEAR), np.uint8)


def crops(message: Message) -> Image:
    """Return the crops of a `faces/` message, uint8 (N, height, width), a view of the payload."""
    header = message.header
    assert isinstance(header, Faces)
    data = np.frombuffer(message.payload or b"", np.uint8)
    return data.reshape(len(header.faces), *header.crop)
