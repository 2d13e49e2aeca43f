"""Face tracking: constant-velocity motion, overlap, and optimal assignment."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from emostream.services.detector.assignment import assign, assign_nearest
from emostream.services.detector.detection import Detection, Floats, areas, as_boxes, corners
from emostream.shared.absence import AbsenceClock
from emostream.shared.messages import Box, Point

NANOSECONDS = 1_000_000_000

# Two boxes of equal size that touch side by side have a DIoU of -0.2; a face does not move farther
# than that from its expected position.
MIN_DIOU = -0.2
# Nor does it grow or shrink by more than this factor.
MAX_GROWTH = 2.0
# Gains of the correction by a new position: for the position, and for the velocity.
POSITION_GAIN = 0.8
VELOCITY_GAIN = 0.4
# A face that is not seen keeps moving, but its speed halves about every 0.35 s.
COASTING = 0.5
# With more faces than this, each gets the nearest one that is left: the best assignment would take
# longer than a frame.
MOST_EXACT = 64
# For how long (s) a lost face is searched for in a close-up.
EXPECTED_FOR = 0.5


def track_ids(start: float) -> Iterator[int]:
    """Yield ids that are unique to this start of the detector; `start` is in s since the epoch.

    They fit into 53 bits, like JavaScript's integers, until the year 2242.
    """
    return count((int(start) << 20) + 1)


@dataclass(slots=True)
class Track:
    """A face over time: `center` (x, y), `size` (width, height), `velocity` in pixels/s.

    It was last found at `seen` (pts), which was `present` on the absence clock, both in ns. Plain
    floats take a tenth of the time of NumPy arrays.
    """

    id: int
    center: Point
    size: Point
    seen: int
    present: int
    velocity: Point = (0.0, 0.0)
    is_new: bool = True

    def box_at(self, pts: int) -> Box:
        """Return the expected box x, y, width, height at `pts` (ns)."""
        (x, y), (width, height) = self._center_at(pts), self.size
        return (x - width / 2, y - height / 2, width, height)

    def _center_at(self, pts: int) -> Point:
        elapsed = max(pts - self.seen, 0) / NANOSECONDS
        coasted = COASTING * (1 - math.exp(-elapsed / COASTING))
        (x, y), (across, down) = self.center, self.velocity
        return x + across * coasted, y + down * coasted

    def update(self, box: Box, pts: int) -> None:
        """Update with the box found at `pts` (ns): an alpha-beta filter for center and velocity."""
        found = _center(box)
        elapsed = (pts - self.seen) / NANOSECONDS
        if elapsed > 0:
            x, y = self._center_at(pts)
            across, down = found[0] - x, found[1] - y
            # The second sighting alone determines the velocity; later ones refine it.
            gain = 1.0 if self.is_new else VELOCITY_GAIN
            before, rest = self.velocity, 1 - POSITION_GAIN
            self.velocity = before[0] + gain * across / elapsed, before[1] + gain * down / elapsed
            self.center = found[0] - rest * across, found[1] - rest * down
            self.is_new = False
        else:
            self.center = found
        (width, height), (_, _, wide, high) = self.size, box
        self.size = width + POSITION_GAIN * (wide - width), height + POSITION_GAIN * (high - height)
        self.seen = pts


class Tracker:
    """Assigns track ids to the faces of one run of one stream. All times are pts, in ns."""

    def __init__(self, ids: Iterator[int], *, score: float = 0.5, leave_after: float = 1.0):
        """Create without tracks; `ids` yields ids for new tracks.

        A face needs `score` to start a track, and any score to continue one. A track that is absent
        for longer than `leave_after` seconds has left, and its id is not reused.
        """
        self._ids = ids
        self._score = score
        self._leave_after = round(leave_after * NANOSECONDS)
        self._absence = AbsenceClock(self._leave_after)
        self._tracks: list[Track] = []
        # The expected boxes at a time, until a track changes.
        self._expected: tuple[tuple[int, bool], list[Box]] | None = None

    @property
    def present(self) -> list[int]:
        """The ids of the active tracks."""
        return [track.id for track in self._tracks]

    def expected(self, pts: int, *, recorded: bool = False) -> list[Box]:
        """Return the expected boxes at `pts` of recently seen faces."""
        key = pts, recorded
        if self._expected is None or self._expected[0] != key:
            recent = self._recent(pts, recorded=recorded)
            self._expected = key, [track.box_at(pts) for track in recent]
        return self._expected[1]

    def expected_count(self, pts: int, *, recorded: bool = False) -> int:
        """Return the number of expected boxes at `pts`."""
        return len(self._recent(pts, recorded=recorded))

    def missing(
        self, detections: Sequence[Detection], pts: int, *, recorded: bool = False
    ) -> list[Box]:
        """Return the expected boxes without a detection."""
        boxes = self.expected(pts, recorded=recorded)
        found = {row for row, _ in self._pairs(boxes, detections)}
        return [box for row, box in enumerate(boxes) if row not in found]

    def update(
        self, detections: Sequence[Detection], pts: int, *, recorded: bool = False
    ) -> list[tuple[int, Detection]]:
        """Return the detections that belong to a track, old or new, with track ids.

        In a `recorded` stream, a pause between two frames never ends a track.
        """
        self._expected = None
        now = self._absence.advance(pts, recorded=recorded)
        self._tracks = self._present(now, self._leave_after)
        pairs = self._pairs([track.box_at(pts) for track in self._tracks], detections)
        owners = {column: self._tracks[row] for row, column in pairs}
        tracked = []
        for column, detection in enumerate(detections):
            track = owners.get(column)
            if track is not None:
                track.update(detection.box, pts)
                track.present = now
            elif detection.score >= self._score:
                track = self._begin(detection.box, pts, now)
            else:
                continue
            tracked.append((track.id, detection))
        return tracked

    def end_tracks(self) -> None:
        """End all tracks, because the next frame is after a cut."""
        self._tracks, self._expected = [], None

    def state(self) -> tuple[object, ...]:
        """Return the clock and the tracks as plain numbers, exactly."""
        tracks = [
            (
                *(t.id, *t.center, *t.size, *t.velocity),
                *(t.seen, t.present, t.is_new),
            )
            for t in self._tracks
        ]
        return self._absence.state(), tracks

    def restore(self, state: Sequence[Any]) -> None:
        """Replace the clock and the tracks with those of `state`."""
        clock, tracks = state
        self._absence.restore(clock)
        self._tracks = [
            Track(id, (x, y), (width, height), seen, present, (across, down), is_new)
            for id, x, y, width, height, across, down, seen, present, is_new in tracks
        ]
        self._expected = None

    def _recent(self, pts: int, *, recorded: bool) -> list[Track]:
        """Return the tracks that are expected at `pts`."""
        return self._present(self._absence.at(pts, recorded=recorded), EXPECTED_FOR * NANOSECONDS)

    def _present(self, now: int, longest: float) -> list[Track]:
        """Return the tracks absent for at most `longest` ns."""
        return [track for track in self._tracks if now - track.present <= longest]

    def _begin(self, box: Box, pts: int, now: int) -> Track:
        track = Track(next(self._ids), _center(box), box[2:], pts, now)
        self._tracks.append(track)
        return track

    @staticmethod
    def _pairs(expected: Sequence[Box], detections: Sequence[Detection]) -> list[tuple[int, int]]:
        """Return the matching of expected boxes (rows) and detections (columns)."""
        if not expected or not detections:
            return []
        boxes = np.array(expected, np.float64).reshape(-1, 4)
        found = as_boxes(detections)
        affinity = pairwise_diou(boxes, found)
        growth = np.sqrt(areas(boxes)[:, None] / np.maximum(areas(found)[None], 1e-9))
        allowed = affinity >= MIN_DIOU
        allowed &= (growth <= MAX_GROWTH) & (growth >= 1 / MAX_GROWTH)
        rows, columns = (index.tolist() for index in allowed.nonzero())
        if len(rows) == len(set(rows)) == len(set(columns)):
            return list(zip(rows, columns, strict=True))
        if min(affinity.shape) > MOST_EXACT:
            return assign_nearest(1 - affinity, allowed)
        # A forbidden pair costs more than any number of pairs can save.
        costs = np.where(allowed, 1 - affinity, 2.0 * (1 + min(affinity.shape, default=0)))
        return [pair for pair in assign(costs) if allowed[pair]]


def _center(box: Box) -> Point:
    x, y, width, height = box
    return x + width / 2, y + height / 2


def pairwise_diou(first: Floats, second: Floats) -> Floats:
    """Return the distance IoU of each pair of boxes, (N, 4) and (M, 4) to (N, M), in -1..1.

    This is the IoU minus the squared distance of the centers in units of the enclosing diagonal
    (Zheng et al. 2020). Unlike the IoU, it also ranks boxes that do not overlap.
    """
    (low, high), (other_low, other_high) = corners(first), corners(second)
    low, high = low[:, None], high[:, None]
    inside = np.maximum(np.minimum(high, other_high) - np.maximum(low, other_low), 0.0)
    shared = inside[..., 0] * inside[..., 1]
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    diagonal = _squares(np.maximum(high, other_high) - np.minimum(low, other_low))
    centers = first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2
    distance = _squares(centers[0][:, None] - centers[1][None])
    return np.asarray(
        shared / np.maximum(union, 1e-9) - distance / np.maximum(diagonal, 1e-9), np.float64
    )


def _squares(vectors: Floats) -> Floats:
    """Return the squared length of each vector, (N, M, 2) to (N, M)."""
    return np.asarray(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)
