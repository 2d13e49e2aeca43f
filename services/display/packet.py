"""One shown frame as one WebSocket message: the results, and the picture they belong to."""

import json
import struct
from typing import Any

import cv2

from services.display.history import NUMBER_MASK
from shared.join import Joined
from shared.messages import EmotionFace, Frame
from shared.pixels import image


def frame_packet(joined: Joined, quality: int) -> bytes:
    """Return the length of the JSON (4 bytes, big-endian), the JSON, and the picture as JPEG.

    Raises MessageError for a picture that cannot be decoded.
    """
    header = joined.frame.header
    assert isinstance(header, Frame)
    description = {
        "stream": header.stream,
        "run": header.run,
        "seq": header.seq,
        "t": header.t // 1_000_000,
        "width": header.width,
        "height": header.height,
        "answered": bool(joined.results),
        "faces": [_face(face) for face in joined.faces],
    }
    text = json.dumps(description, separators=(",", ":")).encode()
    return b"".join((struct.pack(">I", len(text)), text, _jpeg(joined, header, quality)))


def _jpeg(joined: Joined, header: Frame, quality: int) -> bytes:
    if header.encoding == "jpeg":
        return bytes(joined.frame.payload or b"")
    _, data = cv2.imencode(".jpg", image(joined.frame), (cv2.IMWRITE_JPEG_QUALITY, quality))
    return data.tobytes()


def _face(face: EmotionFace) -> dict[str, Any]:
    return {
        "track": face.track,
        "number": face.track & NUMBER_MASK,
        "box": [round(value, 1) for value in face.box],
        "label": face.label,
        "confidence": round(face.confidence, 3),
        "smoothed": {label: round(value, 3) for label, value in face.smoothed.items()},
    }
