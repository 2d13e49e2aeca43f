"""Thumbnails of faces at label changes, cropped from the video."""

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Generator, Sequence
from typing import Final

import cv2
import numpy as np

from emostream.services.capture.picture import Picture
from emostream.services.cli.results.page_text import data_url
from emostream.services.cli.results.report.history import LabelSpan
from emostream.shared.errors import SourceError
from emostream.shared.messages import Box
from emostream.shared.pixels import Image, square_pixels

SIDE: Final = 112  # pixels: twice what the page shows, for dense screens
SURROUND: Final = 1.3  # side of a thumbnail in units of the face's side


def pick_spans(spans: Sequence[LabelSpan], most: int) -> list[LabelSpan]:
    """Return at most `most` of one face's spans, in order.

    These are always the first, and the longest of each further part of the list.
    """
    if len(spans) <= most:
        return list(spans)
    edges = np.linspace(1, len(spans), most).round().astype(int)
    parts = (spans[low:high] for low, high in itertools.pairwise(edges))
    return [*spans[:1], *(max(part, key=lambda span: span.length) for part in parts)]


def thumbnails(
    pictures: Generator[Picture, None, None], spans: Sequence[LabelSpan]
) -> dict[tuple[int, int], str]:
    """Return a data URL for the start of each span by (face, seq), after one pass over pictures.

    Picture n is frame n. It reads no further than necessary; if reading fails, later pictures are
    missing.
    """
    wanted: dict[int, list[LabelSpan]] = defaultdict(list)
    for span in spans:
        wanted[span.seq].append(span)
    found: dict[tuple[int, int], str] = {}
    with contextlib.closing(pictures), contextlib.suppress(SourceError):
        for seq, picture in enumerate(pictures if wanted else ()):
            for span in wanted.pop(seq, ()):
                found[span.face, seq] = data_url(_face(picture, span.box))
            if not wanted:
                break
    return found


def _face(picture: Picture, box: Box) -> Image:
    """Crop the face at `box`, in pixels of the stored picture, as displayed."""
    shown = square_pixels(picture.pixels, float(picture.pixel_aspect))
    down = shown.shape[0] / picture.pixels.shape[0]
    across = shown.shape[1] / picture.pixels.shape[1]
    x, y, width, height = box
    return square_crop(shown, (across * x, down * y, across * width, down * height))


def square_crop(image: Image, box: Box) -> Image:
    """Return the face with a margin as a square of SIDE pixels, uint8 (SIDE, SIDE, 3).

    Pixels outside the picture repeat its border.
    """
    x, y, width, height = box
    side = max(2, round(SURROUND * max(width, height)))
    crop = cv2.getRectSubPix(image, (side, side), (x + width / 2, y + height / 2))
    shrinks = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=shrinks), np.uint8)
