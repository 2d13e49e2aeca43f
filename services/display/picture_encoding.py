"""The packet of a picture with its results: length of the JSON, the JSON, the JPEG."""

from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from emostream.services.display.schema import FaceState
from emostream.shared.blur import FaceBlur
from emostream.shared.errors import MessageError
from emostream.shared.join import Joined
from emostream.shared.messages import Box, EmotionFace, Frame
from emostream.shared.pixels import check_jpeg

# A page shows no more pixels than this, and to encode a 4K picture would take a whole core.
LONG_SIDE = 1280


def picture_packet(
    joined: Joined, jpeg: bytes, blur: FaceBlur, kept: Sequence[EmotionFace] = ()
) -> bytes:
    """Return 4 bytes (big-endian: the length of the JSON), the JSON, and the JPEG.

    Times are ms; boxes are in pixels of the frame, whose size is `width` x `height` even where the
    JPEG is smaller. `kept` are faces of earlier frames, where results are missing. `blur_areas` are
    the boxes to blur in a picture that is not `blurred` yet when somebody asks for it, null for the
    whole picture: a page that is paused has no later one.
    """
    header = joined.frame.header
    assert isinstance(header, Frame)
    facts = {
        "stream": header.stream,
        "run": header.run,
        "seq": header.seq,
        "t": header.t / 1e6,
        "pts": header.pts / 1e6,
        "width": header.width,
        "height": header.height,
        "results": joined.completeness,
        "faces": [FaceState.of(face) for face in joined.faces],
        "kept": [FaceState.of(face) for face in kept],
        "prior": _shares(joined),
        "blurred": blur.switch.is_on(header.stream),
        "blur_areas": _rounded(blur.areas(joined)),
    }
    text = msgspec.json.encode(facts)
    return b"".join((len(text).to_bytes(4, "big"), text, jpeg))


def _rounded(areas: list[Box] | None) -> list[list[int]] | None:
    return None if areas is None else [[round(number) for number in area] for area in areas]


def _shares(joined: Joined) -> dict[str, float]:
    """Return the labels' shares that the probabilities reckon with, empty where nobody knows."""
    priors = (result.prior for result in joined.results if result.prior)
    return next((prior.shares for prior in priors), {})


def encode_jpeg(joined: Joined, quality: int, blur: FaceBlur) -> bytes:
    """Return the frame's picture as JPEG, scaled down to 1280 pixels where it is larger.

    A JPEG that is small enough is passed on as it is, unless faces are to be blurred in it. Raises
    MessageError for one that cannot be decoded.
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
