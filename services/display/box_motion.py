"""Estimates face positions in frames without results, from the last known ones."""

from dataclasses import dataclass
from typing import Final

import msgspec

from emostream.shared.join import Joined
from emostream.shared.messages import Box, EmotionFace

# After this time, the position of a face is unknown.
KEPT_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class _Found:
    """A face found at `t` (ns), and its `velocity` (x, y) in pixels/ns."""

    face: EmotionFace
    t: int
    velocity: tuple[float, float] = (0.0, 0.0)


class BoxMotion:
    """Moves the boxes of one stream's faces with their last velocity until the next results.

    If only some frames are analyzed, boxes would otherwise blink, or be invisible in a browser that
    skips just those frames.
    """

    def __init__(self) -> None:
        self._run = ""
        self._found: dict[int, _Found] = {}

    def observe(self, joined: Joined) -> tuple[EmotionFace, ...]:
        """Take the next frame; return the faces to keep in it, moved to their expected positions.

        These faces were found within the last second, and newer results for them are missing.
        """
        header = joined.frame.header
        if header.run != self._run:
            self._found.clear()
        self._run = header.run
        found = {face.track: self._moving(face, header.t) for face in joined.faces}
        kept = {
            track: last
            for track, last in self._found.items()
            if track not in found and not joined.whole and abs(header.t - last.t) <= KEPT_NS
        }
        self._found = {**kept, **found}
        return tuple(_moved(last, header.t) for last in kept.values())

    def _moving(self, face: EmotionFace, t: int) -> _Found:
        last = self._found.get(face.track)
        if last is None:
            return _Found(face, t)
        elapsed = t - last.t
        if elapsed <= 0:
            return _Found(face, t, last.velocity)
        (x, y), (a, b) = _center(face.box), _center(last.face.box)
        return _Found(face, t, ((x - a) / elapsed, (y - b) / elapsed))


def _center(box: Box) -> tuple[float, float]:
    x, y, width, height = box
    return x + width / 2, y + height / 2


def _moved(last: _Found, t: int) -> EmotionFace:
    elapsed = max(t - last.t, 0)
    (x, y, width, height), (across, down) = last.face.box, last.velocity
    box = (x + across * elapsed, y + down * elapsed, width, height)
    return msgspec.structs.replace(last.face, box=box)
