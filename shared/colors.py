"""The color of each label: steady, told apart by every eye, for any set of labels."""

import functools
import zlib
from collections.abc import Iterable
from typing import Final

from emostream.shared.label_synonyms import canonical_label

Color = tuple[int, int, int]

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), told apart with each kind of color
# blindness; its black is gray here, to be seen on dark pictures too.
COLORS: Final = {
    "neutral": "#bbbbbb",
    "happiness": "#f0e442",
    "surprise": "#e69f00",
    "sadness": "#0072b2",
    "anger": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "contempt": "#56b4e9",
}
# For labels of other kinds: those of Paul Tol's colors (https://personal.sron.nl/~pault/) that lie
# furthest from the eight above and from each other, for every eye.
FURTHER: Final = (
    *("#eedd88", "#332288", "#882255", "#99ddff", "#ee6677"),
    *("#117733", "#004488", "#994455", "#dddddd", "#aa3377"),
)

BLACK: Final = (0, 0, 0)
WHITE: Final = (255, 255, 255)


@functools.lru_cache(maxsize=64)
def colors(labels: tuple[str, ...]) -> dict[str, str]:
    """Return the color `#rrggbb` of each label; those of different canonical_label differ.

    The eight usual emotions keep theirs in every set, by whatever name. Another label's color
    follows from its name, or is the next one that is free: so it is mostly the same in other sets
    too, and stays when further labels are appended. Beyond ten other labels colors come again.
    """
    given: dict[str, str] = {}
    for label in labels:
        if label not in given:
            given[label] = _color(label, set(given.values()))
    return given


def bgr(color: str) -> Color:
    """Return the blue, green and red of a `#rrggbb`."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return blue, green, red


def text_color(background: Color) -> Color:
    """Return black or white, whichever is read better on the background (W3C's contrast)."""
    blue, green, red = (_linear(channel / 255) for channel in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE


def ink(background: str) -> str:
    """Return what `text_color` does, of a color `#rrggbb` and as one."""
    blue, green, red = text_color(bgr(background))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _color(label: str, taken: Iterable[str]) -> str:
    name = canonical_label(label)
    usual = COLORS.get(name)
    if usual is not None:
        return usual
    # Python's own hash differs from process to process.
    first = zlib.crc32(name.encode()) % len(FURTHER)
    choices = FURTHER[first:] + FURTHER[:first]
    return next((color for color in choices if color not in taken), choices[0])


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
