"""The timeline of a face as stretchable SVG, and the times on its axis.

The page sets the color of each label's class `c0`, `c1` ... as `--c`.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.services.cli.results.report.history import (
    GAP_NS,
    CurvePoint,
    FaceHistory,
    LabelSpan,
    RunHistory,
)

Numbers: TypeAlias = NDArray[np.float64]

# Units of the drawings: pixels at the maximum width on the page.
BAND_WIDTH: Final = 100_000
CURVE_WIDTH: Final = 10_000
CURVE_HEIGHT: Final = 200
NS: Final = 10**9
MOST_TICKS: Final = 6  # on an axis as wide as a phone
# The maximum zoom of a timeline, and the minimum time in s that it then shows.
ZOOMS: Final = (1, 4, 16, 64)
LEAST_SHOWN: Final = 2
STEPS: Final = (
    *(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400),
)


def band(spans: Sequence[LabelSpan], labels: Sequence[str], length: int) -> str:
    """Draw the labels over time, one path per label, on an axis of `length` ns."""
    paths = dict.fromkeys(labels, "")
    for span in spans:
        left = round(BAND_WIDTH * span.start / length)
        width = max(1, round(BAND_WIDTH * span.end / length) - left)
        paths[span.label] += f"M{left} 0h{width}v1h-{width}z"
    drawn = "".join(
        f'<path class="c{index}" d="{path}"/>' for index, path in enumerate(paths.values()) if path
    )
    return _svg(f"0 0 {BAND_WIDTH} 1", drawn)


def curves(history: RunHistory, face: FaceHistory) -> str:
    """Draw the face's smoothed probabilities, stacked from below in label order."""
    paths = [""] * len(history.labels)
    for points in _unbroken(history, face):
        x, tops = _outline(history, points)
        for index, top in enumerate(tops.T):
            paths[index] += _area(x, top)
    # Each area extends to the bottom, and the next one covers it, so that no seams are visible.
    drawn = "".join(
        f'<path class="c{index}" d="{path}"/>' for index, path in reversed([*enumerate(paths)])
    )
    return _svg(f"0 0 {CURVE_WIDTH} {CURVE_HEIGHT}", drawn)


def percents(face: FaceHistory) -> list[list[int]]:
    """Return each of the face's points: its interval and the labels' probabilities in percent."""
    return [[point.interval, *map(round, (100 * _shares(point)).tolist())] for point in face.points]


def zooms(length: int) -> list[int]:
    """Return the maximum zoom of an axis of `length` ns."""
    return [zoom for zoom in ZOOMS if zoom == 1 or length >= zoom * LEAST_SHOWN * NS]


def axis(length: int) -> dict[float, list[int]]:
    """Return the times (s) on an axis of `length` ns, with the zooms at which each is shown."""
    times: dict[float, list[int]] = {}
    for zoom in zooms(length):
        for time in _ticks(length, MOST_TICKS * zoom):
            times.setdefault(time, []).append(zoom)
    return times


def _ticks(length: int, most: int) -> list[float]:
    """Return at most `most` round times from 0 on, in s, none too close to the end for text."""
    seconds = length / NS
    step = next((step for step in STEPS if seconds / step < most), STEPS[-1])
    last = seconds * (1 - 0.5 / most)
    return [round(index * step, 2) for index in range(int(last / step) + 1)]


def _unbroken(history: RunHistory, face: FaceHistory) -> Iterator[list[CurvePoint]]:
    """Yield the face's points in groups, split where it was absent."""
    points: list[CurvePoint] = []
    for point in face.points:
        start, _ = history.intervals[point.interval]
        if points and start - history.intervals[points[-1].interval][1] > GAP_NS:
            yield points
            points = []
        points.append(point)
    yield points


def _outline(history: RunHistory, points: Sequence[CurvePoint]) -> tuple[NDArray[np.intp], Numbers]:
    """Return x (n + 2) and the stacked tops (n + 2, labels) of n points, in units."""
    intervals = [history.intervals[point.interval] for point in points]
    times = [intervals[0][0], *(sum(one) / 2 for one in intervals), intervals[-1][1]]
    x = np.asarray(times) * (CURVE_WIDTH / history.length)
    tops = np.cumsum([_shares(point) for point in points], axis=1)
    return x.round().astype(np.intp), np.vstack([tops[:1], tops, tops[-1:]])


def _shares(point: CurvePoint) -> Numbers:
    """Return the mean probabilities of the available labels."""
    total = point.sums.sum()
    return point.sums / total if total > 0 else point.sums


def _area(x: NDArray[np.intp], top: Numbers) -> str:
    y = (CURVE_HEIGHT * (1 - top)).round().astype(np.intp)
    steps = " ".join(
        f"{right - left} {to - at}"
        for (left, at), (right, to) in itertools.pairwise(zip(x, y, strict=True))
    )
    return f"M{x[0]} {CURVE_HEIGHT}V{y[0]}l{steps}V{CURVE_HEIGHT}z".replace(" -", "-")


def _svg(box: str, drawn: str) -> str:
    return f'<svg viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
