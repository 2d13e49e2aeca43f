"""A person's pictures, and where each is looked up to show an expression and a pose."""

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


# Where the head's picture ends and the body's begins, which a pose still moves, and where that
# rests on the chest, which only breathes. Below the portrait its last row continues.
NECK, CHEST, END, ENDLESS = 600.0, 706.0, 999.0, 9000.0
# How far a pose moves what is below the head, at most, in pixels of the portrait.
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
        """Return what the head may cover in a pose, and in which part nothing shows through."""
        points, held = self._head
        moved = points + shift(held, pose)[0]
        left, top, right, _ = bounds(moved[4:])
        return (left, top, right, NECK), within(moved[:4])

    @cached_property
    def shoulders(self) -> tuple[Part, Part]:
        """What neck and shoulders may cover, and in which part of it nothing shows through."""
        return covered(self.pictures.body, NECK, CHEST, MOVES)

    @cached_property
    def chest(self) -> tuple[tuple[Part, Part], ...]:
        """The same for what is below, and for what continues below the portrait."""
        body = self.pictures.body
        left, _, right, _ = opaque([body], END - ROWS_APART, END)
        covers, hides = covered(body, CHEST, END, SLACK)
        endless = covers[0], END, covers[2], ENDLESS
        return (covers, hides), (endless, (left + SLACK, END, right - SLACK, ENDLESS))

    def rest(self, shown: Expression, blink: float) -> Floats:
        """Return where the points lie with this expression before the pose, (P, 2)."""
        rest = self._points.rest[self._person]
        points = rest[shown.now]
        if shown.weight:
            points = points + np.float32(shown.weight) * (rest[shown.after] - points)
        return blinking(points, self._points.index, blink) if blink else points

    def seen(self, shown: Expression, pose: Pose) -> Floats:
        """Return where the points are seen, (P, 2), in pixels of the portrait."""
        rest = self.rest(shown, pose.blink)[None]
        solid = sampled(self._solid, (rest - ORIGIN) / np.float32(STEP))
        return np.asarray((rest + shift(levers(rest, solid), pose))[0], np.float32)

    def looked_up(self, shown: Expression, pose: Pose) -> list[tuple[int, Floats]]:
        """Return the emotions whose pictures show, and where to look in each.

        Where is float32 (ROWS, COLUMNS, 2): how far from each node of the grid, in pixels.
        """
        came_from = inverted(shift(self._levers, pose, STEP))
        return [
            (emotion, sampled(field, came_from) - PLACES)
            for emotion, field in self._fields(shown, pose)
        ]

    def _fields(self, shown: Expression, pose: Pose) -> list[tuple[int, Floats]]:
        """Return where to look in the pictures shown, before the pose.

        What was drawn once is kept for a few shares of a transition or a blink, and interpolated.
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
            self._kept[key] = [
                (emotion, triangles.interpolate(self._points.drawn[emotion]))
                for emotion in emotions
            ]
        return self._kept[key]

    @cached_property
    def _head(self) -> tuple[Floats, Floats]:
        """Corners of the opaque part, and the outline, (N, 2), with their levers."""
        heads = self.pictures.heads
        top = heads[0].at[1]
        points = np.concatenate([corners(opaque(heads, top, NECK)), outline(heads, top, NECK)])
        solid = sampled(self._solid, (points[None] - ORIGIN) / np.float32(STEP))
        return points, levers(points[None], solid)

    @cached_property
    def _surroundings(self) -> Floats:
        """Where to look outside what an expression moves, for all of the grid."""
        points = self._points
        triangles = Triangles(points.rest[self._person][0], points.triangles)
        return triangles.interpolate(points.drawn[0])

    @cached_property
    def _levers(self) -> Floats:
        return levers(PLACES, self._solid)

    @cached_property
    def _solid(self) -> Floats:
        """Depth, and how far each place goes with the head, at each node of the grid."""
        points = self._points
        values = np.stack([points.depth, points.follow], axis=1)
        mean = Triangles(points.rest[self._person].mean(axis=0), points.triangles)
        # Smooth, or the rim of a turned face would fold.
        return np.asarray(cv2.GaussianBlur(mean.interpolate(values), (0, 0), 2.5), np.float32)
