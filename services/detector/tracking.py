"""Face tracking: constant-velocity motion, overlap, and optimal assignment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from emostream.services.detector.assignment import assign
from emostream.services.detector.detection import Detection, Floats, areas, as_boxes, pairwise_iou
from emostream.shared.absence import AbsenceClock
from emostream.shared.messages import Box

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

    It was last found at `seen` (pts), which was `present` on the absence clock, both in ns.
    """

    id: int
    center: Floats
    size: Floats
    seen: int
    present: int
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    is_new: bool = True

    def box_at(self, pts: int) -> Box:
        """Return the expected box x, y, width, height at `pts` (ns)."""
        center = self._center_at(pts)
        x, y = (center - self.size / 2).tolist()
        width, height = self.size.tolist()
        return (x, y, width, height)

    def _center_at(self, pts: int) -> Floats:
        elapsed = max(pts - self.seen, 0) / NANOSECONDS
        coasted = COASTING * (1 - np.exp(-elapsed / COASTING))
        return np.asarray(self.center + self.velocity * coasted)

    def update(self, box: Box, pts: int) -> None:
        """Update with the box found at `pts` (ns): an alpha-beta filter for center and velocity."""
        found = np.array(box[:2]) + np.array(box[2:]) / 2
        elapsed = (pts - self.seen) / NANOSECONDS
        if elapsed > 0:
            surprise = found - self._center_at(pts)
            # The second sighting alone determines the velocity; later ones refine it.
            gain = 1.0 if self.is_new else VELOCITY_GAIN
            self.velocity = self.velocity + gain * surprise / elapsed
            self.center = found - (1 - POSITION_GAIN) * surprise
            self.is_new = False
        else:
            self.center = found
        self.size = self.size + POSITION_GAIN * (np.array(box[2:]) - self.size)
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

    @property
    def present(self) -> list[int]:
        """The ids of the active tracks."""
        return [track.id for track in self._tracks]

    def expected(self, pts: int, *, recorded: bool = False) -> list[Box]:
        """Return the expected boxes at `pts` of recently seen faces."""
        recent = self._present(self._absence.at(pts, recorded=recorded), EXPECTED_FOR * NANOSECONDS)
        return [track.box_at(pts) for track in recent]

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
        self._tracks = []

    def state(self) -> tuple[object, ...]:
        """Return the clock and the tracks as plain numbers, exactly."""
        tracks = [
            (
                *(t.id, *t.center.tolist(), *t.size.tolist(), *t.velocity.tolist()),
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
            Track(
                id, np.array(row[:2]), np.array(row[2:4]), seen, present, np.array(row[4:]), is_new
            )
            for id, *row, seen, present, is_new in tracks
        ]

    def _present(self, now: int, longest: float) -> list[Track]:
        """Return the tracks absent for at most `longest` ns."""
        return [track for track in self._tracks if now - track.present <= longest]

    def _begin(self, box: Box, pts: int, now: int) -> Track:
        size = np.array(box[2:])
        track = Track(next(self._ids), np.array(box[:2]) + size / 2, size, pts, now)
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
        if all(allowed.sum(axis=axis).max(initial=0) < 2 for axis in (0, 1)):
            return list(zip(*(index.tolist() for index in allowed.nonzero()), strict=True))
        # A forbidden pair costs more than any number of pairs can save.
        costs = np.where(allowed, 1 - affinity, 2.0 * (1 + min(affinity.shape, default=0)))
        return [pair for pair in assign(costs) if allowed[pair]]


def pairwise_diou(first: Floats, second: Floats) -> Floats:
    """Return the distance IoU of each pair of boxes, (N, 4) and (M, 4) to (N, M), in -1..1.

    This is the IoU minus the squared distance of the centers in units of the enclosing diagonal
    (Zheng et al. 2020). Unlike the IoU, it also ranks boxes that do not overlap.
    """
    low = np.minimum(first[:, None, :2], second[None, :, :2])
    high = np.maximum(
        first[:, None, :2] + first[:, None, 2:], second[None, :, :2] + second[None, :, 2:]
    )
    diagonal = np.sum((high - low) ** 2, axis=2)
    centers = first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2
    distance = np.sum((centers[0][:, None] - centers[1][None]) ** 2, axis=2)
    return np.asarray(pairwise_iou(first, second) - distance / np.maximum(diagonal, 1e-9))
