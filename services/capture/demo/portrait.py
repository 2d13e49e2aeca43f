"""A person's pictures, and the maps to sample them for an expression and a pose."""

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from emostream.services.capture.demo.actor import Expression
from emostream.services.capture.demo.movement import Pose, blinking, levers, shift
from emostream.services.capture.demo.pictures import Person, load_people, load_points
from emostream.services.capture.demo.silhouette import (
    ROWS_APART,
    SLACK,
    Part,
    bounds,
    corners,
    covered,
    opaque,
    outline,
    within,
)
from emostream.services.capture.demo.warping import (
    MOVED,
    ORIGIN,
    PLACES,
    STEP,
    Triangles,
    inverted,
    sampled,
)

Floats = NDArray[np.float32]

LEVELS = 4  # of a transition or a blink
# Those of two transitions and a blink. All of them would take 16 MB for three people.
MOST_KEPT = 15


# Where the head's picture ends and the body's begins, which a pose still moves, and where the chest
# begins, which only breathes. The portrait's last row is repeated below it.
NECK, CHEST, END, ENDLESS = 600.0, 706.0, 999.0, 9000.0
# The maximum movement below the head by a pose, in portrait pixels.
MOVES = 32.0


class Portrait:
    """Person number `person` of the pictures."""

    def __init__(self, person: int) -> None:
        self._points = load_points()
        self._person = person
        self._kept: dict[tuple[int, int | None, int], list[tuple[int, Floats]]] = {}

    @cached_property
    def pictures(self) -> Person:
        """The person's pictures."""
        return load_people()[self._person]

    def head(self, pose: Pose) -> tuple[Part, Part]:
        """Return the area that the head may cover in a pose, and its opaque part."""
        points, held = self._head
        moved = points + shift(held, pose)[0]
        left, top, right, _ = bounds(moved[4:])
        return (left, top, right, NECK), within(moved[:4])

    @cached_property
    def shoulders(self) -> tuple[Part, Part]:
        """The area that neck and shoulders may cover, and its opaque part."""
        return covered(self.pictures.body, NECK, CHEST, MOVES)

    @cached_property
    def chest(self) -> tuple[tuple[Part, Part], ...]:
        """The same for the area below, and for the rows repeated below the portrait."""
        body = self.pictures.body
        left, _, right, _ = opaque([body], END - ROWS_APART, END)
        covers, hides = covered(body, CHEST, END, SLACK)
        endless = covers[0], END, covers[2], ENDLESS
        return (covers, hides), (endless, (left + SLACK, END, right - SLACK, ENDLESS))

    def rest(self, shown: Expression, blink: float) -> Floats:
        """Return the points with this expression before the pose, (P, 2)."""
        rest = self._points.rest[self._person]
        points = rest[shown.now]
        if shown.weight:
            points = points + np.float32(shown.weight) * (rest[shown.after] - points)
        return blinking(points, self._points.index, blink) if blink else points

    def seen(self, shown: Expression, pose: Pose) -> Floats:
        """Return the visible positions of the points, (P, 2), in portrait pixels."""
        rest = self.rest(shown, pose.blink)[None]
        solid = sampled(self._solid, (rest - ORIGIN) / np.float32(STEP))
        return np.asarray((rest + shift(levers(rest, solid), pose))[0], np.float32)

    def looked_up(self, shown: Expression, pose: Pose) -> list[tuple[int, Floats]]:
        """Return the emotions whose pictures are visible, and the sampling map for each.

        A map is float32 (ROWS, COLUMNS, 2): the offset in pixels from each node of the grid.
        """
        came_from = inverted(shift(self._levers, pose, STEP))
        return [
            (emotion, sampled(field, came_from) - PLACES)
            for emotion, field in self._fields(shown, pose)
        ]

    def _fields(self, shown: Expression, pose: Pose) -> list[tuple[int, Floats]]:
        """Return the sampling maps of the visible pictures, before the pose.

        Maps are cached for a few steps of a transition or a blink, and interpolated.
        """
        share = shown.weight or pose.blink
        low = min(int(share * LEVELS), LEVELS - 1)
        rest = share * LEVELS - low
        fields = self._level(shown, pose, low)
        if rest:
            pairs = zip(fields, self._level(shown, pose, low + 1), strict=True)
            fields = [
                (emotion, one + np.float32(rest) * (other - one))
                for (emotion, one), (_, other) in pairs
            ]
        return [(emotion, self._with_surroundings(field)) for emotion, field in fields]

    def _with_surroundings(self, field: Floats) -> Floats:
        whole = self._surroundings.copy()
        whole[MOVED] = field
        return whole

    def _level(self, shown: Expression, pose: Pose, level: int) -> list[tuple[int, Floats]]:
        after = shown.after if shown.weight else None
        key = (shown.now, after, level)
        if key not in self._kept:
            share = level / LEVELS
            if after is None:
                rest = self.rest(Expression(shown.now, shown.now, 0), share)
            else:
                rest = self.rest(Expression(shown.now, after, share), 0)
            triangles = Triangles(rest, self._points.triangles, MOVED)
            emotions = (shown.now,) if after is None else (shown.now, after)
            drawn = np.concatenate([self._points.drawn[emotion] for emotion in emotions], axis=1)
            fields = np.split(triangles.interpolate(drawn), len(emotions), axis=2)
            self._kept[key] = list(zip(emotions, fields, strict=True))
            if len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]

    @cached_property
    def _head(self) -> tuple[Floats, Floats]:
        """The corners of the opaque part and the outline, (N, 2), with their input for `shift`."""
        heads = self.pictures.heads
        top = heads[0].at[1]
        points = np.concatenate([corners(opaque(heads, top, NECK)), outline(heads, top, NECK)])
        solid = sampled(self._solid, (points[None] - ORIGIN) / np.float32(STEP))
        return points, levers(points[None], solid)

    @cached_property
    def _surroundings(self) -> Floats:
        """The sampling map outside the area that an expression moves, for the whole grid."""
        points = self._points
        triangles = Triangles(points.rest[self._person][0], points.triangles)
        return triangles.interpolate(points.drawn[0])

    @cached_property
    def _levers(self) -> Floats:
        return levers(PLACES, self._solid)

    @cached_property
    def _solid(self) -> Floats:
        """Depth, and how much each node of the grid follows the head."""
        points = self._points
        values = np.stack([points.depth, points.follow], axis=1)
        mean = Triangles(points.rest[self._person].mean(axis=0), points.triangles)
        # Smooth, because otherwise the edge of a turned face would fold.
        return np.asarray(cv2.GaussianBlur(mean.interpolate(values), (0, 0), 2.5), np.float32)
