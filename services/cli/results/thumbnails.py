"""Small pictures of faces at the moments when what they show changes, cut out of the video."""

import base64
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from emostream.services.capture.picture import Picture
from emostream.shared.errors import SourceError
from emostream.shared.messages import Box
from emostream.shared.pixels import Image

SIDE: Final = 112  # pixels: twice what the page shows, for dense screens
SURROUND: Final = 1.3  # how much of the picture is shown, in sides of the face
QUALITY: Final = 80


@dataclass(frozen=True, slots=True)
class Moment:
    """A face at a time that is worth a picture: it came, or what it showed changed.

    `box` is x, y, width, height in pixels of frame `seq`, `held` for how many ns it was then shown.
    """

    face: int
    seq: int
    box: Box
    held: int


def choose(moments: Sequence[Moment], most: int) -> list[Moment]:
    """Return at most `most` of one face's moments, in their order.

    The first always, and of each further part of the list the one that was held longest.
    """
    if len(moments) <= most:
        return list(moments)
    edges = np.linspace(1, len(moments), most).round().astype(int)
    parts = (moments[low:high] for low, high in itertools.pairwise(edges))
    return [*moments[:1], *(max(part, key=lambda moment: moment.held) for part in parts)]


def cut(
    pictures: Generator[Picture, None, None], moments: Sequence[Moment]
) -> dict[tuple[int, int], str]:
    """Return a data URL for each of the moments by (face, seq), after one pass over the pictures.

    Picture n is frame n. It reads no further than it must; where reading breaks off, the pictures
    after that are missing.
    """
    wanted: dict[int, list[Moment]] = defaultdict(list)
    for moment in moments:
        wanted[moment.seq].append(moment)
    found: dict[tuple[int, int], str] = {}
    with contextlib.closing(pictures), contextlib.suppress(SourceError):
        for seq, picture in enumerate(pictures if wanted else ()):
            for moment in wanted.pop(seq, ()):
                found[moment.face, seq] = data_url(square(picture.pixels, moment.box))
            if not wanted:
                break
    return found


def square(image: Image, box: Box) -> Image:
    """Return the face with some surroundings as a square of SIDE pixels, uint8 (SIDE, SIDE, 3).

    What lies outside of the picture repeats its rim.
    """
    x, y, width, height = box
    side = max(2, round(SURROUND * max(width, height)))
    cutout = cv2.getRectSubPix(image, (side, side), (x + width / 2, y + height / 2))
    shrinks = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cutout, (SIDE, SIDE), interpolation=shrinks), np.uint8)


def data_url(image: Image) -> str:
    """Return a picture, uint8 (height, width, 3) BGR, as the data URL of a JPEG."""
    _, code = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return f"data:image/jpeg;base64,{base64.b64encode(code.tobytes()).decode()}"
