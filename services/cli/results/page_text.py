"""Formats times, shares and pictures for result pages."""

import base64
import math
from typing import Final

import cv2

from emostream.shared.pixels import Image

QUALITY: Final = 80


def clock(seconds: float) -> str:
    """Format a time as 0:12.34 or 1:02:03.45, rounded down."""
    # A value that is exact in ns may not be exact as a float.
    hundredths = max(0, math.floor(seconds * 100 + 1e-6))
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 100:02}.{rest % 100:02}"
    return f"{hours}:{minutes:02}:{text}" if hours else f"{minutes}:{text}"


def short_clock(seconds: float) -> str:
    """Format a time like `clock`, without trailing zeros."""
    return clock(seconds).rstrip("0").rstrip(".")


def lasting(seconds: float) -> str:
    """Format a duration: 4.2 s, 3:12 or 1:02:03."""
    tenths = round(seconds * 10)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    return clock(round(seconds))[:-3]


def percent(share: float) -> str:
    """Format a share in percent; small shares are shown as below 1%."""
    return "<1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"


def css_percent(share: float) -> str:
    """Format a position or length, a share from 0 to 1, for CSS."""
    return f"{100 * share:.3f}%"


def seek(seconds: float) -> str:
    """Format a time for a player, rounded up so that it does not select the previous frame."""
    return f"{math.ceil(seconds * 1000 - 1e-6) / 1000:.3f}"


def data_url(image: Image) -> str:
    """Return a picture, uint8 (height, width, 3) BGR, as the data URL of a JPEG."""
    _, code = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return f"data:image/jpeg;base64,{base64.b64encode(code.tobytes()).decode()}"


FILTERS: Final = (clock, short_clock, lasting, percent, css_percent, seek)
