"""The quality of a face: measures of its crop and box, and an overall value.

`overall` is a logistic model of the measures: the probability that the classifier's label is right.
`python -m benchmarks.fit_quality` fits it to faces degraded in known ways; the result is
`quality.toml`.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from emostream.models.alignment import Located
from emostream.models.head_pose import head_pose
from emostream.shared.messages import Box, Quality
from emostream.shared.pixels import Image
from emostream.shared.toml_file import parse_toml, read_text

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FITTED: Final = Path(__file__).with_name("quality.toml")
# The crop is measured at the size of the shipped networks' input, without its border of background.
SIDE: Final = 48
RIM: Final = 5
# OpenCV resizes pictures with at most four channels.
MOST_AT_ONCE: Final = 4
WHITE: Final = 255
TURNED: Final = 60  # degrees
# Deviations of Gaussians: between the first two is detail of 2 to 4 pixels, beyond that 4 to 8.
DETAIL: Final = (0.7, 1.4, 2.8)
# Responds to noise and not to slopes and edges (Immerkær 1996, "Fast noise variance estimation");
# the mean absolute response times the scale is the deviation of the noise.
NOISE_FILTER: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
NOISE_SCALE: Final = math.sqrt(math.pi / 2) / 6


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The logistic model in `quality.toml`: intercept, one weight per term, and provenance."""

    intercept: float
    weights: dict[str, float]
    provenance: dict[str, str | int | float]


def assess(crop: Image, face: Located, width: int, height: int) -> Quality:
    """Return the quality of one face; see `assess_all`."""
    return assess_all(crop[None], [face], width, height)[0]


def assess_all(crops: Image, faces: Sequence[Located], width: int, height: int) -> list[Quality]:
    """Return the quality of each face; three take 0.15 ms.

    `crops` is gray uint8 (N, S, S) from `alignment.align`; boxes and landmarks of the faces are in
    pixels of the `width` x `height` picture.
    """
    measured = measure(crops, faces, width, height)
    return [
        msgspec.structs.replace(one, overall=probability(terms(one), fitted())) for one in measured
    ]


def measure(crops: Image, faces: Sequence[Located], width: int, height: int) -> list[Quality]:
    """Return the measures of faces (see `assess_all`), with an `overall` of 0."""
    starts = range(0, len(faces), MOST_AT_ONCE)
    pixels = [
        values
        for start in starts
        for values in zip(*_measured(crops[start : start + MOST_AT_ONCE]), strict=True)
    ]
    return [
        _quality(face, values, width, height) for face, values in zip(faces, pixels, strict=True)
    ]


def _quality(face: Located, pixels: tuple[float, ...], width: int, height: int) -> Quality:
    sharpness, brightness, contrast, noise = pixels
    pose = head_pose(face.landmarks)
    return Quality(
        size_px=math.sqrt(max(face.box[2], 0.0) * max(face.box[3], 0.0)),
        sharpness=sharpness,
        brightness=brightness,
        contrast=contrast,
        noise=noise,
        yaw=pose.yaw if pose else None,
        pitch=pose.pitch if pose else None,
        roll=pose.roll if pose else None,
        cut=share_outside(face.box, width, height),
        overall=0.0,
    )


def _measured(crops: Image) -> tuple[list[float], ...]:
    """Return sharpness, brightness, contrast and noise of each crop.

    The crops become channels of one picture, so that OpenCV and NumPy are called only once.
    """
    small = np.ascontiguousarray(crops.transpose(1, 2, 0), np.float32)
    if crops.shape[1:] != (SIDE, SIDE):
        small = np.asarray(
            cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32
        )
    brightness, contrast = _moments(small)
    measures = (_sharpness(small), brightness / WHITE, contrast / WHITE, _noise(small) / WHITE)
    return tuple(each.tolist() for each in measures)


def share_outside(box: Box, width: int, height: int) -> float:
    """Return the share of a box x, y, w, h that is outside a picture of width x height."""
    x, y, across, down = box
    if across <= 0 or down <= 0:
        return 1.0
    inside_x = max(0.0, min(x + across, width) - max(x, 0.0))
    inside_y = max(0.0, min(y + down, height) - max(y, 0.0))
    return max(0.0, 1 - inside_x * inside_y / (across * down))


def terms(quality: Quality) -> dict[str, float]:
    """Return the terms of the logistic model: how bad each measure is, from 0 (good) to 1.

    The range of each was chosen from plots of accuracy over that measure.
    """
    signal = math.log2((quality.contrast + 0.5 / WHITE) / (quality.noise + 0.5 / WHITE))
    return {
        "small": _within(math.log2(max(quality.size_px, 1.0)), good=4.7, bad=3.6),  # 26 and 12 px
        "blurred": _within(quality.sharpness, good=0.24, bad=0.06),
        "grainy": _within(quality.sharpness, good=0.36, bad=0.56),
        "noisy": _within(signal, good=3, bad=0),
        "flat": _within(math.log2(quality.contrast + 0.5 / WHITE), good=-4, bad=-7),
        "dark": _within(quality.brightness, good=0.2, bad=0),
        "bright": _within(quality.brightness, good=0.7, bad=1),
        "yaw": _within(abs(quality.yaw or 0.0), good=10, bad=60),
        "pitch": _within(abs(quality.pitch or 0.0), good=6, bad=40),
        "roll": _within(_tilt(quality.roll or 0.0), good=8, bad=TURNED),
        "cut": _within(quality.cut, good=0, bad=0.4),
    }


def probability(values: dict[str, float], fit: Fit) -> float:
    """Return the probability that the label is right, 0..1, from a fit and its terms."""
    logit = fit.intercept + sum(weight * values[name] for name, weight in fit.weights.items())
    return 1 / (1 + math.exp(-logit))


@functools.cache
def fitted() -> Fit:
    """Return the shipped fit; ConfigError if its file cannot be read."""
    return msgspec.convert(parse_toml(read_text(FITTED), FITTED), Fit)


def _tilt(roll: float) -> float:
    """Return the tilt of a face in the picture in which it was found, in degrees.

    A face that is tilted by more than TURNED is found only in a rotated copy of the picture (by 90
    degrees or more), in which it is about upright.
    """
    return abs(roll) if abs(roll) <= TURNED else abs(roll - 90 * round(roll / 90))


def _within(value: float, *, good: float, bad: float) -> float:
    """Return the position of a value between `good` (0) and `bad` (1), clipped."""
    return min(max((value - good) / (bad - good), 0.0), 1.0)


def _moments(picture: Floats) -> tuple[Doubles, Doubles]:
    """Return mean and deviation of each channel, without the border."""
    # Takes a tenth of the time of NumPy's mean and std.
    mean, deviation = cv2.meanStdDev(picture[RIM:-RIM, RIM:-RIM])
    return np.asarray(mean.ravel(), np.float64), np.asarray(deviation.ravel(), np.float64)


def _sharpness(small: Floats) -> Doubles:
    """Return the share of fine detail in the energy of fine and medium detail."""
    smooth = [np.asarray(cv2.GaussianBlur(small, (0, 0), sigma), np.float32) for sigma in DETAIL]
    fine, middle = (_moments(a - b)[1] ** 2 for a, b in itertools.pairwise(smooth))
    energy = fine + middle
    return np.asarray(np.divide(fine, energy, out=np.zeros_like(fine), where=energy > 0))


def _noise(small: Floats) -> Doubles:
    """Return the deviation of the noise, in gray levels."""
    answer = np.asarray(cv2.filter2D(small, -1, NOISE_FILTER), np.float32)
    return NOISE_SCALE * _moments(np.abs(answer))[0]
