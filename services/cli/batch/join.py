"""Joins the chunks of a recording: each frame once, with tracks continued across chunks."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from emostream.services.cli.batch.chunk_rows import FoundFrame
from emostream.services.cli.batch.chunks import Chunk
from emostream.services.detector.detection import pairwise_iou

# Both chunks contain the same picture, so a face's boxes are equal, or nearly equal if a tile was
# searched in only one of them.
SAME_FACE: Final = 0.5

ReadChunk: TypeAlias = Callable[[Chunk], list[FoundFrame]]


def joined_frames(chunks: Sequence[Chunk], read: ReadChunk) -> Iterator[FoundFrame]:
    """Yield the frames of a recording in order, each once, with tracks numbered by appearance.

    `read` returns the frames of a chunk including those before its start, which overlap the
    previous chunk. The overlap is used to match the tracks.
    """
    numbers = itertools.count(1)
    recent: list[FoundFrame] = []
    for chunk, following in itertools.zip_longest(chunks, chunks[1:]):
        frames = read(chunk)
        known = same_tracks(recent, [frame for frame in frames if frame.pts < chunk.start])
        for frame in frames:
            if frame.pts < chunk.start:
                continue
            faces = []
            for face in frame.faces:
                if face.track not in known:
                    known[face.track] = next(numbers)
                faces.append(replace(face, track=known[face.track]))
            frame = replace(frame, faces=tuple(faces))
            recent.append(frame)
            yield frame
        if following:
            recent = [frame for frame in recent if frame.pts >= following.warm]


def same_tracks(before: Sequence[FoundFrame], again: Sequence[FoundFrame]) -> dict[int, int]:
    """Match the tracks of `again` to those of `before`, by the boxes in their common frames.

    The last frames decide, because a continuing track is seen in them.
    """
    at = {frame.pts: frame for frame in before}
    found: dict[int, int] = {}
    for frame in reversed(again):
        other = at.get(frame.pts)
        if other is None or not frame.faces or not other.faces:
            continue
        overlaps = pairwise_iou(
            np.array([face.box for face in frame.faces], np.float64),
            np.array([face.box for face in other.faces], np.float64),
        )
        taken = set(found.values())
        for place in np.argsort(-overlaps, axis=None, kind="stable").tolist():
            row, column = divmod(place, len(other.faces))
            track, earlier = frame.faces[row].track, other.faces[column].track
            if overlaps[row, column] < SAME_FACE:
                break
            if track not in found and earlier not in taken:
                found[track] = earlier
                taken.add(earlier)
    return found
