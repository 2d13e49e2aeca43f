"""The color of each label: stable and distinguishable for everyone, for any set of labels."""

import functools
import zlib
from collections.abc import Iterable
from typing import Final

from emostream.shared.label_synonyms import canonical_label

Color = tuple[int, int, int]

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), distinguishable with every kind of
# color blindness. Its black is gray here, so that it is visible on dark pictures.
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
# For other labels: the colors of Paul Tol (https://personal.sron.nl/~pault/) that differ most from
# the eight above and from each other, for everyone.
FURTHER: Final = (
    *("#eedd88", "#332288", "#882255", "#99ddff", "#ee6677"),
    *("#117733", "#004488", "#994455", "#dddddd", "#aa3377"),
)

BLACK: Final = (0, 0, 0)
WHITE: Final = (255, 255, 255)


@functools.lru_cache(maxsize=64)
def colors(labels: tuple[str, ...]) -> dict[str, str]:
    """Return the color `#rrggbb` of each label; labels with different canonical_label differ.

    The eight usual emotions, or synonyms of them, have the same color in every set. Another label's
    color is derived from its name, or is the next free one, so it is mostly the same in other sets,
    and does not change when labels are appended. After ten other labels, colors repeat.
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
    """Return black or white, whichever is more legible on the background (W3C contrast)."""
    blue, green, red = (_linear(channel / 255) for channel in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE


def ink(background: str) -> str:
    """Return the `text_color` for a background `#rrggbb`, in the same format."""
    blue, green, red = text_color(bgr(background))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _color(label: str, taken: Iterable[str]) -> str:
    name = canonical_label(label)
    usual = COLORS.get(name)
    if usual is not None:
        return usual
    # Python's own hash differs between processes.
    first = zlib.crc32(name.encode()) % len(FURTHER)
    choices = FURTHER[first:] + FURTHER[:first]
    return next((color for color in choices if color not in taken), choices[0])


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
